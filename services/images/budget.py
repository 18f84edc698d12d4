"""How many bytes of images may be in memory at a time."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

IN_HAND = 64 << 20
"""Bytes of originals in memory at a time, of all batches together; one larger image goes alone."""


class ByteBudget:
    """Bytes in hand: whoever would make them more than `limit` waits, unless nobody else has any."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._usual = 0.0
        self._door = threading.Lock()
        self._change = threading.Condition()

    @contextmanager
    def hold(self, size: int | None) -> Iterator[Callable[[int], None]]:
        """Waits for room for `size` bytes (None: as many as was usual lately); gives what corrects the number."""
        # One waits at a time, so that many small images do not keep a large one waiting for ever.
        with self._door, self._change:
            held = int(self._usual) if size is None else size
            self._change.wait_for(lambda: not self._held or self._held + held <= self._limit)
            self._held += held

        def correct(size: int) -> None:
            # Never waits: who has bytes in hand must be able to finish.
            nonlocal held
            with self._change:
                self._held += size - held
                self._usual = max(size, 0.9 * self._usual)
                self._change.notify_all()
            held = size

        try:
            yield correct
        finally:
            with self._change:
                self._held -= held
                self._change.notify_all()
