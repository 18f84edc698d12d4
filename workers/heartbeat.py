"""Signs of life of a worker: its registration, its leases, and a watch on batches that take too long."""

import time
from collections.abc import Callable

import structlog

from services.errors import LedgerUnavailable
from workers.periodic import Periodic
from workers.worker import Worker

log = structlog.get_logger("workers")


class Heartbeat:
    """A thread that reports a worker to the ledger as alive and keeps the leases of its claims.

    Args:
        worker: The worker.
        overrun: Is called when a batch takes longer than `limit`, to end the process: a thread cannot be ended from
            outside, and without the process its leases end.
        limit: Seconds that a batch may take; loading an encoder does not count.
        every: Seconds between two beats, or less where leases are short.
        alive: Seconds after the last beat until the worker counts as dead.
    """

    def __init__(
        self,
        worker: Worker,
        *,
        overrun: Callable[[], None],
        limit: float,
        every: float = 1.0,
        alive: float = 10.0,
    ) -> None:
        self._worker = worker
        self._overrun = overrun
        self._limit = limit
        self._alive = alive
        self._thread = Periodic("heartbeat", self.beat, every=min(every, worker.claims.lease / 3))

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread and reports that the worker is gone. Does nothing where it does not run."""
        if not self._thread.stop():
            return
        try:
            self._worker.leave()
        except LedgerUnavailable as error:
            log.info("could not take leave", reason=str(error))

    def beat(self) -> None:
        """One sign of life."""
        self._watch()
        if not self._worker.stopping:
            self._worker.claims.register(self._worker.id, self._worker.slots, self._alive)
        self._worker.extend()

    def _watch(self) -> None:
        now = time.monotonic()
        for each in self._worker.in_progress:
            if each.since is not None and now - each.since > self._limit:
                log.critical("a batch overran", claim=each.claim.id, seconds=self._limit)
                self._overrun()
