"""The format of the ledger."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from ledger_words import CATALOG, puts
from redis import Redis

from services.errors import FormatTooNew
from services.ledger import Claims, Ledger
from services.ledger.format import MIGRATIONS, LedgerFormat, migration
from services.ledger.store import Store
from services.records import Job

Accept = Callable[..., Job]


@pytest.fixture
def old(accept: Accept, redis: Redis) -> Job:
    """A job that v0.1 took: the ledger has no number."""
    job = accept(puts(3))
    redis.delete("la:format")
    return job


def test_an_older_ledger_is_migrated_at_its_first_use(old: Job, redis: Redis) -> None:
    store = Store(redis)
    assert store.pending_upgrade().steps == ["Store the format number in the key `la:format`."]
    assert redis.get("la:format") is None
    claim = Claims(store).claim("drain", 64).claim
    assert claim and len(claim.refs) == 3
    assert redis.get("la:format") == b"1"
    assert store.upgrade().steps == []


def test_a_ledger_of_a_newer_version_is_refused_and_left_as_it_is(
    old: Job, redis: Redis, everything: Callable[[], dict[str, Any]]
) -> None:
    redis.set("la:format", 2)
    before = everything()
    store = Store(redis)
    for call in (
        store.upgrade,
        store.pending_upgrade,
        lambda: Claims(store).claim("drain", 64),
        lambda: Ledger(store).begin("k", "d"),
    ):
        with pytest.raises(FormatTooNew) as caught:
            call()
        assert str(caught.value) == (
            "The ledger in Redis was written by a newer Lookalike (format 2, this one knows up to 1): run that "
            "version, or name another Redis in LOOKALIKE_REDIS_URL."
        )
    assert (everything(), redis.get("la:format")) == (before, b"2")


def test_an_empty_ledger_gets_the_number_with_its_first_catalog(redis: Redis, accept: Accept) -> None:
    assert Store(redis).upgrade().steps == []
    assert redis.keys() == []
    accept(puts(1))
    # Emptied while processes run that have looked at it already.
    redis.flushall()
    accept(puts(1))
    assert redis.get("la:format") == b"1"


def test_many_that_start_at_once_migrate_once(old: Job, redis: Redis) -> None:
    steps = [*MIGRATIONS, migration(1, "Count.", "redis.call('INCR', 'la:test')")]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: LedgerFormat(redis, steps).upgrade(), range(64)))
    # Those that had read the number before the first was done come to the same script.
    for step in steps:
        step.run(redis)
    assert (redis.get("la:test"), redis.get("la:format")) == (b"1", b"2")


def test_a_migration_that_fails_leaves_the_format_before(old: Job, redis: Redis) -> None:
    broken = [*MIGRATIONS, migration(1, "Break.", "error('broken')")]
    with pytest.raises(Exception, match="broken"):
        LedgerFormat(redis, broken).upgrade()
    assert redis.get("la:format") == b"1"
    whole = [*MIGRATIONS, migration(1, "Do.", "redis.call('INCR', 'la:test')")]
    assert LedgerFormat(redis, whole).upgrade().steps == ["Do."]
    assert (redis.get("la:test"), redis.get("la:format")) == (b"1", b"2")


def test_a_full_redis_is_migrated_too(old: Job, redis: Redis) -> None:
    """What waits in it must be worked on, which makes room."""
    redis.config_set("maxmemory", 1)
    try:
        store = Store(redis)
        assert Claims(store).claim("drain", 1).claim is not None
        assert Ledger(store).counts(CATALOG).in_flight == 1
    finally:
        redis.config_set("maxmemory", 0)
    assert redis.get("la:format") == b"1"
