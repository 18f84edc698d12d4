"""Batches that wait for images which are late."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from typing import Self

import structlog

from services.errors import LedgerUnavailable
from services.images.intake import LATE

LOOK_SECONDS = 0.25
"""How often a drain whose images are late looks for other work."""

log = structlog.get_logger("workers")


class LateBatches:
    """The batches of a drain that wait for images. Leaving the block waits for them."""

    def __init__(self) -> None:
        # Each batch has an image that is late, so there are never more batches than such images.
        self._threads = ThreadPoolExecutor(LATE, thread_name_prefix="late")
        self._batches: set[Future[None]] = set()

    def add(self, held: AbstractContextManager[object], finish: Callable[[], object]) -> None:
        """Runs `finish`, which waits for the images of a claim, in a thread of its own, then leaves `held`."""
        self.wait(0.0)
        self._batches.add(self._threads.submit(_finish, held, finish))

    def __bool__(self) -> bool:
        return bool(self._batches)

    def wait(self, seconds: float = LOOK_SECONDS) -> None:
        """Waits until all have ended, at most so many seconds."""
        _, self._batches = wait(self._batches, seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown()


def _finish(held: AbstractContextManager[object], finish: Callable[[], object]) -> None:
    with held:
        try:
            finish()
        except LedgerUnavailable as error:
            log.warning("late changes will be processed again, because the ledger is away", reason=str(error))
