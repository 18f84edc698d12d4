"""Jobs, changes, versions, leases and outcomes in Redis; each transition is one script, whole or not at all.

A queue message only wakes a worker: which changes there are, who works on them and how they ended is told here.
"""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

import redis
from redis.backoff import NoBackoff
from redis.exceptions import LockError
from redis.retry import Retry

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
from services.formats import Pending
from services.ledger import jobs, payload
from services.ledger.format import LedgerFormat
from services.ledger.rate import keys, rate
from services.ledger.records import Claim, Claimed, Counts, Refusal, Stats
from services.ledger.store import Scripts, translated
from services.records import Change, Item, Job, JobState, Lane, Outcome, State

CHUNK = 256
CHUNK_BYTES = 1 << 20
CHAIN_BYTES = 16_384
"""Room for the names of the changes that wait for one product: about a thousand."""
KEY_SECONDS = 86_400
EXCLUSIVE_SECONDS = 60.0
PATIENCE_SECONDS = 1.5
"""How long somebody who waits for an answer is kept waiting for another's turn to end."""
BEGUN_SECONDS = 30
"""How long an idempotency key stays with a request that says nothing: then its process is taken for dead."""


def connect(url: str) -> redis.Redis:
    """A client that answers or fails soon: whoever calls has a caller that waits."""
    return redis.Redis.from_url(
        url, socket_connect_timeout=0.5, socket_timeout=1.0, retry=Retry(NoBackoff(), 0), decode_responses=False
    )


class Ledger:
    """Every accepted change and what became of it. Calls may come from several threads.

    `lease` is how long a worker may be silent before others get its changes, `retention` how long a finished job is
    kept (seconds both), `max_waiting` how many changes of a catalog may wait. Every call raises `LedgerUnavailable`.
    """

    def __init__(
        self,
        client: redis.Redis,
        *,
        lease: float = 60.0,
        retention: int = 86_400,
        max_waiting: int = 2_000_000,
    ) -> None:
        # redis-py types each answer as text or bytes; this client's are bytes.
        self._redis: Any = client
        self._format = LedgerFormat(client)
        self._scripts = Scripts(client, self._format.upgrade_once)
        self.lease = lease
        self._retention = retention
        self._max_waiting = max_waiting

    def pending_upgrade(self) -> Pending:
        """What `upgrade` would do. Raises `FormatTooNew`."""
        with translated():
            return self._format.pending()

    def upgrade(self) -> Pending:
        """Brings a ledger that an older version wrote to the current format and tells what was done.

        The first call of a process that writes does so, too. Raises `FormatTooNew`.
        """
        with translated():
            return self._format.upgrade()

    # Accepting

    def accept(
        self,
        catalog_id: str,
        catalog: str,
        changes: Iterable[Change | Refusal],
        *,
        lane: Lane,
        max_version: Callable[[], int],
        request_id: str = "",
        key: str = "",
    ) -> Job:
        """Takes changes in, all or none: once it returns none is lost, and their versions follow their order.

        Images are `RemoteImage`, `StoredImage` or None; what is wrong with a change has been found out. `max_version`
        tells the highest version in the catalog's index, where the ledger does not know the catalog yet. `key` is the
        idempotency key that was begun for this request. Only a chunk of the changes is in memory.

        Raises `QueueFull`, `ProductBusy`, and `CatalogNotFound` where the catalog is removed meanwhile.
        """
        keep = max(self._retention, KEY_SECONDS) if key else self._retention
        head = (catalog_id, catalog, lane.value, request_id, keep, CHAIN_BYTES)
        tail = (self._max_waiting, key, KEY_SECONDS)
        number = b"0"
        try:
            for total, lines, refused in _chunks(changes):
                hit("accept")
                arguments = [*head, total, *tail, len(refused), *refused, *lines]
                answer = self._scripts.run("write", number, *arguments)
                if answer[0] == b"unknown":
                    self._introduce(catalog_id, catalog, max_version)
                    answer = self._scripts.run("write", number, *arguments)
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
        fields = answer[1]
        return jobs.job(number.decode(), dict(zip(fields[::2], fields[1::2], strict=True)))

    def retry(self, id: str, *, request_id: str = "", key: str = "") -> Job:
        """A new job of the changes that failed in a finished one, each at its old version: newer ones win.

        Raises `JobNotFound`, `Conflict` (not finished, or nothing failed that could be tried again), `QueueFull`.
        """
        number, found = self._found(id)
        job = jobs.job(number, found)
        if job.finished_at is None:
            raise Conflict(f"Job {id} has not finished; retry it when it has.")
        base = int(found[b"b"])
        changes = self._failed_changes(number, base)
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

    def introduce(self, catalog_id: str, catalog: str, max_version: int) -> None:
        """Makes a catalog known that is restored: the versions of what is accepted from now on are above this one.

        Raises `CatalogNotFound` while it is being removed.
        """
        if not self._scripts.run("introduce", catalog_id, max_version, 1):
            self._refuse(b"removed", catalog)

    # Reading

    def job(self, id: str) -> Job:
        """Raises `JobNotFound`."""
        return jobs.job(*self._found(id))

    def wait(self, id: str, seconds: float) -> Job:
        """The job as soon as it has finished, or as it is after so many seconds. Raises `JobNotFound`."""
        deadline = time.monotonic() + seconds
        finished = bool(self._scripts.run("wait", id))
        while not finished and (left := deadline - time.monotonic()) > 0:
            with translated():
                told = self._redis.blpop([f"la:done:{id}"], timeout=max(0.01, min(left, 0.5)))
            finished = told is not None
        return self.job(id)

    def jobs(
        self, *, catalog: str | None = None, state: JobState | None = None, after: str | None = None, limit: int = 100
    ) -> tuple[list[Job], str | None]:
        """Jobs, newest first, and the cursor that goes on (None: that was all). A page may be short.

        Raises `InvalidInput` (cursor).
        """
        with translated():
            return jobs.page(self._redis, catalog=catalog, state=state, after=after, limit=limit)

    def items(
        self, id: str, *, state: State | None = State.FAILED, after: str | None = None, limit: int = 100
    ) -> tuple[list[Item], str | None]:
        """The items of a job that failed, in the order they did, or (state None) those that have not ended, in their
        own. A page may be short. Raises `JobNotFound`, `InvalidInput` (cursor)."""
        number, found = self._found(id)
        with translated():
            if state is State.FAILED:
                return jobs.failed_page(self._redis, number, after, limit)
            return jobs.waiting_page(self._redis, number, int(found.get(b"n", 0)), after, limit)

    def unfinished(self, catalog_id: str) -> Iterator[tuple[str, Lane, Change]]:
        """Every change of a catalog that has been accepted and has not ended, with its job and lane, in the order in
        which they were accepted."""
        with translated():
            numbers = list(self._redis.smembers(f"la:open:{catalog_id}"))
            pipeline = self._redis.pipeline(transaction=False)
            for number in numbers:
                pipeline.hmget(b"la:job:" + number, "b", "n", "l")
            found = pipeline.execute()
        # One that has ended meanwhile may be forgotten.
        open = [(int(each[0]), number, each) for number, each in zip(numbers, found, strict=True) if each[0]]
        for base, number, (_, total, lane) in sorted(open):
            for start in range(0, int(total), CHUNK):
                lines = range(start, min(start + CHUNK, int(total)))
                with translated():
                    items = self._redis.hmget("la:items", [b"%b:%d" % (number, line) for line in lines])
                for line, item in zip(lines, items, strict=True):
                    if item is not None:
                        own = payload.own_version(item)
                        change = payload.unpacked(item, base + line + 1 if own is None else own)
                        yield number.decode(), Lane(lane.decode()), change

    def counts(self, catalog_id: str | None = None) -> Counts:
        """Totals of a catalog, or of all."""
        with translated():
            ids = [catalog_id.encode()] if catalog_id else [b"", *self._redis.lrange("la:catalogs", 0, -1)]
            pipeline = self._redis.pipeline(transaction=False)
            for each in ids:
                pipeline.hgetall(b"la:counts:" + each)
            found = pipeline.execute()
        return jobs.counts(found)

    def stats(self) -> Stats:
        """What there is to do now, who does it, and how fast changes ended lately."""
        counts = self.counts()
        with translated():
            now = self._now()
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.zrange("la:workers", now, "+inf", byscore=True)
            pipeline.mget(keys(now / 1000))
            workers, ended = pipeline.execute()
        slots = sum(int(worker.rpartition(b" ")[2]) for worker in workers)
        return Stats(counts, len(workers), slots, rate([int(count or 0) for count in ended], now / 1000))

    def ping(self) -> None:
        """Does nothing but raise `LedgerUnavailable`."""
        with translated():
            self._redis.ping()

    # Working

    def claim(self, drain: str, limit: int, *, alone: bool = False) -> Claimed:
        """Changes of one catalog for a drain, until the lease ends; `alone` asks for one that has ended workers.

        A drain is named `WORKER/...`: it takes one of that worker's slots.
        """
        hit("claim")
        answer = self._scripts.run("claim", drain, limit, int(self.lease * 1000), int(alone))
        id, catalog_id, suspects, more, *rest = answer
        if not rest:
            return Claimed(None, suspects, bool(more))
        hit("claimed")
        changes = [payload.unpacked(item, int(version)) for version, item in zip(rest[1::5], rest[2::5], strict=True)]
        refs, of_jobs, requests = ([each.decode() for each in rest[start::5]] for start in (0, 3, 4))
        claim = Claim(id.decode(), catalog_id.decode(), refs, changes, of_jobs, requests, alone)
        return Claimed(claim, suspects, bool(more))

    def extend(self, claim: Claim) -> bool:
        """Begins the lease anew; False where it was over and others have the changes."""
        return bool(self._scripts.run("extend", claim.id, int(self.lease * 1000)))

    def record(self, claim: Claim, outcomes: Sequence[tuple[str, Outcome]]) -> bool:
        """How changes ended, by their refs; each counts once. False where the lease was over: others have them."""
        arguments: list[Any] = []
        for ref, outcome in outcomes:
            arguments += [ref, outcome.state.value, payload.note(outcome.code, outcome.message)]
        hit("record")
        is_ours = bool(self._scripts.run("record", claim.id, *arguments))
        hit("recorded")
        return is_ours

    def give_back(self, claim: Claim, *, pause: float = 0.0, crashed: bool = False) -> bool:
        """Lets others have what has not ended of a claim, after a pause (seconds) of its catalog. `crashed`: the worker
        failed over it in a way it does not know, which counts as if it had ended."""
        return bool(self._scripts.run("give_back", claim.id, int(pause * 1000), int(crashed)))

    def register(self, worker: str, slots: int, seconds: float) -> None:
        """Tells that a worker lives for so many seconds and may run so many drains."""
        self._scripts.run("register", worker, slots, int(seconds * 1000))

    def leave(self, worker: str, slots: int, drains: Collection[str] = ()) -> None:
        """Tells that a worker is gone, with drains of it that are taken for busy: others have their place."""
        with translated():
            self._redis.zrem("la:workers", f"{worker} {slots}")
            if drains:
                self._redis.zrem("la:drains", *drains)

    def idle(self, batch: int) -> int:
        """How many more drains could use what waits now."""
        return int(self._scripts.run("idle", batch, 1))

    # Upkeep

    def lead(self, worker: str, seconds: float) -> bool:
        """Whether this worker is the one that does upkeep for so many seconds from now."""
        return bool(self._scripts.run("lead", worker, int(seconds * 1000)))

    def due(self, chore: str, seconds: int) -> bool:
        """Whether a chore is to be done now, which is so once in so many seconds, whoever asks."""
        with translated():
            return bool(self._redis.set(f"la:due:{chore}", 1, nx=True, ex=seconds))

    @contextmanager
    def exclusive(self, name: str) -> Iterator[None]:
        """One process at a time, for what must not happen twice at once and takes less than `EXCLUSIVE_SECONDS`.

        Raises `LedgerUnavailable`, also where another takes too long.
        """
        lock = self._redis.lock(f"la:exclusive:{name}", timeout=EXCLUSIVE_SECONDS)
        with translated():
            entered = lock.acquire(blocking_timeout=PATIENCE_SECONDS)
        if not entered:
            raise LedgerUnavailable(f"Another process is at work on {name}; try again in a moment.")
        try:
            yield
        finally:
            # Where it took too long the lock is gone, or another's.
            with suppress(LockError), translated():
                lock.release()

    def images(self) -> Iterator[str]:
        """The hash of each image in media that a change needs: one that has not ended, or failed and may be retried."""
        with translated():
            for _, item in self._redis.hscan_iter("la:items", count=CHUNK):
                yield from payload.images(item)
            for key in self._redis.scan_iter("la:failed:*", count=CHUNK):
                for entry in self._redis.lrange(key, 0, -1):
                    yield from payload.images(entry)

    def oldest(self, catalog_id: str) -> int | None:
        """A version below which nothing of the catalog waits, is in hand or may be retried; None where nothing does."""
        with translated():
            pipeline = self._redis.pipeline(transaction=False)
            failing = self._redis.zrange(f"la:failing:{catalog_id}", self._now(), "+inf", byscore=True)
            for number in [*self._redis.smembers(f"la:open:{catalog_id}"), *failing]:
                pipeline.hmget(b"la:job:" + number, "b", "low")
            found = pipeline.execute()
        # A retry keeps the versions that its changes had.
        return min((int(version) for versions in found for version in versions if version is not None), default=None)

    def expire(self, *, everything: bool = False) -> int:
        """Takes the claims whose lease is over from their workers (`everything`: all claims, where it is known that no
        worker lives); gives how many."""
        count = 0
        while expired := self._scripts.run("expire", int(everything)):
            count += len(expired)
        return count

    def reap(self, seconds: float) -> int:
        """Forgets jobs that have been receiving without a sign of life for so long; gives how many."""
        with translated():
            idle = self._redis.zrange("la:receiving", "-inf", self._now() - int(seconds * 1000), byscore=True)
        for number in idle:
            self._discard(number)
        return len(idle)

    def cancel(self, id: str) -> Job:
        """Cancels what still waits; what a worker has in hand ends by itself. Again is harmless.

        Raises `JobNotFound`, `Conflict` (it is still being received).
        """
        number, found = self._found(id)
        if b"b" not in found:
            raise Conflict(f"Job {id} is still being received; cancel it when it is enqueued.")
        if b"s" not in found:
            self._settle_all(number, State.CANCELED)
        return self.job(id)

    def drop(self, catalog_id: str, remove: Callable[[], None] = lambda: None) -> None:
        """Cancels everything of a catalog, has `remove` remove it, and forgets it; what comes from now on is refused.

        Where `remove` raises the catalog takes changes again, and its versions go on; not where it is gone already.
        """
        for number in self._scripts.run("drop", catalog_id, "begin"):
            self._settle_all(number.decode(), State.CANCELED, force=True)
        try:
            remove()
        except CatalogNotFound:
            self._scripts.run("drop", catalog_id, "end")
            raise
        except BaseException:
            self._scripts.run("drop", catalog_id, "undo")
            raise
        self._scripts.run("drop", catalog_id, "end")

    def resume_drops(self, seconds: float, is_there: Callable[[str], bool]) -> None:
        """Ends the drops that were begun so long ago that whoever did has died: a catalog that is still there takes
        changes again, and one that is not is forgotten."""
        with translated():
            begun = self._redis.zrange("la:dropping", "-inf", self._now() - int(seconds * 1000), byscore=True)
        for catalog_id in map(bytes.decode, begun):
            if is_there(catalog_id):
                self._scripts.run("drop", catalog_id, "undo")
            else:
                self.drop(catalog_id)

    # Idempotency

    def begin(self, key: str, digest: str) -> Job | None:
        """Reserves an idempotency key for a request; where this repeats one, the job of the first.

        Raises `IdempotencyConflict`; its `in_flight` tells a first request that is under way from another body.
        """
        answer = self._scripts.run("begin", key, digest, BEGUN_SECONDS)
        if answer[0] == b"new":
            return None
        if answer[0] == b"job":
            return self.job(answer[1].decode())
        raise IdempotencyConflict(key, in_flight=answer[0] == b"in_flight")

    def let_go(self, key: str) -> None:
        """Frees a key that was begun, because nothing was accepted under it."""
        self._scripts.run("release_key", key)

    # Parts

    def _now(self) -> int:
        seconds, microseconds = self._redis.time()
        return int(seconds) * 1000 + int(microseconds) // 1000

    def _found(self, id: str) -> tuple[str, dict[bytes, bytes]]:
        if id.isascii() and id.isdigit() and len(id) < 19:
            with translated():
                found = self._redis.hgetall(f"la:job:{int(id)}")
            if found:
                return str(int(id)), found
        raise JobNotFound(f"There is no job {id[:40]!r}; finished ones are kept for {self._retention} seconds.")

    def _introduce(self, catalog_id: str, catalog: str, max_version: Callable[[], int]) -> None:
        if not self._scripts.run("introduce", catalog_id, max_version(), 0):
            self._refuse(b"removed", catalog)

    def _refuse(self, code: bytes, catalog: str) -> NoReturn:
        match code:
            case b"full":
                raise QueueFull(f"{self._max_waiting:,} changes of catalog {catalog} wait already; send this later.")
            case b"busy":
                raise ProductBusy("More than about a thousand changes of one product would wait; send fewer, or later.")
            case b"removed" | b"unknown":
                raise CatalogNotFound(f"The catalog {catalog!r} was removed meanwhile.")
        raise LedgerUnavailable(f"The changes were not taken in whole ({code.decode()}); send them again.")

    def _expire_key(self, key: str, total: int) -> None:
        if total < 0:
            with translated():
                self._redis.expire(f"la:key:{key}", BEGUN_SECONDS)

    def _discard_quietly(self, number: bytes) -> None:
        try:
            self._discard(number)
        except LedgerUnavailable:
            return  # upkeep will: it says nothing any more

    def _discard(self, number: bytes) -> None:
        with translated():
            fields = self._redis.hmget(b"la:job:" + number, "got", "f")
        # Lines of a chunk that was refused half-way are not in the count yet.
        lines = sum(int(field or 0) for field in fields) + 2 * CHUNK
        for start in range(0, lines, CHUNK):
            self._scripts.run("discard", number, *range(start, start + CHUNK))
        self._scripts.run("discard", number)

    def _settle_all(self, number: str, state: State, *, force: bool = False) -> None:
        for start in range(0, self.job(number).total, CHUNK):
            self._scripts.run("settle", number, state.value, int(force), *range(start, start + CHUNK))

    def _failed_changes(self, number: str, base: int) -> Iterator[Change]:
        start = 0
        while True:
            with translated():
                entries = self._redis.lrange(f"la:failed:{number}", start, start + CHUNK - 1)
            if not entries:
                return
            for entry in entries:
                head, _, item = entry.partition(b"\n")
                if item:
                    line = int(head.partition(b" ")[0])
                    version = payload.own_version(item)
                    yield payload.unpacked(item, base + line + 1 if version is None else version)
            start += CHUNK


def _chunks(changes: Iterable[Change | Refusal]) -> Iterator[tuple[int, list[Any], list[bytes]]]:
    """Chunks as the script takes them: the total with the last one and -1 before, lines and payloads, refused."""
    lines: list[Any] = []
    refused: list[bytes] = []
    size = total = 0
    for change in changes:
        if len(lines) >= 2 * CHUNK or len(refused) >= CHUNK or size > CHUNK_BYTES:
            yield -1, lines, refused
            lines, refused, size = [], [], 0
        if isinstance(change, Refusal):
            note = payload.note(change.code, change.message, change.product_id)
            refused.append(b"%d %s" % (change.line, note))
        else:
            item = payload.packed(change)
            lines += [total, item]
            size += len(item)
        total += 1
    yield total, lines, refused


def _gone() -> int:
    raise CatalogNotFound("The catalog of this job was removed.")
