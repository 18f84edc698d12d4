"""Versions for changes that come without one."""

import threading

from services.index.vector_index import VectorIndex


class Versions:
    """Gives versions above all that are in the index. Thread-safe."""

    def __init__(self, index: VectorIndex) -> None:
        self._index = index
        self._lock = threading.Lock()
        self._last: int | None = None

    def next(self, stored: int) -> int:
        """A version above `stored` and above all given before."""
        with self._lock:
            last = self._index.max_version() if self._last is None else self._last
            self._last = max(last, stored) + 1
            return self._last
