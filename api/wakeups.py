"""Messages that wake workers."""

import threading
from typing import Any

import structlog
from celery import Celery
from kombu.exceptions import OperationalError

from services.errors import LedgerUnavailable
from services.ledger import Claims
from services.queue.broker import DRAIN, celery_config

CLOSE_SECONDS = 2.0

log = structlog.get_logger("api")


class Wakeups:
    """Sends as many messages as workers could use. One that cannot be sent is sent later by a worker's upkeep.

    A thread sends them: while the broker is away that takes seconds, and no request should wait for it.
    """

    def __init__(self, redis_url: str, claims: Claims, batch_size: int) -> None:
        self._claims = claims
        self._batch_size = batch_size
        self._celery: Any = Celery("lookalike", set_as_current=False)
        self._celery.conf.update(celery_config(redis_url))
        self._accepted = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="wakeups", daemon=True)
        self._thread.start()

    def __call__(self, changes: int) -> None:
        """Sends messages soon, for so many changes that were accepted."""
        if changes:
            self._accepted.set()

    def close(self) -> None:
        """Stops the thread and disconnects from the broker."""
        self._closed = True
        self._accepted.set()
        self._thread.join(CLOSE_SECONDS)
        self._celery.close()

    def _run(self) -> None:
        while self._accepted.wait() and not self._closed:
            self._accepted.clear()
            try:
                for _ in range(self._claims.spare_drains(self._batch_size)):
                    self._celery.send_task(DRAIN, retry=False)
            except (LedgerUnavailable, OperationalError) as error:
                log.warning("the workers could not be woken", reason=str(error))
            except Exception:
                log.exception("the workers could not be woken")
