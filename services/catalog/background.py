"""What is done beside the work that somebody waits for, a little of it at a time."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import structlog

from services.errors import Closed, LookalikeError

log = structlog.get_logger("catalog")

WAITING = 4
"""Pieces of work that wait or are done at a time; a batch's pictures are 17 MB of memory."""


class Background:
    """Does pieces of work one after the other, in a thread of its own that begins with the first.

    It is for work that is found again where it was not done: more than a few pieces do not wait, and what fails is
    logged and forgotten.
    """

    def __init__(self, waiting: int = WAITING) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="beside")
        self._room = waiting
        self._changed = threading.Condition()
        self._count = 0
        self._closed = False

    def submit(self, what: str, work: Callable[[], object]) -> bool:
        """Does it later; False where it is not done, because too much waits or this is closed."""
        with self._changed:
            if self._closed or self._count == self._room:
                return False
            self._count += 1
            self._pool.submit(self._do, what, work).add_done_callback(lambda _: self._ended())
            return True

    def wait(self, seconds: float) -> bool:
        """Waits until nothing waits or is being done; whether that came to be."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._count, seconds)

    def close(self) -> None:
        """Drops what waits; what is being done ends by itself. Idempotent."""
        with self._changed:
            self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _do(self, what: str, work: Callable[[], object]) -> None:
        try:
            attempt(what, work)
        except Exception:
            log.exception(f"{what} failed")

    def _ended(self) -> None:
        with self._changed:
            self._count -= 1
            self._changed.notify_all()


def attempt(what: str, work: Callable[[], object]) -> None:
    """Does work that is found again where it fails, which is logged."""
    try:
        work()
    except Closed:
        return  # the process ends
    except LookalikeError as error:
        log.warning(f"{what} failed", code=error.code, reason=str(error))
