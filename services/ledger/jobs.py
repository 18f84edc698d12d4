"""Reads jobs, items and counts from Redis. Nothing here changes anything; every call raises `LedgerUnavailable`."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from services.errors import InvalidInput
from services.ledger import payload
from services.ledger.rate import keys, rate
from services.ledger.records import Counts, Stats
from services.ledger.store import CHUNK, Store, translated
from services.ledger.waits import with_waits
from services.records import Change, Item, Job, JobState, Lane, State, Task

WINDOW = 2000
"""Jobs or lines that one page looks at: a page may be short, so that no call takes long."""


def find(store: Store, id: str) -> tuple[str, dict[bytes, bytes]] | None:
    """The number and the hash of a job; None where there is no such job."""
    if not _is_number(id):
        return None
    number = str(int(id))
    with translated():
        fields = store.redis.hgetall(f"la:job:{number}")
    return (number, fields) if fields else None


def job(number: str, fields: Mapping[bytes, bytes]) -> Job:
    """The job that a hash describes."""
    why = fields[b"why"].decode() if b"why" in fields else None
    return Job(
        id=number,
        catalog=fields[b"cn"].decode(),
        state=_state(fields),
        # A removal that has not ended is the last line of its job, and a task the only one; neither is a change.
        total=int(fields.get(b"n", 0)) - (b"v" in fields) - (b"due" in fields),
        applied=int(fields.get(b"a", 0)),
        unchanged=int(fields.get(b"u", 0)),
        superseded=int(fields.get(b"x", 0)),
        failed=int(fields.get(b"f", 0)),
        canceled=int(fields.get(b"k", 0)),
        created_at=int(fields[b"t0"]) / 1000,
        started_at=_time(fields, b"t1"),
        finished_at=_time(fields, b"t2"),
        said=json.loads(fields.get(b"said", b"{}")),
        removed=int(fields.get(b"rm", 0)),
        not_removed=None if b"tk" in fields else why,
        task=_task(fields, why) if b"tk" in fields else None,
        images=int(fields.get(b"im", 0)),
    )


def page(
    store: Store, *, catalog: str | None, state: JobState | None, since: float, after: str | None, limit: int
) -> tuple[list[Job], str | None]:
    """Jobs before `after` that were created at `since` or later, newest first, and the cursor of the next page.

    Raises `InvalidInput` (cursor).
    """
    with translated():
        upto = int(store.redis.get("la:jobs") or 0)
        if after is not None:
            upto = min(upto, _cursor(after) - 1)
        last = max(0, upto - WINDOW)
        found: list[tuple[Job, Mapping[bytes, bytes]]] = []
        while upto > last:
            for number, fields in _hashes(store.redis, range(upto, max(last, upto - 100), -1)):
                upto = number - 1
                if not fields:
                    continue
                each = job(str(number), fields)
                if each.created_at < since:
                    return with_waits(store, found), None  # numbers are given in the order of creation
                if catalog in (None, each.catalog) and state in (None, each.state):
                    found.append((each, fields))
                if len(found) == limit:
                    return with_waits(store, found), str(number) if upto else None
    return with_waits(store, found), str(upto + 1) if upto > 0 else None


def failed_page(store: Store, number: str, after: str | None, limit: int) -> tuple[list[Item], str | None]:
    """Failed items from the position `after` on. Raises `InvalidInput` (cursor)."""
    start = _cursor(after) if after is not None else 0
    with translated():
        entries = store.redis.lrange(f"la:failed:{number}", start, start + limit)
    items = [payload.failed_item(entry) for entry in entries[:limit]]
    return items, str(start + limit) if len(entries) > limit else None


def waiting_page(store: Store, number: str, total: int, after: str | None, limit: int) -> tuple[list[Item], str | None]:
    """Items that have not ended, from the line `after` on. Raises `InvalidInput` (cursor)."""
    start = _cursor(after) if after is not None else 0
    end = min(total, start + WINDOW)
    items: list[Item] = []
    for first in range(start, end, 100):
        for line, item in _payloads(store, number.encode(), range(first, first + 100)):
            if len(items) == limit:
                return items, str(line)
            items.append(payload.waiting_item(item))
    return items, str(end) if end < total else None


def unfinished(store: Store, catalog_id: str) -> Iterator[tuple[str, Lane, Change]]:
    """Every change of a catalog that has been accepted and has not ended, with its job and lane, in the order in which
    they were accepted."""
    with translated():
        numbers = list(store.redis.smembers(f"la:open:{catalog_id}"))
        pipeline = store.redis.pipeline(transaction=False)
        for number in numbers:
            pipeline.hmget(b"la:job:" + number, "b", "n", "l")
        found = pipeline.execute()
    # A job that has finished meanwhile may be forgotten.
    open = [(int(each[0]), number, each) for number, each in zip(numbers, found, strict=True) if each[0]]
    for base, number, (_, total, lane) in sorted(open):
        for start in range(0, int(total), CHUNK):
            for line, item in _payloads(store, number, range(start, min(start + CHUNK, int(total)))):
                yield number.decode(), Lane(lane.decode()), payload.change(item, base, line)


def failed_changes(store: Store, number: str, base: int) -> Iterator[Change]:
    """The changes of a job that failed, with the versions that they had; lines that were no changes are left out."""
    start = 0
    while True:
        with translated():
            entries = store.redis.lrange(f"la:failed:{number}", start, start + CHUNK - 1)
        if not entries:
            return
        for entry in entries:
            head, _, item = entry.partition(b"\n")
            if item:
                yield payload.change(item, base, int(head.partition(b" ")[0]))
        start += CHUNK


def counts(store: Store, catalog_id: str | None) -> Counts:
    """Totals of a catalog, or of all."""
    with translated():
        ids = [catalog_id.encode()] if catalog_id else [b"", *store.redis.lrange("la:catalogs", 0, -1)]
        pipeline = store.redis.pipeline(transaction=False)
        for each in ids:
            pipeline.hgetall(b"la:counts:" + each)
        found = pipeline.execute()
    sums: dict[bytes, int] = {}
    for fields in found:
        for name, value in fields.items():
            sums[name] = sums.get(name, 0) + int(value)
    ended = {state: sums.get(state.value.encode(), 0) for state in State}
    return Counts(sums.get(b"waiting", 0), sums.get(b"in_flight", 0), ended)


def stats(store: Store) -> Stats:
    """What there is to do now, which workers are alive, and how fast changes ended in the last minute.

    A removal or task that has not ended counts as one that waits, or whoever starts workers by this would start none
    for it.
    """
    totals = counts(store, None)
    with translated():
        now = store.now()
        pipeline = store.redis.pipeline(transaction=False)
        for each in store.redis.lrange("la:catalogs", 0, -1):
            pipeline.llen(b"la:removals:" + each)
            pipeline.llen(b"la:tasks:" + each)
        not_ended = sum(pipeline.execute())
        pipeline = store.redis.pipeline(transaction=False)
        pipeline.zrange("la:workers", now, "+inf", byscore=True)
        pipeline.mget(keys(now / 1000))
        workers, ended = pipeline.execute()
    slots = sum(int(worker.rpartition(b" ")[2]) for worker in workers)
    totals = replace(totals, waiting=totals.waiting + not_ended)
    return Stats(totals, len(workers), slots, rate([int(count or 0) for count in ended], now / 1000))


def _hashes(redis: Any, numbers: range) -> Iterator[tuple[int, dict[bytes, bytes]]]:
    pipeline = redis.pipeline(transaction=False)
    for number in numbers:
        pipeline.hgetall(f"la:job:{number}")
    return zip(numbers, pipeline.execute(), strict=True)


def _payloads(store: Store, number: bytes, lines: range) -> Iterator[tuple[int, bytes]]:
    """The payloads of a job's lines that have not ended."""
    with translated():
        items = store.redis.hmget("la:items", [b"%b:%d" % (number, line) for line in lines])
    return ((line, item) for line, item in zip(lines, items, strict=True) if item is not None)


def _state(fields: Mapping[bytes, bytes]) -> JobState:
    if b"s" in fields:
        return JobState(fields[b"s"].decode())
    if b"b" not in fields:
        return JobState.RECEIVING
    return JobState.PROCESSING if b"t1" in fields else JobState.ENQUEUED


def _task(fields: Mapping[bytes, bytes], code: str | None) -> Task:
    return Task(
        fields[b"tk"].decode(),
        json.loads(fields[b"par"]),
        done=int(fields.get(b"td", 0)),
        total=int(fields[b"tt"]) if b"tt" in fields else None,
        checkpoint=json.loads(fields.get(b"ck", b"null")),
        result=json.loads(fields.get(b"res", b"null")),
        code=code,
        message=fields[b"msg"].decode() if b"msg" in fields else None,
    )


def _time(fields: Mapping[bytes, bytes], name: bytes) -> float | None:
    return int(fields[name]) / 1000 if name in fields else None


def _cursor(after: str) -> int:
    if not _is_number(after):
        raise InvalidInput(f"The cursor {after[:40]!r} is none; take `next` of the page before.")
    return int(after)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19
