"""Jobs and items out of what Redis holds of them."""

from collections.abc import Iterable, Mapping
from typing import Any

from services.errors import InvalidInput
from services.ledger import payload
from services.ledger.records import Counts
from services.records import Item, Job, JobState, State

WINDOW = 2000
"""Jobs or lines that one page looks at: a page may be short, so that no call takes long."""


def job(number: str, found: Mapping[bytes, bytes]) -> Job:
    """A job out of its hash."""
    total = int(found.get(b"n", 0))
    return Job(
        id=number,
        catalog=found[b"cn"].decode(),
        state=_state(found),
        total=total,
        applied=int(found.get(b"a", 0)),
        unchanged=int(found.get(b"u", 0)),
        superseded=int(found.get(b"x", 0)),
        failed=int(found.get(b"f", 0)),
        canceled=int(found.get(b"k", 0)),
        created_at=int(found[b"t0"]) / 1000,
        started_at=_time(found, b"t1"),
        finished_at=_time(found, b"t2"),
    )


def page(
    redis: Any, *, catalog: str | None, state: JobState | None, after: str | None, limit: int
) -> tuple[list[Job], str | None]:
    """Jobs before `after`, newest first."""
    upto = int(redis.get("la:jobs") or 0)
    if after is not None:
        upto = min(upto, _cursor(after) - 1)
    last = max(0, upto - WINDOW)
    found: list[Job] = []
    while upto > last:
        numbers = range(upto, max(last, upto - 100), -1)
        pipeline = redis.pipeline(transaction=False)
        for number in numbers:
            pipeline.hgetall(f"la:job:{number}")
        for number, fields in zip(numbers, pipeline.execute(), strict=True):
            upto = number - 1
            if not fields:
                continue
            each = job(str(number), fields)
            if catalog in (None, each.catalog) and state in (None, each.state):
                found.append(each)
            if len(found) == limit:
                return found, str(number) if upto else None
    return found, str(upto + 1) if upto > 0 else None


def failed_page(redis: Any, number: str, after: str | None, limit: int) -> tuple[list[Item], str | None]:
    """Failed items from the place `after` on."""
    start = _cursor(after) if after is not None else 0
    entries = redis.lrange(f"la:failed:{number}", start, start + limit)
    items = [payload.failed_item(entry) for entry in entries[:limit]]
    return items, str(start + limit) if len(entries) > limit else None


def waiting_page(redis: Any, number: str, total: int, after: str | None, limit: int) -> tuple[list[Item], str | None]:
    """Items that have not ended, from the line `after` on."""
    start = _cursor(after) if after is not None else 0
    end = min(total, start + WINDOW)
    items: list[Item] = []
    for first in range(start, end, 100):
        lines = range(first, first + 100)
        for line, item in zip(lines, redis.hmget("la:items", [f"{number}:{line}" for line in lines]), strict=True):
            if item is not None:
                if len(items) == limit:
                    return items, str(line)
                items.append(payload.waiting_item(item))
    return items, str(end) if end < total else None


def counts(found: Iterable[Mapping[bytes, bytes]]) -> Counts:
    """The sum of the counts of catalogs."""
    sums: dict[bytes, int] = {}
    for fields in found:
        for name, value in fields.items():
            sums[name] = sums.get(name, 0) + int(value)
    ended = {state: sums.get(state.value.encode(), 0) for state in State}
    return Counts(sums.get(b"waiting", 0), sums.get(b"in_flight", 0), ended)


def _state(found: Mapping[bytes, bytes]) -> JobState:
    if b"s" in found:
        return JobState(found[b"s"].decode())
    if b"b" not in found:
        return JobState.RECEIVING
    return JobState.PROCESSING if b"t1" in found else JobState.ENQUEUED


def _time(found: Mapping[bytes, bytes], name: bytes) -> float | None:
    return int(found[name]) / 1000 if name in found else None


def _cursor(after: str) -> int:
    if not (after.isascii() and after.isdigit() and len(after) < 19):
        raise InvalidInput(f"The cursor {after[:40]!r} is none; take `next` of the page before.")
    return int(after)
