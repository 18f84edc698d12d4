"""What a worker does with what it claims."""

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Self
from uuid import uuid4

import structlog

from services.catalog.catalogs import Catalogs
from services.catalog.generations import KEEP_SECONDS
from services.catalog.writer import Finish
from services.errors import CatalogNotFound, IndexUnavailable, LedgerUnavailable, LookalikeError
from services.ledger import Claim, Claimed, Claims
from services.records import Outcome, State, failed
from services.settings import Settings
from workers.active import ActiveClaim, ActiveClaims
from workers.backoff import Backoff, goes_on
from workers.kinds import kinds as all_kinds
from workers.late import LateBatches
from workers.removing import remove
from workers.reporting import report
from workers.tasks import Do, Tasks

ALONE_AT_ONCE = 16
"""Suspects that run in a turn, one after the other: most are innocent, and one crash may make suspects of hundreds."""
NAMED = 5
"""Jobs and requests that the log of a batch names."""

Applied = tuple[Sequence[Outcome], Finish | None]
"""How changes ended, and what processes the others, whose images are late."""

log = structlog.get_logger("workers")


class Worker:
    """One process's work on the ledger's changes: as many `drain`s at once as it has slots. And beside them a task.

    While one batch is encoded, the next is fetched, decoded or written. A batch whose images are late gives its slot to
    the next, and ends when they have arrived.

    Args:
        claims: Where the changes come from.
        catalogs: Where they are applied.
        batch_size: Changes that are claimed at once.
        slots: Batches in progress at once.
        give_up: Seconds that the changes of a catalog are tried again (Qdrant away, disk full, weights not available)
            until they fail with the reason.
        backoff: How long they wait between tries.
        away_seconds: How long a drain waits before it asks a ledger again that did not answer.
        alone_every: Batches between two turns of changes that crashed workers before (suspects).
        kinds: What does each kind of tasks; None: all that there are, with their default settings.
        task_backoff: How long a task waits between tries.
    """

    def __init__(
        self,
        claims: Claims,
        catalogs: Catalogs,
        *,
        batch_size: int,
        slots: int,
        give_up: float,
        backoff: Backoff | None = None,
        away_seconds: float = 1.0,
        alone_every: int = 16,
        kinds: Mapping[str, Do] | None = None,
        task_backoff: Backoff | None = None,
    ) -> None:
        self.id = f"{os.uname().nodename}:{os.getpid()}:{uuid4().hex[:8]}"
        self.claims = claims
        self.slots = slots
        self.batch_size = batch_size
        self._catalogs = catalogs
        self._give_up = give_up
        self._backoff = backoff or Backoff()
        self._away_seconds = away_seconds
        self._alone_every = alone_every
        self._stopping = threading.Event()
        self._free = threading.Semaphore(slots)
        self._alone = threading.Lock()
        self._active = ActiveClaims()
        self._tasks = Tasks(
            claims,
            catalogs,
            all_kinds(KEEP_SECONDS) if kinds is None else kinds,
            stopping=self._stopping.is_set,
            give_up=give_up,
            backoff=task_backoff,
        )
        self._lock = threading.Lock()
        self._drains: set[str] = set()

    @classmethod
    def configured(cls, settings: Settings, claims: Claims, catalogs: Catalogs) -> Self:
        """A worker as configured by the settings."""
        return cls(
            claims,
            catalogs,
            batch_size=settings.batch_size,
            slots=settings.concurrency,
            give_up=settings.give_up_seconds,
            kinds=all_kinds(settings.generation_keep),
        )

    def drain(self) -> int:
        """Works until nothing waits or the worker stops, and finishes its claims; returns the number of batches."""
        drain = f"{self.id}/{uuid4().hex[:8]}"
        with self._lock:
            self._drains.add(drain)
        batches = 0
        away = False
        with LateBatches() as late:
            while not self.stopping:
                try:
                    self._tasks.begin()
                    claimed = self._claim_and_work(drain, late)
                    away = False
                    batches += claimed.claim is not None
                    if claimed.suspects and (not claimed.claim or batches % self._alone_every == 0):
                        batches += self._work_alone(drain)
                    elif not claimed.claim and not claimed.more and not self.stopping:
                        if late:
                            late.wait()
                            continue
                        with self._lock:
                            self._drains.discard(drain)
                        break
                except LedgerUnavailable as error:
                    # For the ledger it stays a drain until its next claim finds nothing, so it stays one here.
                    if not away:
                        log.warning("the ledger is away", reason=str(error))
                    away = True
                    self._stopping.wait(self._away_seconds)
        return batches

    def stop(self) -> None:
        """Claims nothing more; claims in progress are finished."""
        self._stopping.set()

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    @property
    def in_progress(self) -> list[ActiveClaim]:
        """The claims in progress now, that of a task among them."""
        return [*self._active.now(), *self._tasks.in_progress]

    @property
    def runs_alone(self) -> bool:
        """Whether it processes suspects, or waits until nothing else is in progress to do so."""
        return self._alone.locked()

    def extend(self) -> None:
        """Extends the leases of the claims in progress. One whose lease was over becomes `lost`: another worker has its
        changes, or it has just ended. Recording its outcomes then shows which."""
        for each in self.in_progress:
            if not each.lost:
                each.lost = not self.claims.extend(each.claim)

    def give_back(self) -> None:
        """Requeues the claims in progress, for other workers."""
        for each in self.in_progress:
            self.claims.give_back(each.claim)

    def finish_task(self, seconds: float) -> None:
        """Waits at most so many seconds, once it stops, until its task has ended or is given back."""
        self._tasks.finish(seconds)

    def leave(self) -> None:
        """Reports to the ledger that this worker is gone."""
        with self._lock:
            drains = set(self._drains)
        self.claims.leave(self.id, self.slots, drains)

    def _claim_and_work(self, drain: str, late: LateBatches) -> Claimed:
        with self._free:
            # Waiting may have taken long.
            if self.stopping:
                return Claimed(None)
            claimed = self.claims.claim(drain, self.batch_size)
            if claimed.claim:
                self._work(claimed.claim, late)
            return claimed

    def _work_alone(self, drain: str) -> int:
        """Processes changes that have crashed workers before, one by one, while nothing else is in progress here."""
        with self._alone:
            for _ in range(self.slots):
                self._free.acquire()
            try:
                self._active.wait_until_none()
                for done in range(ALONE_AT_ONCE):
                    claim = None if self.stopping else self.claims.claim(drain, 1, alone=True).claim
                    if not claim:
                        return done
                    self._work(claim)
                return ALONE_AT_ONCE
            finally:
                self._free.release(self.slots)

    def _work(self, claim: Claim, late: LateBatches | None = None) -> None:
        """Processes a claim; changes whose images are late go to `late`, or are waited for where it is None."""
        with ExitStack() as stack:
            held = stack.enter_context(self._active.hold(claim))
            finish = self._step(held, partial(self._applied, held, early=late is not None))
            if finish and late is not None:
                late.add(stack.pop_all(), partial(self._step, held, partial(_rest, finish)))

    def _step(self, held: ActiveClaim, apply: Callable[[], Applied]) -> Finish | None:
        """Applies changes of a claim and records how they ended; returns what processes those whose images are late."""
        claim = held.claim
        named = {"claim": claim.id, "jobs": _named(claim.jobs), "requests": _named(claim.requests)}
        with structlog.contextvars.bound_contextvars(**named):
            try:
                outcomes, finish = apply()
            except LookalikeError as error:
                self._put_off(held, error)
                return None
            except Exception:
                # A bug of ours or of a library. If it is about one change, that shows when each runs alone; if it is
                # about all of them, the pauses keep most from failing for it.
                pause = self._backoff.failed(claim.catalog_id, held.taken).pause
                log.exception("a batch failed", seconds=pause)
                self._report(claim, lambda: self.claims.give_back(claim, pause=pause, crashed=True))
                return None
            self._backoff.succeeded(claim.catalog_id)
            if outcomes:
                self._record(held, outcomes)
            return finish

    def _applied(self, held: ActiveClaim, *, early: bool) -> Applied:
        claim = held.claim
        catalog = self._catalogs.by_id(claim.catalog_id)
        held.catalog = catalog.spec.name
        if claim.removal:
            remove(self.claims, claim, catalog, self._stopping.is_set)
            return [], None
        try:
            if any(change.has_image for change in claim.changes):
                catalog.load_encoder()
        except LookalikeError:
            # Changes that need no encoder must not wait or fail because there is none.
            held.since = time.monotonic()
            others = catalog.apply([change for change in claim.changes if not change.has_image])
            self._record(held, others, others_wait=True)
            raise
        held.since = time.monotonic()
        return catalog.apply_early(claim.changes) if early else (catalog.apply(claim.changes), None)

    def _record(self, held: ActiveClaim, outcomes: Sequence[Outcome], *, others_wait: bool = False) -> None:
        claim = held.claim
        log.info(
            "batch",
            catalog=held.catalog,
            changes=len(outcomes),
            failed=sum(outcome.state is State.FAILED for outcome in outcomes),
            seconds=round(time.monotonic() - held.taken, 3),
        )
        refs = {change.product_id: ref for ref, change in zip(claim.refs, claim.changes, strict=True)}
        ended = [(refs[outcome.product_id], outcome) for outcome in outcomes]
        self._report(claim, lambda: self.claims.record(claim, ended, others_wait=others_wait))

    def _report(self, claim: Claim, tell: Callable[[], bool]) -> None:
        if not report(tell):
            log.warning("the lease was over before the work", claim=claim.id)

    def _put_off(self, held: ActiveClaim, error: LookalikeError) -> None:
        """Requeues a claim whose backend is away, or fails its changes where another try cannot help.

        A catalog that is not found has mostly been removed, and then the ledger cancels its changes.
        """
        claim = held.claim
        if isinstance(error, IndexUnavailable) and self._is_gone(claim.catalog_id):
            # Its changes have been canceled, or will be when the removal gets to them.
            log.info("the catalog of a batch was removed", claim=claim.id)
            self._report(claim, lambda: self.claims.give_back(claim))
            return
        delay = self._backoff.failed(claim.catalog_id, held.taken)
        if goes_on(error, delay, self._give_up):
            log.warning("a batch is put off", code=error.code, reason=str(error), seconds=delay.pause)
            self._report(claim, lambda: self.claims.give_back(claim, pause=delay.pause, error=error))
            return
        log.error("a batch fails", code=error.code, reason=str(error))
        if claim.removal:
            self._report(claim, lambda: self.claims.end_removal(claim, error.code))
            return
        self._record(held, [failed(change.product_id, error) for change in claim.changes])

    def _is_gone(self, catalog_id: str) -> bool:
        try:
            self._catalogs.by_id(catalog_id)
        except LookalikeError as error:
            return isinstance(error, CatalogNotFound)
        return False


def _rest(finish: Finish) -> Applied:
    return finish(), None


def _named(ids: Sequence[str]) -> list[str]:
    """The first few of them, each once: a batch of single puts has many."""
    return sorted(set(ids) - {""})[:NAMED]
