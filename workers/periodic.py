"""A duty that a thread repeats beside the work."""

import threading
from collections.abc import Callable

import structlog

from services.errors import LookalikeError

STOP_SECONDS = 5.0

log = structlog.get_logger("workers")


class Periodic:
    """A daemon thread that calls `duty` every so many seconds. What the duty raises is logged; it does not end it."""

    def __init__(self, name: str, duty: Callable[[], None], *, every: float) -> None:
        self._name = name
        self._duty = duty
        self._every = every
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> bool:
        """Ends the thread, but does not wait longer than `STOP_SECONDS`; returns whether it was running."""
        if not self._thread.is_alive():
            return False
        self._stopping.set()
        self._thread.join(STOP_SECONDS)
        return True

    def _run(self) -> None:
        while True:
            try:
                self._duty()
            except LookalikeError as error:
                log.warning(f"{self._name} is put off", code=error.code, reason=str(error))
            except Exception:
                log.exception(f"{self._name} failed")
            if self._stopping.wait(self._every):
                return
