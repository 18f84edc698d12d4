"""How the process of a worker ends: after its batches, or the hard way."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

import structlog

from services.errors import LedgerUnavailable
from workers.worker import Worker

STOP_SECONDS = 20.0
"""How long a worker that is to end may finish its batches; then it requeues them."""
LEAVE_SECONDS = 5.0
OVERRAN = 70

log = structlog.get_logger("workers")


class Ending:
    """Ends the process of a worker.

    Args:
        worker: The worker.
        leave: Is called before the process is ended the hard way.
        patience: Seconds that the batches in progress may take once the end has begun.
    """

    def __init__(self, worker: Worker, leave: Callable[[], None], patience: float) -> None:
        self._worker = worker
        self._leave = leave
        self._patience = patience
        self._hurry = threading.Event()
        self._done = False

    def begin(self, **_: Any) -> None:
        """Stops the worker, which finishes its batches; SIGINT from now on, or the end of the patience, requeues them
        and ends the process. Called in a signal handler."""
        signal.signal(signal.SIGINT, lambda *_: self._hurry.set())
        if not self._worker.stopping:
            _say_goodbye()
            self._worker.stop()
            threading.Thread(target=self._give_up, daemon=True).start()

    def done(self) -> None:
        """The batches are finished: the process ends by itself."""
        self._done = True
        self._hurry.set()

    def overrun(self) -> None:
        """Ends the process at once, because a batch takes too long."""
        self._end(OVERRAN)

    def _give_up(self) -> None:
        self._hurry.wait(self._patience)
        if self._done:
            return
        try:
            self._worker.give_back()
        except LedgerUnavailable as error:
            log.warning("claims stay until their lease is over", reason=str(error))
        self._end(0)

    def _end(self, status: int) -> None:
        """Ends the process, whatever its other threads are doing."""
        self._worker.stop()
        try:
            self._worker.leave()
        except LedgerUnavailable as error:
            log.info("could not take leave", reason=str(error))
        # `leave` may wait for the very thread that hangs.
        leaving = threading.Thread(target=self._leave, daemon=True)
        leaving.start()
        leaving.join(LEAVE_SECONDS)
        os._exit(status)


def _say_goodbye() -> None:
    """For a person at a terminal. It is called in a signal handler, where only `os.write` is safe."""
    if sys.stderr.isatty():
        os.write(2, b"\nFinishing what is in hand (Ctrl-C again stops at once; nothing is lost).\n")
