"""What a change costs in Redis while it waits, and when it has ended."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ledger_words import Accept, End
from redis import Redis

from services.ledger import Claim, Claims, Ledger
from services.records import Change, JobState, Lane, RemoteImage, State

WAITING = 400
"""Bytes beyond what the change itself says."""
FINISHED = 500
KEPT = {b"c", b"cn", b"l", b"r", b"keep", b"t0", b"t1", b"t2", b"b", b"n", b"cur", b"a", b"im", b"s"}


def products(count: int) -> Iterator[Change]:
    for i in range(count):
        url = RemoteImage(f"https://images.shop.example/products/{i:09}/front.jpg")
        yield Change(f"sku-{i:07}", image=url, attributes={"color": "red", "price": 12.5, "title": f"Product {i}"})


def own_bytes(change: Change) -> int:
    assert isinstance(change.image, RemoteImage)
    return len(change.product_id) + len(change.image.url) + len(json.dumps(change.attributes, separators=(",", ":")))


def used(redis: Redis) -> int:
    return int(redis.info("memory")["used_memory"])


def weight(redis: Redis, key: str) -> int:
    return redis.memory_usage(key, samples=0) or 0


@pytest.mark.parametrize("count", [20_000, pytest.param(100_000, marks=pytest.mark.nightly)])
def test_a_change_of_a_large_job_that_waits(accept: Accept, redis: Redis, count: int) -> None:
    accept([])
    before = used(redis)
    accept(products(count))
    assert used(redis) - before - sum(map(own_bytes, products(count))) <= WAITING * count


def test_a_change_that_comes_alone_and_waits(accept: Accept, redis: Redis) -> None:
    accept([])
    before = used(redis)
    for change in products(5000):
        accept([change], lane=Lane.INTERACTIVE, request_id="0123456789abcdef")
    assert used(redis) - before - sum(map(own_bytes, products(5000))) <= WAITING * 5000


@pytest.mark.parametrize("count", [3000, pytest.param(100_000, marks=pytest.mark.nightly)])
def test_a_job_that_has_finished(
    ledger: Ledger,
    claims: Claims,
    accept: Accept,
    end: End,
    redis: Redis,
    everything: Callable[[], dict[str, Any]],
    count: int,
) -> None:
    accept([])
    before = set(everything())
    job = accept(products(count), request_id="0123456789abcdef")
    while claim := claims.claim("drain", 64).claim:
        end(claim)
    assert ledger.job(job.id).state is JobState.SUCCEEDED
    assert set(everything()) - before == {f"la:job:{job.id}"}
    assert set(redis.hgetall(f"la:job:{job.id}")) == KEPT
    assert weight(redis, f"la:job:{job.id}") <= FINISHED
    assert redis.ttl(f"la:job:{job.id}") > 0


def test_a_failure_keeps_what_a_retry_needs_and_no_more(claims: Claims, accept: Accept, end: End, redis: Redis) -> None:
    job = accept(products(1000))
    while claim := claims.claim("drain", 64).claim:
        end(claim, State.FAILED)
    key = f"la:failed:{job.id}"
    assert weight(redis, key) <= sum(own_bytes(change) + 150 for change in products(1000))
    assert redis.ttl(key) > 0


def test_a_lane_is_no_longer_than_what_waits_in_it(
    ledger: Ledger, claims: Claims, accept: Accept, take: Callable[..., Claim], end: End, redis: Redis
) -> None:
    patch = Change("a", image=RemoteImage("http://x.example/1"))
    for _ in range(10):
        jobs = [accept([patch, change]) for change in products(40)]
        for _ in range(30):
            end(take())
        for job in jobs:
            ledger.cancel(job.id)
    assert claims.claim("drain", 64).claim is None
    assert redis.keys("la:ready:*") == redis.keys("la:lane:*") == redis.keys("la:suspects:*") == []


def test_waiting_again_and_again_leaves_a_job_as_small_as_it_was(ledger: Ledger, accept: Accept, redis: Redis) -> None:
    job = accept(products(1))
    for _ in range(10):
        ledger.wait(job.id, 0.0001)
    assert weight(redis, f"la:job:{job.id}") <= FINISHED
