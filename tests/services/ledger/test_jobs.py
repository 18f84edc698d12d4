"""Jobs and items page by page, waiting for an end, counts."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ledger_words import CATALOG, IMAGE, OTHER, Accept, End, Take, puts
from redis import Redis

from services.errors import InvalidInput, JobNotFound
from services.ledger import Claim, Claims, Ledger, Refusal, Store, connect
from services.records import Change, ChangeKind, Item, Job, JobState, State, StoredImage

C = CATALOG.encode()


def pages(call: Callable[..., tuple[list[Any], str | None]], **options: Any) -> Iterator[list[Any]]:
    """All pages, each asked for with the cursor of the one before."""
    found, after = call(**options)
    yield found
    while after is not None:
        found, after = call(after=after, **options)
        yield found


# Jobs


@pytest.mark.parametrize(
    ("limit", "expected"), [(1, [1] * 5), (2, [2, 2, 1]), (4, [4, 1]), (5, [5]), (6, [5]), (1000, [5])]
)
def test_jobs_newest_first(ledger: Ledger, accept: Accept, limit: int, expected: list[int]) -> None:
    jobs = [accept(puts(i)) for i in range(5)]
    found = list(pages(ledger.jobs, limit=limit))
    assert [job for page in found for job in page] == jobs[::-1]
    assert [len(page) for page in found] == expected


def test_there_are_no_jobs(ledger: Ledger) -> None:
    assert ledger.jobs() == ([], None)


def test_jobs_of_a_catalog_or_state(ledger: Ledger, accept: Accept, take: Take, end: End) -> None:
    done = accept(puts(1))
    end(take())
    waits, other, failed = accept(puts(1)), accept(puts(1), catalog=OTHER), accept([Refusal(0, "a", "bad", "Bad.")])

    def numbers(**options: Any) -> list[str]:
        return [job.id for page in pages(ledger.jobs, limit=1, **options) for job in page]

    assert numbers(catalog="name of c") == [failed.id, waits.id, done.id]
    assert numbers(catalog="name of d") == [other.id]
    assert numbers(catalog="none") == []
    assert numbers(state=JobState.ENQUEUED) == [other.id, waits.id]
    assert numbers(state=JobState.SUCCEEDED, catalog="name of c") == [done.id]
    assert numbers(state=JobState.FAILED) == [failed.id]
    assert numbers(state=JobState.PROCESSING) == []


def test_jobs_that_are_kept_no_more_are_passed_over(ledger: Ledger, accept: Accept, redis: Redis) -> None:
    first = accept([])
    redis.set("la:jobs", 4500)
    last = accept([])
    found = list(pages(ledger.jobs))
    assert [job.id for page in found for job in page] == [last.id, first.id] == ["4501", "1"]
    assert [len(page) for page in found] == [1, 0, 1], "no page looks at more than 2,000"


def test_a_cursor_stays_where_it_is_while_jobs_come_and_go(ledger: Ledger, accept: Accept, redis: Redis) -> None:
    jobs = [accept([]) for _ in range(4)]
    page, after = ledger.jobs(limit=2)
    accept([])
    redis.delete(f"la:job:{jobs[1].id}")
    assert (page, ledger.jobs(after=after)) == (jobs[:1:-1], ([jobs[0]], None))


@pytest.mark.parametrize("cursor", ["", "a", "-1", "1.5", "²", "9" * 19, "9" * 5000, " 1"])
def test_what_is_no_cursor(ledger: Ledger, accept: Accept, cursor: str) -> None:
    job = accept([])
    calls: list[Callable[[], object]] = [
        lambda: ledger.jobs(after=cursor),
        lambda: ledger.items(job.id, after=cursor),
        lambda: ledger.items(job.id, state=None, after=cursor),
    ]
    for call in calls:
        with pytest.raises(InvalidInput, match="The cursor"):
            call()


def test_a_cursor_of_nowhere_ends(ledger: Ledger, accept: Accept) -> None:
    jobs = [accept(puts(1)) for _ in range(2)]
    assert ledger.jobs(after="0") == ledger.jobs(after="1") == ([], None)
    assert ledger.jobs(after="9" * 18) == (jobs[::-1], None)
    for state in (State.FAILED, None):
        assert ledger.items("1", state=state, after="9" * 18) == ([], None)


# Items


def test_items_that_failed_in_the_order_they_did(ledger: Ledger, accept: Accept, take: Take, end: End) -> None:
    stored = Change("stored", image=StoredImage("0" * 64))
    job = accept([Refusal(0, "r", "bad", "Bad."), *puts(2), stored, Change("gone", ChangeKind.DELETE)])
    claim = take()
    for i in (3, 1, 2):
        end(claim, State.FAILED, [i])
    expected = [
        Item("r", State.FAILED, "bad", "Bad.", line=0),
        Item("gone", State.FAILED, "broken", "It is broken."),
        Item("p1", State.FAILED, "broken", "It is broken.", IMAGE.url),
        Item("stored", State.FAILED, "broken", "It is broken.", "0" * 64),
    ]
    for limit, sizes in ((1, [1] * 4), (2, [2, 2]), (3, [3, 1]), (4, [4]), (5, [4])):
        found = list(pages(lambda **options: ledger.items(job.id, **options), limit=limit))
        assert [item for page in found for item in page] == expected
        assert [len(page) for page in found] == sizes


def test_items_that_have_not_ended(ledger: Ledger, accept: Accept, take: Take, end: End) -> None:
    job = accept([*puts(8), Change("stored", image=StoredImage("0" * 64)), Change("gone", ChangeKind.DELETE)])
    claim = take(4)
    end(claim, State.APPLIED, [0, 2])
    expected = [
        *(Item(f"p{i}", None, image=IMAGE.url) for i in (1, 3, 4, 5, 6, 7)),
        Item("stored", None, image="0" * 64),
        Item("gone", None),
    ]
    for limit in (1, 3, 8, 9):
        found = list(pages(lambda **options: ledger.items(job.id, state=None, **options), limit=limit))
        assert [item for page in found for item in page] == expected
        assert all(len(page) == limit for page in found[:-1])


def test_items_that_have_not_ended_of_a_large_job(ledger: Ledger, accept: Accept, redis: Redis) -> None:
    job = accept(puts(4500))
    redis.hdel("la:items", *[f"{job.id}:{line}" for line in range(4499) if line != 2000])
    found = list(pages(lambda **options: ledger.items(job.id, state=None, **options)))
    assert found == [[], [Item("p2000", None, image=IMAGE.url)], [Item("p4499", None, image=IMAGE.url)]]


# Waiting


def test_whoever_waits_hears_at_once(
    ledger: Ledger, accept: Accept, take: Take, end: End, redis: Redis, valkey_url: str
) -> None:
    job = accept(puts(2))
    claim = take()
    heard: list[tuple[float, Job]] = []

    def wait() -> None:
        found = Ledger(connect(valkey_url)).wait(job.id, 20)
        heard.append((time.monotonic(), found))

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    until_blocked(redis, 3)
    end(claim, State.APPLIED, [0])
    assert heard == []
    end(claim, State.APPLIED, [1])
    ended = time.monotonic()
    for thread in threads:
        thread.join(10)
    assert [found for _, found in heard] == [ledger.job(job.id)] * 3
    assert heard[0][1].state is JobState.SUCCEEDED
    assert max(moment for moment, _ in heard) - ended < 0.3
    assert 0 < redis.ttl(f"la:done:{job.id}") <= 10 or not redis.exists(f"la:done:{job.id}")


def until_blocked(redis: Redis, clients: int) -> None:
    deadline = time.monotonic() + 300
    while redis.info("clients")["blocked_clients"] < clients:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_waiting_has_an_end(ledger: Ledger, accept: Accept, valkey_url: str) -> None:
    job = accept(puts(1))
    began = time.monotonic()
    assert ledger.wait(job.id, 0.05) == job
    assert 0.05 <= time.monotonic() - began < 10
    own = Ledger(connect(valkey_url))
    assert own.wait(job.id, 1.1) == job, "also one longer than Redis may take for an answer"
    began = time.monotonic()
    assert ledger.wait(job.id, 0) == job
    assert ledger.wait(job.id, -1) == job
    assert time.monotonic() - began < 10


def test_one_who_waited_too_short_takes_nobodys_word(
    ledger: Ledger, accept: Accept, take: Take, end: End, redis: Redis
) -> None:
    job = accept(puts(1))
    for _ in range(3):
        ledger.wait(job.id, 0.01)
    heard: list[Job] = []
    thread = threading.Thread(target=lambda: heard.append(ledger.wait(job.id, 20)))
    thread.start()
    until_blocked(redis, 1)
    end(take())
    thread.join(10)
    assert [found.state for found in heard] == [JobState.SUCCEEDED]
    assert 0 < redis.ttl(f"la:done:{job.id}") <= 10, "what is left of the news is gone soon"


def test_a_job_that_is_kept_no_more_is_not_waited_for(ledger: Ledger, redis: Redis) -> None:
    """It expired while whoever asked was on the way."""
    assert ledger.store.run("wait", "1") == 1
    assert redis.keys() == []


def test_what_has_ended_is_not_waited_for(ledger: Ledger, accept: Accept) -> None:
    job = accept([])
    began = time.monotonic()
    assert ledger.wait(job.id, 20) == job
    assert time.monotonic() - began < 10


# How long


def test_a_finished_job_is_kept_as_long_as_it_was_told_with_its_failures(
    accept: Accept, take: Take, end: End, redis: Redis
) -> None:
    ledger = Ledger(Store(redis), retention=5000)
    job = accept([*puts(1), Refusal(1, "r", "bad", "Bad.")], by=ledger)
    keys = [f"la:job:{job.id}", f"la:failed:{job.id}"]
    assert [redis.ttl(key) for key in keys] == [-1, -1]
    end(take(), State.FAILED)
    assert all(4990 <= redis.ttl(key) <= 5000 for key in keys)
    redis.delete(*keys)
    with pytest.raises(JobNotFound, match="finished ones are kept for 5000 seconds"):
        ledger.job(job.id)


def test_when_all_has_finished_and_expired_little_is_left(
    ledger: Ledger, claims: Claims, accept: Accept, take: Take, end: End, crash: Callable[[Claim], None], redis: Redis
) -> None:
    patch = Change("a", ChangeKind.PATCH, attributes={})
    for _ in range(3):
        accept([*puts(70), Refusal(0, "r", "bad", "Bad."), patch, patch])
    canceled = accept([patch, *puts(300)])
    crash(take())
    crash(take())
    ledger.cancel(canceled.id)
    ledger.wait("1", 0.01)
    while claim := claims.claim("drain", 64).claim or claims.claim("drain", 1, alone=True).claim:
        end(claim, State.FAILED, [0])
        if len(claim.refs) > 1:
            end(claim, State.APPLIED, range(1, len(claim.refs)))
    for key in redis.scan_iter():
        if redis.ttl(key) > 0:
            redis.delete(key)
    left = [b"la:catalogs", b"la:claims", b"la:counts:" + C, b"la:format", b"la:jobs", b"la:turns", b"la:version:" + C]
    assert sorted(redis.scan_iter()) == left
