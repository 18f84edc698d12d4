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


class Hints:
    """Sends as many messages as workers could use. One that cannot be sent is sent by a worker's upkeep.

    They are sent by a thread of its own: while the broker is away that takes seconds, for which nobody is to wait.
    """

    def __init__(self, redis_url: str, claims: Claims, batch_size: int) -> None:
        self._claims = claims
        self._batch_size = batch_size
        self._celery: Any = Celery("lookalike", set_as_current=False)
        self._celery.conf.update(celery_config(redis_url))
        self._news = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="hints", daemon=True)
        self._thread.start()

    def __call__(self, changes: int) -> None:
        """Tells that so many changes have come in."""
        if changes:
            self._news.set()

    def close(self) -> None:
        """Lets go of the broker."""
        self._closed = True
        self._news.set()
        self._thread.join(CLOSE_SECONDS)
        self._celery.close()

    def _run(self) -> None:
        while self._news.wait() and not self._closed:
            self._news.clear()
            try:
                for _ in range(self._claims.spare_drains(self._batch_size)):
                    self._celery.send_task(DRAIN, retry=False)
            except (LedgerUnavailable, OperationalError) as error:
                log.warning("no worker was told", reason=str(error))
            except Exception:
                log.exception("no worker was told")
