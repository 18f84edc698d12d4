"""Batches that wait for images which are late."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Self

from services.images.intake import LATE


class LateBatches:
    """The batches of a drain that wait for images. At its end it waits for them."""

    def __init__(self) -> None:
        # Each has an image that is late, so there are no more of them; and none of them fails.
        self._threads = ThreadPoolExecutor(LATE, thread_name_prefix="late")
        self._batches: set[Future[None]] = set()

    def add(self, finish: Callable[[], None]) -> None:
        self.wait(0.0)
        self._batches.add(self._threads.submit(finish))

    def __bool__(self) -> bool:
        return bool(self._batches)

    def wait(self, seconds: float) -> None:
        """Waits until all have ended, so many seconds at most."""
        _, self._batches = wait(self._batches, seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown()
