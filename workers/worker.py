"""What a worker does with the changes it claims."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Self
from uuid import uuid4

import stamina
import structlog

from services.catalog.catalogs import Catalogs
from services.catalog.writer import Finish
from services.errors import CatalogNotFound, IndexUnavailable, LedgerUnavailable, LookalikeError
from services.ledger import Claim, Claimed, Ledger
from services.records import Change, ChangeKind, Outcome, State, failed
from services.settings import Settings
from workers.backoff import FIRST_PAUSE, FORGOTTEN_SECONDS, LONGEST_PAUSE, Trouble
from workers.late import LateBatches

AWAY_SECONDS = 1.0
LATE_SECONDS = 0.25
"""A drain that waits for late images only looks so often for what else there is to do."""
ALONE_EVERY = 16
"""Batches between two turns of changes that ended workers before."""
ALONE_AT_ONCE = 16
"""Such changes in a turn, one after the other: most are innocent, and a crash may have made suspects of hundreds."""
TELL_SECONDS = 60.0
NAMED = 5
"""Jobs and requests that the log of a batch names."""

Applied = tuple[Sequence[Outcome], Finish | None]
"""How changes ended, and what does the others, whose images are late."""

log = structlog.get_logger("workers")


@dataclass
class ActiveClaim:
    """A claim at work. `taken` and `since` are times of `time.monotonic`, `since` None while its encoder is loaded."""

    claim: Claim
    taken: float = field(default_factory=time.monotonic)
    catalog: str = ""
    since: float | None = None
    lost: bool = False


class Worker:
    """One process's work on the ledger's changes: as many `drain`s at once as it has slots.

    While one batch is encoded, the next is fetched, decoded or written. A batch whose images are late gives its slot to
    the next, and ends when they are here. `give_up` is how many seconds a catalog may be in trouble (Qdrant away, disk
    full, weights not to be had) until its changes fail with the reason.
    """

    def __init__(self, ledger: Ledger, catalogs: Catalogs, *, batch_size: int, slots: int, give_up: float) -> None:
        self.id = f"{os.uname().nodename}:{os.getpid()}:{uuid4().hex[:8]}"
        self.ledger = ledger
        self.slots = slots
        self.batch_size = batch_size
        self._catalogs = catalogs
        self._give_up = give_up
        self._stopping = threading.Event()
        self._free = threading.Semaphore(slots)
        self._taking_all = threading.Lock()
        self._lock = threading.Lock()
        self._given_up = threading.Condition(self._lock)
        self._drains: set[str] = set()
        self._in_hand: dict[str, ActiveClaim] = {}
        self._trouble: dict[str, Trouble] = {}

    @classmethod
    def configured(cls, settings: Settings, ledger: Ledger, catalogs: Catalogs) -> Self:
        """A worker as the settings say."""
        return cls(
            ledger,
            catalogs,
            batch_size=settings.batch_size,
            slots=settings.concurrency,
            give_up=settings.give_up_seconds,
        )

    def drain(self) -> int:
        """Works until nothing waits or the worker stops, and ends what it took; gives how many batches that were."""
        drain = f"{self.id}/{uuid4().hex[:8]}"
        with self._lock:
            self._drains.add(drain)
        batches = 0
        away = False
        with LateBatches() as late:
            while not self.stopping:
                try:
                    claimed = self._claim_and_work(drain, late)
                    away = False
                    batches += claimed.claim is not None
                    if claimed.suspects and (not claimed.claim or batches % ALONE_EVERY == 0):
                        batches += self._work_alone(drain)
                    elif not claimed.claim and not claimed.more and not self.stopping:
                        if late:
                            late.wait(LATE_SECONDS)
                            continue
                        with self._lock:
                            self._drains.discard(drain)
                        break
                except LedgerUnavailable as error:
                    # It stays a drain, because for the ledger it is one: until its next claim finds nothing.
                    if not away:
                        log.warning("the ledger is away", reason=str(error))
                    away = True
                    self._stopping.wait(AWAY_SECONDS)
        return batches

    def stop(self) -> None:
        """Claims nothing more; what is in hand is finished."""
        self._stopping.set()

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    @property
    def in_hand(self) -> list[ActiveClaim]:
        """The claims at work now."""
        with self._lock:
            return list(self._in_hand.values())

    def extend(self) -> None:
        """Keeps the claims in hand. One whose lease was over is another worker's, or ended this moment; whoever records
        its outcomes is told."""
        for each in self.in_hand:
            if not each.lost:
                each.lost = not self.ledger.extend(each.claim)

    def give_back(self) -> None:
        """Lets others have what is in hand."""
        for each in self.in_hand:
            self.ledger.give_back(each.claim)

    def leave(self) -> None:
        """Tells the ledger that this worker is gone."""
        with self._lock:
            drains = set(self._drains)
        self.ledger.leave(self.id, self.slots, drains)

    def _claim_and_work(self, drain: str, late: "LateBatches") -> Claimed:
        with self._free:
            # Waiting may have taken long.
            if self.stopping:
                return Claimed(None)
            claimed = self.ledger.claim(drain, self.batch_size)
            if claimed.claim:
                self._work(claimed.claim, late)
            return claimed

    def _work_alone(self, drain: str) -> int:
        """Changes that have ended workers before, one by one, while this worker has nothing else in hand."""
        with self._taking_all:
            for _ in range(self.slots):
                self._free.acquire()
            try:
                with self._given_up:
                    self._given_up.wait_for(lambda: not self._in_hand)
                for done in range(ALONE_AT_ONCE):
                    claim = None if self.stopping else self.ledger.claim(drain, 1, alone=True).claim
                    if not claim:
                        return done
                    self._work(claim)
                return ALONE_AT_ONCE
            finally:
                self._free.release(self.slots)

    def _work(self, claim: Claim, late: "LateBatches | None" = None) -> None:
        """Does a claim, all of it where `late` is not given."""
        with ExitStack() as stack:
            held = stack.enter_context(self._held(claim))
            finish = self._step(held, partial(self._applied, held, early=late is not None))
            if finish and late is not None:
                late.add(partial(self._finish, stack.pop_all(), held, finish))

    def _finish(self, stack: ExitStack, held: ActiveClaim, finish: Finish) -> None:
        """Does the rest of a claim, whose images were late."""
        with stack:
            try:
                self._step(held, lambda: (finish(), None))
            except LedgerUnavailable as error:
                log.warning("what came late is done again, because the ledger is away", reason=str(error))

    def _step(self, held: ActiveClaim, apply: Callable[[], Applied]) -> Finish | None:
        """Applies changes of a claim and records how they ended; gives what does the rest, if some images are late."""
        claim = held.claim
        named = {"claim": claim.id, "jobs": _named(claim.jobs), "requests": _named(claim.requests)}
        with structlog.contextvars.bound_contextvars(**named):
            try:
                outcomes, finish = apply()
            except LookalikeError as error:
                self._set_back(held, error)
                return None
            except Exception:
                # A mistake of ours, or of what is beneath us. If it is about one change, that will show when each
                # runs alone; if about all of them, the pauses keep most from failing for it.
                pause = self._troubled(held).pause
                log.exception("a batch failed", seconds=pause)
                self._tell(claim, lambda: self.ledger.give_back(claim, pause=pause, crashed=True))
                return None
            self._trouble.pop(claim.catalog_id, None)
            if outcomes:
                self._record(held, outcomes)
            return finish

    def _applied(self, held: ActiveClaim, *, early: bool) -> Applied:
        claim = held.claim
        catalog = self._catalogs.by_id(claim.catalog_id)
        held.catalog = catalog.spec.name
        try:
            if any(_has_image(change) for change in claim.changes):
                catalog.load_encoder()
        except LookalikeError:
            # What needs no encoder is not to wait or fail for the want of one.
            held.since = time.monotonic()
            self._record(held, catalog.apply([change for change in claim.changes if not _has_image(change)]))
            raise
        held.since = time.monotonic()
        return catalog.apply_early(claim.changes) if early else (catalog.apply(claim.changes), None)

    def _record(self, held: ActiveClaim, outcomes: Sequence[Outcome]) -> None:
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
        self._tell(claim, lambda: self.ledger.record(claim, ended))

    def _tell(self, claim: Claim, tell: Callable[[], bool]) -> None:
        """Tells the ledger what became of a claim, which may take its Redis a while to hear."""
        for attempt in stamina.retry_context(on=LedgerUnavailable, attempts=None, timeout=TELL_SECONDS, wait_max=2.0):
            with attempt:
                if not tell():
                    log.warning("the lease was over before the work", claim=claim.id)

    def _set_back(self, held: ActiveClaim, error: LookalikeError) -> None:
        """A backend is away: the changes wait and are tried again, or fail where that cannot help.

        A catalog that is not here has been removed, and then the ledger cancels its changes; or this worker was given
        another data folder than the service has, which whoever started it can mend.
        """
        claim = held.claim
        if isinstance(error, IndexUnavailable) and self._is_gone(claim.catalog_id):
            # Its changes have been canceled, or will be when the one who removes it comes to that.
            log.info("the catalog of a batch was removed", claim=claim.id)
            self._tell(claim, lambda: self.ledger.give_back(claim))
            return
        trouble = self._troubled(held)
        may_come_back = error.retryable or isinstance(error, CatalogNotFound)
        if may_come_back and trouble.last - trouble.since < self._give_up:
            log.warning("a batch is put off", code=error.code, reason=str(error), seconds=trouble.pause)
            self._tell(claim, lambda: self.ledger.give_back(claim, pause=trouble.pause))
            return
        log.error("a batch fails", code=error.code, reason=str(error))
        self._record(held, [failed(change.product_id, error) for change in claim.changes])

    def _is_gone(self, catalog_id: str) -> bool:
        try:
            self._catalogs.by_id(catalog_id)
        except LookalikeError as error:
            return isinstance(error, CatalogNotFound)
        return False

    def _troubled(self, held: ActiveClaim) -> Trouble:
        """The trouble that a catalog is in, now that this has failed."""
        now = time.monotonic()
        with self._lock:
            trouble = self._trouble.get(held.claim.catalog_id)
            if trouble and held.taken - trouble.last < FORGOTTEN_SECONDS:
                trouble.pause = min(2 * trouble.pause, LONGEST_PAUSE)
                trouble.last = now
            else:
                trouble = self._trouble[held.claim.catalog_id] = Trouble(now, now, FIRST_PAUSE)
            return trouble

    @contextmanager
    def _held(self, claim: Claim) -> Iterator[ActiveClaim]:
        held = ActiveClaim(claim)
        with self._lock:
            self._in_hand[claim.id] = held
        try:
            yield held
        finally:
            with self._given_up:
                del self._in_hand[claim.id]
                self._given_up.notify_all()


def _named(ids: Sequence[str]) -> list[str]:
    """The first few of them, each once: a batch of single puts has many."""
    return sorted(set(ids) - {""})[:NAMED]


def _has_image(change: Change) -> bool:
    return change.kind is not ChangeKind.DELETE and change.image is not None
