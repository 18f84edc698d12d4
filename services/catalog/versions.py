"""Versions for changes that come without one."""

import threading
from collections.abc import Callable


class Versions:
    """Gives versions above all that are stored. Thread-safe."""

    def __init__(self) -> None:
        self._max_version: Callable[[], int] = int
        self._lock = threading.Lock()
        self._last: int | None = None

    def count_from(self, max_version: Callable[[], int]) -> None:
        """From now on `max_version` gives the highest that is stored."""
        with self._lock:
            self._max_version = max_version

    def next(self, stored: int) -> int:
        """A version above `stored` and above all given before."""
        with self._lock:
            last = self._max_version() if self._last is None else self._last
            self._last = max(last, stored) + 1
            return self._last
