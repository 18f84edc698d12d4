"""Common chores, for which it does not matter whether there is work: expired leases, lost wake-ups, leftovers."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from services.catalog.catalog import Catalog
from services.catalog.catalogs import Catalogs
from services.catalog.generations import Generations
from services.descriptions import CatalogSpec
from services.errors import CatalogNotFound, LedgerUnavailable, LookalikeError
from services.failpoints import hit
from services.ledger import Chores
from workers import duplicates, graphs, maps
from workers.media_gc import collect, collect_retired
from workers.periodic import Periodic
from workers.worker import Worker

log = structlog.get_logger("workers")


@dataclass(frozen=True, slots=True)
class Timings:
    """When upkeep does what. All are seconds."""

    every: float = 1.0
    """Between two turns, or less where leases are short."""
    lead: float = 5.0
    """How long nobody else does the chores after a turn."""
    due: float = 60.0
    """Between two looks at which tasks are due that nobody asked for."""
    sweep: float = 600.0
    """Between two turns of the chores that may take long."""
    silent: float = 300.0
    """A process that receives a job or removes a catalog counts as dead after so long without a sign of life."""
    tombstone: float = 86_400.0
    """How long the tombstone of a deleted product is kept."""
    collect: int = 86_400
    """Between two removals of originals that nothing needs."""
    original: float = 2 * 86_400.0
    """How old an original must be before it is removed."""
    replaced: float = 3600.0
    """How long what was found, and has been found anew since, is kept for whoever reads it."""


class Upkeep:
    """A thread beside a worker that does the chores which all workers have in common: one of them does them for all.

    Args:
        worker: The worker.
        chores: The ledger's part of the chores.
        catalogs: The catalogs whose tombstones, generations and originals are tended.
        wake: Sends a message that wakes a worker, no matter which.
        slow_seconds: What the median search may take before a search graph is due; 0: none is.
        timings: When it does what.
    """

    def __init__(
        self,
        worker: Worker,
        chores: Chores,
        catalogs: Catalogs,
        *,
        wake: Callable[[], None],
        slow_seconds: float = 0.0,
        timings: Timings = Timings(),
    ) -> None:
        self._worker = worker
        self._chores = chores
        self._catalogs = catalogs
        self._wake = wake
        self._timings = timings
        self._slow_seconds = slow_seconds
        self._looked = -math.inf
        self._swept = -math.inf
        self._thread = Periodic("upkeep", self.tend, every=min(timings.every, worker.claims.lease / 3))

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread. Does nothing where it does not run."""
        self._thread.stop()

    def tend(self) -> None:
        """One turn of the chores; none where another worker does them."""
        if not self._chores.lead(self._worker.id, self._timings.lead):
            return
        hit("upkeep")
        if expired := self._chores.expire():
            log.warning("claims of workers that fell silent are requeued", claims=expired)
        for _ in range(self._worker.claims.spare_drains(self._worker.batch_size)):
            self._wake()
        now = time.monotonic()
        if now - self._swept >= self._timings.sweep:
            self._swept = now
            self._sweep()
        if now - self._looked >= self._timings.due:
            self._looked = now
            for spec in self._catalogs.specs():
                self._begin_due(spec)

    def _sweep(self) -> None:
        self._chores.reap(self._timings.silent)
        self._chores.resume_drops(self._timings.silent, self._is_there)
        for spec in self._catalogs.specs():
            try:
                self._purge(spec.name, spec.id)
                for generation in Generations(self._catalogs, spec.name).tend():
                    log.info("a generation is gone", catalog=spec.name, generation=generation)
            except LookalikeError as error:
                log.warning("a catalog is not tended", catalog=spec.name, code=error.code, reason=str(error))
        if count := collect_retired(self._catalogs, older=self._timings.replaced):
            log.info("findings that were replaced are gone", count=count)
        if self._chores.due("leftovers", self._timings.collect) and (
            count := collect(self._chores, self._catalogs, older=self._timings.original)
        ):
            log.info("originals that nothing needs are gone", count=count)

    def _begin_due(self, spec: CatalogSpec) -> None:
        """Begins the tasks of a catalog that are due, of what it has: where there is nothing, it need not be opened."""
        found = {each.name for each in spec.findings}
        if self._slow_seconds:
            self._begin(spec, graphs.GRAPH, lambda catalog: graphs.begin_due(catalog, self._chores, self._slow_seconds))
        if maps.MAP in found:
            self._begin(spec, maps.MAP, lambda catalog: maps.begin_due(catalog, self._chores))
        if duplicates.DUPLICATES in found:
            self._begin(spec, duplicates.DUPLICATES, lambda catalog: duplicates.begin_due(catalog, self._chores))

    def _begin(self, spec: CatalogSpec, kind: str, begin: Callable[[Catalog], bool]) -> None:
        try:
            if begin(self._catalogs.get(spec.name)):
                log.info("a task that is due is begun", catalog=spec.name, kind=kind)
        except LedgerUnavailable:
            raise
        except LookalikeError as error:
            told = {"code": error.code, "reason": str(error)}
            log.warning("whether a task is due is not known", catalog=spec.name, kind=kind, **told)

    def _is_there(self, catalog_id: str) -> bool:
        try:
            self._catalogs.by_id(catalog_id)
        except CatalogNotFound:
            return False
        return True

    def _purge(self, name: str, catalog_id: str) -> None:
        """Forgets tombstones that are old, unless an older change may still come."""
        oldest = self._chores.oldest(catalog_id)
        purged = self._catalogs.get(name).purge(time.time() - self._timings.tombstone, below=oldest)
        if purged:
            log.info("tombstones are gone", catalog=name, count=purged)
