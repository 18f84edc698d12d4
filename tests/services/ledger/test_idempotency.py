"""A request that is repeated with its key is the same request."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ledger_words import Accept
from redis import Redis

from services.errors import IdempotencyConflict, JobNotFound
from services.ledger import Ledger, Store
from services.ledger.ledger import BEGUN_SECONDS, KEY_SECONDS
from services.records import Change, RemoteImage

Everything = Callable[[], dict[str, Any]]

KEY, DIGEST, OTHER = "name:key 1", "d1" * 32, "d2" * 32


def puts(count: int) -> list[Change]:
    return [Change(f"p{i}", image=RemoteImage("http://x.example/1")) for i in range(count)]


def test_a_request_that_is_repeated_has_the_job_of_the_first(ledger: Ledger, accept: Accept) -> None:
    assert ledger.begin(KEY, DIGEST) is None
    job = accept(puts(1), key=KEY)
    assert ledger.begin(KEY, DIGEST) == ledger.begin(KEY, DIGEST) == job
    ledger.cancel(job.id)
    assert ledger.begin(KEY, DIGEST) == ledger.job(job.id), "as it is now"
    assert ledger.jobs()[0] == [ledger.job(job.id)]


def test_a_key_is_of_one_request(ledger: Ledger, accept: Accept) -> None:
    assert ledger.begin(KEY, DIGEST) is None
    for digest, in_flight in ((OTHER, False), (DIGEST, True)):
        with pytest.raises(IdempotencyConflict) as caught:
            ledger.begin(KEY, digest)
        assert caught.value.in_flight is in_flight
    accept(puts(1), key=KEY)
    with pytest.raises(IdempotencyConflict) as caught:
        ledger.begin(KEY, OTHER)
    assert caught.value.in_flight is False
    assert ledger.begin("name:key 2", OTHER) is None


def test_a_key_that_is_let_go_is_free(ledger: Ledger, everything: Everything) -> None:
    ledger.begin(KEY, DIGEST)
    ledger.release_key(KEY)
    assert everything() == {}
    ledger.release_key(KEY)
    assert ledger.begin(KEY, OTHER) is None


def test_a_key_of_something_accepted_is_not_let_go(ledger: Ledger, accept: Accept) -> None:
    """The reply to the commit was lost: who sent it lets go, for all it knows, and is answered the next time."""
    ledger.begin(KEY, DIGEST)
    job = accept(puts(1), key=KEY)
    ledger.release_key(KEY)
    assert ledger.begin(KEY, DIGEST) == job


def test_the_key_of_a_process_that_died_is_free_after_a_while(ledger: Ledger, redis: Redis) -> None:
    ledger.begin(KEY, DIGEST)
    assert BEGUN_SECONDS - 5 < redis.ttl(f"la:key:{KEY}") <= BEGUN_SECONDS
    with pytest.raises(IdempotencyConflict):
        ledger.begin(KEY, DIGEST)
    assert redis.delete(f"la:key:{KEY}"), "in its place: the time is up"
    assert ledger.begin(KEY, DIGEST) is None


def test_a_key_is_kept_while_its_request_sends_and_a_day_from_then(
    ledger: Ledger, accept: Accept, redis: Redis
) -> None:
    ledger.begin(KEY, DIGEST)
    seen = []

    def feed() -> Iterator[Change]:
        for i, change in enumerate(puts(600)):
            if i in (300, 599):
                seen.append(redis.ttl(f"la:key:{KEY}"))
                redis.expire(f"la:key:{KEY}", 10)
            yield change

    job = accept(feed(), key=KEY)
    assert all(BEGUN_SECONDS - 5 < left <= BEGUN_SECONDS for left in seen)
    assert KEY_SECONDS - 5 < redis.ttl(f"la:key:{KEY}") <= KEY_SECONDS
    assert ledger.begin(KEY, DIGEST) == job


def test_a_request_that_was_not_accepted_leaves_its_key_to_be_let_go(ledger: Ledger, accept: Accept) -> None:
    def feed() -> Iterator[Change]:
        yield from puts(300)
        raise RuntimeError

    ledger.begin(KEY, DIGEST)
    with pytest.raises(RuntimeError):
        accept(feed(), key=KEY)
    with pytest.raises(IdempotencyConflict):
        ledger.begin(KEY, DIGEST)
    ledger.release_key(KEY)
    assert ledger.begin(KEY, DIGEST) is None


def test_a_key_outlives_a_job_that_is_kept_for_less_than_a_day(ledger: Ledger, accept: Accept, redis: Redis) -> None:
    """Its changes are not applied again, over newer ones."""
    ledger.begin(KEY, DIGEST)
    job = accept(puts(1), key=KEY)
    redis.delete(f"la:job:{job.id}")
    with pytest.raises(JobNotFound):
        ledger.begin(KEY, DIGEST)


def test_a_key_that_nobody_began_is_not_kept(accept: Accept, redis: Redis) -> None:
    accept(puts(1), key=KEY)
    assert not redis.exists(f"la:key:{KEY}")


def test_a_key_finds_its_job_for_as_long_as_it_is_kept(redis: Redis, accept: Accept) -> None:
    ledger = Ledger(Store(redis), retention=1)
    assert ledger.begin(KEY, DIGEST) is None
    job = accept(puts(1), key=KEY, by=ledger)
    ledger.cancel(job.id)
    assert redis.ttl(f"la:job:{job.id}") > KEY_SECONDS - 10
