"""What the API does with the ledger: it accepts changes, reads jobs, cancels and retries them, and removes catalogs.

A message in the queue only wakes a worker. Which changes there are, which worker has them and how they ended is kept in
the ledger alone; each transition is one script, which runs whole or not at all.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

from redis.exceptions import LockError

from services.errors import (
    CatalogNotFound,
    Conflict,
    IdempotencyConflict,
    JobNotFound,
    LedgerUnavailable,
    ProductBusy,
    QueueFull,
)
from services.failpoints import hit
from services.ledger import jobs, payload, removal
from services.ledger.records import Counts, Named, Refusal, Removal, Stats
from services.ledger.store import Store, translated
from services.ledger.waits import waits, with_waits
from services.records import Change, Item, Job, JobState, Lane, State, Waiting

CHAIN_BYTES = 16_384
"""Room for the names of the changes that wait for one product: about a thousand."""
KEY_SECONDS = 86_400
PATIENCE_SECONDS = 1.5
"""How long `exclusive` waits for its turn: a caller waits for the answer."""
BEGUN_SECONDS = 30
"""How long an idempotency key is reserved for a request without a sign of life: then its process counts as dead."""


class Ledger:
    """Every accepted change and its outcome. Calls may come from several threads; every one raises `LedgerUnavailable`.

    Args:
        store: The Redis, which others may use, too.
        retention: Seconds that a finished job is kept.
        max_waiting: How many changes of a catalog may wait.
        exclusive_seconds: How long `exclusive` holds at most.
    """

    def __init__(
        self,
        store: Store,
        *,
        retention: int = 86_400,
        max_waiting: int = 2_000_000,
        exclusive_seconds: float = 60.0,
    ) -> None:
        self.store = store
        self._retention = retention
        self._max_waiting = max_waiting
        self._exclusive_seconds = exclusive_seconds

    # Accepting

    def accept(
        self,
        catalog_id: str,
        catalog: str,
        changes: Iterable[Change | Refusal | Named],
        *,
        lane: Lane,
        max_version: Callable[[], int],
        request_id: str = "",
        key: str = "",
        said: Mapping[str, Any] | None = None,
        removal: Removal | None = None,
    ) -> Job:
        """Accepts changes, all or none: once it returns none is lost, and their versions follow their order.

        Args:
            catalog_id: The catalog's ID.
            catalog: Its name.
            changes: Validated changes, whose images are `RemoteImage`, `StoredImage` or None, and the lines that were
                no changes. They are read in chunks, so that few of them are in memory.
            lane: Which queue of the catalog they go to.
            max_version: Returns the highest version in the catalog's index; called where the ledger does not know the
                catalog yet.
            request_id: The ID of the request, for logs.
            key: The idempotency key that was begun for this request, if any.
            said: What the job tells of the feed, as JSON.
            removal: What is removed in the end; without a filter, each of `changes` names its product.

        Raises:
            QueueFull: Too many changes, or removals, of the catalog wait.
            ProductBusy: Too many changes of one product wait.
            CatalogNotFound: The catalog was removed meanwhile.
        """
        keep = max(self._retention, KEY_SECONDS) if key else self._retention
        head = (catalog_id, catalog, lane.value, request_id, keep, CHAIN_BYTES)
        tail = (self._max_waiting, key, KEY_SECONDS, *_fields(removal))
        keeps_names = removal is not None and removal.filter is None and removal.forgone is None
        number = b"0"
        try:
            for total, lines, refused, names in payload.chunks(changes, named=keeps_names):
                hit("accept")
                note = json.dumps(said, ensure_ascii=False) if said and number == b"0" else ""
                arguments = [*head, total, *tail, names, len(refused), note, *refused, *lines]
                answer = self.store.run("write", number, *arguments)
                if answer[0] == b"unknown":
                    self._introduce(catalog_id, catalog, max_version)
                    answer = self.store.run("write", number, *arguments)
                if not answer[0].isdigit():
                    number = answer[2] if len(answer) > 2 else number
                    self._refuse(answer[0], catalog)
                number = answer[0]
                if key:
                    self._expire_key(key, total)
        except BaseException:
            if number != b"0":
                self._discard_quietly(number)
            raise
        hit("accepted")
        fields = dict(zip(answer[1][::2], answer[1][1::2], strict=True))
        return with_waits(self.store, [(jobs.job(number.decode(), fields), fields)])[0]

    def retry(self, id: str, *, request_id: str = "", key: str = "") -> Job:
        """Accepts the failed changes of a finished job as a new job, each with its old version: newer ones win.

        Raises `JobNotFound`, `Conflict` (not finished, or nothing failed that could be tried again), `QueueFull`.
        """
        number, found = self._found(id)
        job = jobs.job(number, found)
        if job.task:
            raise Conflict(f"Job {id} is a task ({job.task.kind}): send the request that began it again.")
        if job.finished_at is None:
            raise Conflict(f"Job {id} has not finished; retry it when it has.")
        base = int(found[b"b"])
        changes = jobs.failed_changes(self.store, number, base)
        first = next(changes, None)
        if first is None:
            raise Conflict(
                f"Nothing of job {id} can be tried again: no change of it has failed."
                if not job.failed
                else f"Nothing of job {id} can be tried again: what failed were no changes; correct and send them."
            )
        lane = Lane(found[b"l"].decode())
        again = (change for part in ([first], changes) for change in part)
        catalog_id = found[b"c"].decode()
        return self.accept(catalog_id, job.catalog, again, lane=lane, max_version=_gone, request_id=request_id, key=key)

    def reserve(self, catalog_id: str, catalog: str, max_version: Callable[[], int]) -> int:
        """A version of the catalog that no change gets: what has been accepted is below it, what will be is above.

        Raises `CatalogNotFound`.
        """
        answer = self.store.run("reserve", catalog_id)
        if answer == b"unknown":
            self._introduce(catalog_id, catalog, max_version)
            answer = self.store.run("reserve", catalog_id)
        if not answer.isdigit():
            self._refuse(answer, catalog)
        return int(answer)

    def introduce(self, catalog_id: str, catalog: str, max_version: int) -> None:
        """Registers a catalog that is being restored: later changes get versions above `max_version`.

        Raises `CatalogNotFound` while the catalog is being removed.
        """
        if not self.store.run("introduce", catalog_id, max_version, 1):
            self._refuse(b"removed", catalog)

    # Reading

    def job(self, id: str) -> Job:
        """Raises `JobNotFound`."""
        number, fields = self._found(id)
        return with_waits(self.store, [(jobs.job(number, fields), fields)])[0]

    def wait(self, id: str, seconds: float) -> Job:
        """The job as soon as it has finished, or as it is after so many seconds. Raises `JobNotFound`."""
        deadline = time.monotonic() + seconds
        finished = bool(self.store.run("wait", id))
        while not finished and (left := deadline - time.monotonic()) > 0:
            with translated():
                signal = self.store.redis.blpop([f"la:done:{id}"], timeout=max(0.01, min(left, 0.5)))
            finished = signal is not None
        return self.job(id)

    def jobs(
        self,
        *,
        catalog: str | None = None,
        state: JobState | None = None,
        since: float = 0.0,
        after: str | None = None,
        limit: int = 100,
    ) -> tuple[list[Job], str | None]:
        """Jobs that were created at `since` (Unix epoch seconds) or later, newest first, and the cursor of the next
        page (None: there is none). A page may be short.

        Raises `InvalidInput` (cursor).
        """
        return jobs.page(self.store, catalog=catalog, state=state, since=since, after=after, limit=limit)

    def items(
        self, id: str, *, state: State | None = State.FAILED, after: str | None = None, limit: int = 100
    ) -> tuple[list[Item], str | None]:
        """Items of a job: those that failed, in the order they did, or (state None) those that have not ended, in their
        own. A page may be short. Raises `JobNotFound`, `InvalidInput` (cursor)."""
        number, fields = self._found(id)
        if state is State.FAILED:
            return jobs.failed_page(self.store, number, after, limit)
        return jobs.waiting_page(self.store, number, int(fields.get(b"n", 0)), after, limit)

    def unfinished(self, catalog_id: str) -> Iterator[tuple[str, Lane, Change]]:
        """Every change of a catalog that has been accepted and has not ended, with its job and lane, in the order in
        which they were accepted."""
        return jobs.unfinished(self.store, catalog_id)

    def counts(self, catalog_id: str | None = None) -> Counts:
        """Totals of a catalog, or of all."""
        return jobs.counts(self.store, catalog_id)

    def stats(self) -> Stats:
        """What there is to do now, which workers are alive, and how fast changes ended in the last minute."""
        return jobs.stats(self.store)

    def waits(self) -> dict[str, Waiting]:
        """What the changes of catalogs wait for, by catalog ID: of those that workers put off."""
        return waits(self.store)

    def ping(self) -> None:
        """Does nothing but raise `LedgerUnavailable`."""
        with translated():
            self.store.redis.ping()

    # Ending

    def cancel(self, id: str) -> Job:
        """Cancels the changes that wait, and a removal; what a worker is processing ends by itself. Idempotent.

        Raises `JobNotFound`, `Conflict` (it is still being received).
        """
        number, fields = self._found(id)
        if b"b" not in fields:
            raise Conflict(f"Job {id} is still being received; cancel it when it is enqueued.")
        if b"s" not in fields:
            removal.cancel(self.store, number)
        return self.job(id)

    def drop(self, catalog_id: str, remove: Callable[[], None] = lambda: None) -> None:
        """Cancels all changes of a catalog, calls `remove`, and forgets the catalog; later changes are refused.

        Where `remove` raises, the catalog accepts changes again, and its versions go on; but where it raises
        `CatalogNotFound`, the catalog is forgotten all the same.
        """
        removal.drop(self.store, catalog_id, remove)

    @contextmanager
    def exclusive(self, name: str) -> Iterator[None]:
        """Runs the block in one process at a time; it has to end within `exclusive_seconds`.

        Raises `LedgerUnavailable`, also where another process takes too long.
        """
        lock = self.store.redis.lock(f"la:exclusive:{name}", timeout=self._exclusive_seconds)
        with translated():
            entered = lock.acquire(blocking_timeout=PATIENCE_SECONDS)
        if not entered:
            raise LedgerUnavailable(f"Another process is at work on {name}; try again in a moment.")
        try:
            yield
        finally:
            # Where the block took too long the lock has expired, or is another process's.
            with suppress(LockError), translated():
                lock.release()

    # Idempotency

    def begin(self, key: str, digest: str) -> Job | None:
        """Reserves an idempotency key for a request; where this repeats one, the job of the first.

        Raises `IdempotencyConflict`, with `in_flight` where the first request is in progress, without where its body
        was another one.
        """
        answer = self.store.run("begin", key, digest, BEGUN_SECONDS)
        if answer[0] == b"new":
            return None
        if answer[0] == b"job":
            return self.job(answer[1].decode())
        raise IdempotencyConflict(key, in_flight=answer[0] == b"in_flight")

    def release_key(self, key: str) -> None:
        """Releases a key that was begun, because nothing was accepted under it."""
        self.store.run("release_key", key)

    # Parts

    def _found(self, id: str) -> tuple[str, dict[bytes, bytes]]:
        found = jobs.find(self.store, id)
        if found is None:
            raise JobNotFound(f"There is no job {id[:40]!r}; finished ones are kept for {self._retention} seconds.")
        return found

    def _introduce(self, catalog_id: str, catalog: str, max_version: Callable[[], int]) -> None:
        if not self.store.run("introduce", catalog_id, max_version(), 0):
            self._refuse(b"removed", catalog)

    def _refuse(self, code: bytes, catalog: str) -> NoReturn:
        match code:
            case b"full":
                raise QueueFull(f"{self._max_waiting:,} changes of catalog {catalog} wait already; send this later.")
            case b"removals":
                raise QueueFull(f"Too many removals of catalog {catalog} wait already; send this later.")
            case b"busy":
                raise ProductBusy("More than about a thousand changes of one product would wait; send fewer, or later.")
            case b"removed" | b"unknown":
                raise CatalogNotFound(f"The catalog {catalog!r} was removed meanwhile.")
        raise LedgerUnavailable(f"The changes were not taken in whole ({code.decode()}); send them again.")

    def _expire_key(self, key: str, total: int) -> None:
        if total < 0:
            with translated():
                self.store.redis.expire(f"la:key:{key}", BEGUN_SECONDS)

    def _discard_quietly(self, number: bytes) -> None:
        try:
            removal.discard(self.store, number)
        except LedgerUnavailable:
            return  # upkeep will, because the job receives nothing any more


def _fields(removal: Removal | None) -> tuple[str | int, ...]:
    """A removal as the script `write` takes it."""
    if removal is None:
        return "", "", "", ""
    most = "" if removal.most is None else removal.most
    return removal.version, most, removal.filter or "", removal.forgone or ""


def _gone() -> int:
    raise CatalogNotFound("The catalog of this job was removed.")
