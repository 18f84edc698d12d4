"""What must happen whether or not there is work: leases, lost wake-ups, old tombstones, originals left over."""

import threading
import time
from collections.abc import Callable

import structlog

from services.catalog.catalogs import Catalogs
from services.errors import CatalogNotFound, LedgerUnavailable, LookalikeError
from services.failpoints import hit
from workers.media_gc import collect
from workers.worker import Worker

EVERY = 1.0
LEAD_SECONDS = 5.0
ALIVE_SECONDS = 10.0
SILENT_SECONDS = 300.0
"""Without a sign of life for so long, who sends a job is dead."""
SWEEP_EVERY = 600.0
TOMBSTONE_SECONDS = 86_400.0
LEFTOVERS_EVERY = 86_400
LEFTOVER_SECONDS = 2 * 86_400.0
STOP_SECONDS = 5.0

log = structlog.get_logger("workers")


class Upkeep:
    """Two threads beside a worker. One tells the ledger that the worker lives, keeps its leases, and ends the process
    (`overrun`) when a batch takes longer than `limit` seconds; the other does, for one of all workers, the common
    chores, which may take long.

    `wake` sends a worker, which one does not matter, a message.
    """

    def __init__(
        self,
        worker: Worker,
        catalogs: Catalogs,
        *,
        wake: Callable[[], None],
        overrun: Callable[[], None],
        limit: float,
    ) -> None:
        self._worker = worker
        self._ledger = worker.ledger
        self._catalogs = catalogs
        self._wake = wake
        self._overrun = overrun
        self._limit = limit
        self._ending = threading.Event()
        self._swept: float | None = None
        self._threads = [
            threading.Thread(target=self._repeat, args=(each,), name="upkeep", daemon=True)
            for each in (self._live, self._tend)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ends the threads and tells that the worker is gone. Does nothing where they were not started."""
        if not self._threads[0].is_alive():
            return
        self._ending.set()
        for thread in self._threads:
            thread.join(STOP_SECONDS)
        try:
            self._worker.leave()
        except LedgerUnavailable as error:
            log.info("could not take leave", reason=str(error))

    def _repeat(self, duty: Callable[[], None]) -> None:
        every = min(EVERY, self._ledger.lease / 3)
        while True:
            try:
                duty()
            except LookalikeError as error:
                log.warning("upkeep is put off", code=error.code, reason=str(error))
            except Exception:
                log.exception("upkeep failed")
            if self._ending.wait(every):
                return

    def _live(self) -> None:
        self._watch()
        if not self._worker.stopping:
            self._ledger.register(self._worker.id, self._worker.slots, ALIVE_SECONDS)
        self._worker.extend()

    def _watch(self) -> None:
        """A thread cannot be ended from outside: what overruns ends the process, and the lease does the rest."""
        now = time.monotonic()
        for each in self._worker.in_hand:
            if each.since is not None and now - each.since > self._limit:
                log.critical("a batch overran", claim=each.claim.id, seconds=self._limit)
                self._overrun()

    def _tend(self) -> None:
        if not self._ledger.lead(self._worker.id, LEAD_SECONDS):
            return
        hit("upkeep")
        if expired := self._ledger.expire():
            log.warning("claims of workers that fell silent are given on", claims=expired)
        for _ in range(self._ledger.idle(self._worker.batch_size)):
            self._wake()
        now = time.monotonic()
        if self._swept is None or now - self._swept >= SWEEP_EVERY:
            self._swept = now
            self._sweep()

    def _sweep(self) -> None:
        self._ledger.reap(SILENT_SECONDS)
        self._ledger.resume_drops(SILENT_SECONDS, self._is_there)
        for spec in self._catalogs.specs():
            try:
                self._purge(spec.name, spec.id)
            except LookalikeError as error:
                log.warning("a catalog is not tended", catalog=spec.name, code=error.code, reason=str(error))
        if self._ledger.due("leftovers", LEFTOVERS_EVERY) and (
            count := collect(self._ledger, self._catalogs, older=LEFTOVER_SECONDS)
        ):
            log.info("originals that nothing needs are gone", count=count)

    def _is_there(self, catalog_id: str) -> bool:
        try:
            self._catalogs.by_id(catalog_id)
        except CatalogNotFound:
            return False
        return True

    def _purge(self, name: str, catalog_id: str) -> None:
        """Forgets tombstones that are old and that no older change can come for any more."""
        oldest = self._ledger.oldest(catalog_id)
        purged = self._catalogs.get(name).purge(time.time() - TOMBSTONE_SECONDS, below=oldest)
        if purged:
            log.info("tombstones are gone", catalog=name, count=purged)
