"""A ledger on a real Valkey, and short words for what most tests do with it."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from ledger_words import CATALOG
from redis import Redis

from services.ledger import Chores, Claim, Claims, Ledger, Refusal, Store
from services.records import Change, Job, Lane, Outcome, State


@pytest.fixture
def store(redis: Redis) -> Store:
    return Store(redis)


@pytest.fixture
def ledger(store: Store) -> Ledger:
    return Ledger(store)


@pytest.fixture
def claims(store: Store) -> Claims:
    return Claims(store, lease=30)


@pytest.fixture
def chores(store: Store) -> Chores:
    return Chores(store)


@pytest.fixture
def accept(ledger: Ledger) -> Callable[..., Job]:
    """Takes changes in; the catalog's ID and the lane can be given."""

    def accept(
        changes: Iterable[Change | Refusal],
        *,
        catalog: str = CATALOG,
        lane: Lane = Lane.BULK,
        by: Ledger = ledger,
        **options: Any,
    ) -> Job:
        options = {"max_version": lambda: 0} | options
        return by.accept(catalog, f"name of {catalog[0]}", iter(changes), lane=lane, **options)

    return accept


@pytest.fixture
def take(claims: Claims) -> Callable[..., Claim]:
    """Claims what there must be."""

    def take(limit: int = 64, *, drain: str = "drain", alone: bool = False, by: Claims = claims) -> Claim:
        claim = by.claim(drain, limit, alone=alone).claim
        assert claim is not None
        return claim

    return take


@pytest.fixture
def end(claims: Claims) -> Callable[..., None]:
    """Records that all changes of a claim, or those given, ended in a state."""

    def end(claim: Claim, state: State = State.APPLIED, only: Iterable[int] | None = None) -> None:
        why = ("broken", "It is broken.") if state is State.FAILED else ()
        which = range(len(claim.refs)) if only is None else only
        outcomes = [(claim.refs[i], Outcome(claim.changes[i].product_id, state, *why)) for i in which]
        assert claims.record(claim, outcomes)

    return end


@pytest.fixture
def crash(chores: Chores, redis: Redis) -> Callable[[Claim], None]:
    """Lets the lease of a claim be over."""

    def crash(claim: Claim) -> None:
        redis.zadd("la:leases", {claim.id: 0})
        assert chores.expire() == 1

    return crash


@pytest.fixture
def everything(redis: Redis) -> Callable[[], dict[str, Any]]:
    """All that Redis holds, but the format, the counters that only go up, and those of seconds, which expire."""

    def value(key: bytes) -> Any:
        match redis.type(key):
            case b"string":
                return redis.get(key)
            case b"hash":
                return redis.hgetall(key)
            case b"list":
                return redis.lrange(key, 0, -1)
            case b"set":
                return redis.smembers(key)
            case b"zset":
                return redis.zrange(key, 0, -1)
        raise AssertionError(key)

    def everything() -> dict[str, Any]:
        keys: list[Any] = sorted(redis.scan_iter(count=1000))
        left_out = (b"la:jobs", b"la:claims", b"la:turns", b"la:ended:", b"la:format")
        return {key.decode(): value(key) for key in keys if not key.startswith(left_out)}

    return everything
