"""What a worker does with the changes it claims."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self
from uuid import uuid4

import stamina
import structlog

from services.catalog import Catalog
from services.catalogs import Catalogs
from services.errors import CatalogNotFound, IndexUnavailable, LedgerUnavailable, LookalikeError
from services.ledger import Claim, Claimed, Ledger
from services.records import Change, ChangeKind, Outcome, State
from services.settings import Settings

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
FORGOTTEN_SECONDS = 300.0
"""Where nothing of a catalog has failed for so long, its trouble is another one."""
AWAY_SECONDS = 1.0
ALONE_EVERY = 16
"""Batches between two turns of a change that ended workers before."""
TELL_SECONDS = 60.0
NAMED = 5
"""Jobs and requests that the log of a batch names."""

log = structlog.get_logger("workers")


@dataclass
class InHand:
    """A claim at work. `taken` and `since` are times of `time.monotonic`, `since` None while its encoder is loaded."""

    claim: Claim
    taken: float = field(default_factory=time.monotonic)
    since: float | None = None
    lost: bool = False


@dataclass
class Trouble:
    """A catalog whose changes cannot be applied for now. `since` and `last` are times of `time.monotonic`."""

    since: float
    last: float
    pause: float


class Worker:
    """One process's work on the ledger's changes: as many `drain`s at once as it has slots.

    While one batch is encoded, the next is fetched, decoded or written. `give_up` is how many seconds a catalog may
    be in trouble (Qdrant away, disk full, weights not to be had) until its changes fail with the reason.
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
        self._drains: set[str] = set()
        self._in_hand: dict[str, InHand] = {}
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
        """Works until nothing waits or the worker stops; gives how many batches that were."""
        drain = f"{self.id}/{uuid4().hex[:8]}"
        with self._lock:
            self._drains.add(drain)
        batches = 0
        away = False
        while not self.stopping:
            try:
                claimed = self._claim_and_work(drain)
                batches += claimed.claim is not None
                if claimed.suspects and (not claimed.claim or batches % ALONE_EVERY == 0):
                    batches += self._work_alone(drain)
                elif not claimed.claim and not claimed.more and not self.stopping:
                    with self._lock:
                        self._drains.discard(drain)
                    break
                away = False
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
    def in_hand(self) -> list[InHand]:
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

    def _claim_and_work(self, drain: str) -> Claimed:
        with self._free:
            # Waiting may have taken long.
            if self.stopping:
                return Claimed(None)
            claimed = self.ledger.claim(drain, self.batch_size)
            if claimed.claim:
                self._work(claimed.claim)
            return claimed

    def _work_alone(self, drain: str) -> int:
        """One change that has ended workers before, while this worker has nothing else in hand."""
        with self._taking_all:
            for _ in range(self.slots):
                self._free.acquire()
            try:
                claim = None if self.stopping else self.ledger.claim(drain, 1, alone=True).claim
                if claim:
                    self._work(claim)
                return int(claim is not None)
            finally:
                self._free.release(self.slots)

    def _work(self, claim: Claim) -> None:
        named = {"claim": claim.id, "jobs": _named(claim.jobs), "requests": _named(claim.requests)}
        with self._held(claim) as held, structlog.contextvars.bound_contextvars(**named):
            try:
                outcomes = self._applied(held)
            except LookalikeError as error:
                self._set_back(held, error)
            except Exception:
                # A mistake of ours, or of what is beneath us. If it is about one change, that will show when each
                # runs alone; if about all of them, the pauses keep most from failing for it.
                pause = self._troubled(held).pause
                log.exception("a batch failed", seconds=pause)
                self._tell(claim, lambda: self.ledger.give_back(claim, pause=pause, crashed=True))
            else:
                self._trouble.pop(claim.catalog_id, None)
                self._record(claim, outcomes)

    def _applied(self, held: InHand) -> dict[str, Outcome]:
        """Outcomes by ref."""
        claim = held.claim
        changes = dict(zip(claim.refs, claim.changes, strict=True))
        catalog = self._catalogs.by_id(claim.catalog_id)
        try:
            if any(_has_image(change) for change in claim.changes):
                catalog.load_encoder()
        except LookalikeError:
            # What needs no encoder is not to wait or fail for the want of one.
            others = {ref: change for ref, change in changes.items() if not _has_image(change)}
            self._record(claim, self._apply(catalog, held, others))
            raise
        return self._apply(catalog, held, changes)

    def _apply(self, catalog: Catalog, held: InHand, changes: dict[str, Change]) -> dict[str, Outcome]:
        held.since = time.monotonic()
        outcomes = dict(zip(changes, catalog.apply(list(changes.values())), strict=True))
        log.info(
            "batch",
            catalog=catalog.spec.name,
            changes=len(outcomes),
            failed=sum(outcome.state is State.FAILED for outcome in outcomes.values()),
            seconds=round(time.monotonic() - held.taken, 3),
        )
        return outcomes

    def _record(self, claim: Claim, outcomes: dict[str, Outcome]) -> None:
        self._tell(claim, lambda: self.ledger.record(claim, list(outcomes.items())))

    def _tell(self, claim: Claim, tell: Callable[[], bool]) -> None:
        """Tells the ledger what became of a claim, which may take its Redis a while to hear."""
        for attempt in stamina.retry_context(on=LedgerUnavailable, attempts=None, timeout=TELL_SECONDS, wait_max=2.0):
            with attempt:
                if not tell():
                    log.warning("the lease was over before the work", claim=claim.id)

    def _set_back(self, held: InHand, error: LookalikeError) -> None:
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
        failed = [Outcome(change.product_id, State.FAILED, error.code, str(error)) for change in claim.changes]
        self._record(claim, dict(zip(claim.refs, failed, strict=True)))

    def _is_gone(self, catalog_id: str) -> bool:
        try:
            self._catalogs.by_id(catalog_id)
        except LookalikeError as error:
            return isinstance(error, CatalogNotFound)
        return False

    def _troubled(self, held: InHand) -> Trouble:
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
    def _held(self, claim: Claim) -> Iterator[InHand]:
        held = InHand(claim)
        with self._lock:
            self._in_hand[claim.id] = held
        try:
            yield held
        finally:
            with self._lock:
                del self._in_hand[claim.id]


def _named(ids: Sequence[str]) -> list[str]:
    """The first few of them, each once: a batch of single puts has many."""
    return sorted(set(ids) - {""})[:NAMED]


def _has_image(change: Change) -> bool:
    return change.kind is not ChangeKind.DELETE and change.image is not None
