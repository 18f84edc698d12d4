"""How much there is to do, who does it, and how fast it ends."""

from collections.abc import Callable

import pytest
from ledger_words import NONE_ENDED, OTHER, Accept, Crash, End, Take, puts
from redis import Redis

from services.ledger import Claims, Counts, Ledger, Removal, Stats
from services.ledger.rate import WINDOW
from services.records import Change, Outcome, State


@pytest.fixture
def pass_time(redis: Redis) -> Callable[[int], None]:
    """Lets what has ended have done so earlier by so many seconds."""

    def pass_time(seconds: int) -> None:
        counters: list[bytes] = sorted(redis.keys("la:ended:*"))
        for key in counters:
            redis.rename(key, f"la:ended:{int(key.rpartition(b':')[2]) - seconds}")

    return pass_time


def recorded(redis: Redis) -> int:
    return sum(int(redis.get(key) or 0) for key in redis.keys("la:ended:*"))


def test_an_empty_ledger(ledger: Ledger) -> None:
    stats = ledger.stats()
    assert stats == Stats(Counts(0, 0, NONE_ENDED), 0, 0, 0.0)
    assert stats.drain_seconds == 0


def test_a_removal_that_has_not_ended_is_something_to_do(ledger: Ledger, accept: Accept, claims: Claims) -> None:
    """It has no changes yet, and where no worker runs while nothing waits, one must be started for it."""
    accept([], removal=Removal(1, filter="{}"))
    assert ledger.stats().counts == Counts(1, 0, NONE_ENDED)
    claim = claims.claim("drain", 1).claim
    assert claim and ledger.stats().counts.waiting == 1, "and be left alive"
    claims.remove(claim, ["x", "y"])
    assert ledger.stats().counts.waiting == 3
    claims.end_removal(claim)
    assert ledger.stats().counts.waiting == 2


def test_workers_and_their_slots(ledger: Ledger, claims: Claims, redis: Redis) -> None:
    claims.register("host:1:a", 3, 60)
    claims.register("host 2:1:a", 1, 60)
    claims.register("dead", 5, 60)
    redis.zadd("la:workers", {"dead 5": 1000 * redis.time()[0] - 1})
    assert (ledger.stats().workers, ledger.stats().slots) == (2, 4)
    claims.leave("host:1:a", 3)
    assert (ledger.stats().workers, ledger.stats().slots) == (1, 1)


def test_how_long_it_takes_is_not_known_until_something_ended(ledger: Ledger, accept: Accept, take: Take) -> None:
    accept(puts(10))
    assert ledger.stats().drain_seconds is None
    take(4)
    stats = ledger.stats()
    assert (stats.counts, stats.changes_per_second, stats.drain_seconds) == (Counts(6, 4, NONE_ENDED), 0, None)


def test_what_waits_and_is_in_hand_takes_as_long_as_the_rate_says(
    ledger: Ledger, accept: Accept, take: Take, end: End, pass_time: Callable[[int], None]
) -> None:
    accept(puts(60))
    accept(puts(60, "q"), catalog=OTHER)
    end(take(30, drain="one/1"))
    end(take(10, drain="two/1"))
    take(20)
    pass_time(20)
    stats = ledger.stats()
    assert (stats.counts.waiting, stats.counts.in_flight) == (60, 20)
    assert 40 / 30 < stats.changes_per_second <= 40 / 20
    assert stats.drain_seconds == 80 / stats.changes_per_second


def test_what_ended_more_than_a_minute_ago_counts_no_more(
    ledger: Ledger, accept: Accept, take: Take, end: End, pass_time: Callable[[int], None]
) -> None:
    accept(puts(3))
    end(take(1))
    pass_time(WINDOW - 5)
    assert ledger.stats().changes_per_second > 0
    pass_time(6)
    assert (ledger.stats().changes_per_second, ledger.stats().drain_seconds) == (0, None)
    end(take())
    assert ledger.stats().changes_per_second > 3 / WINDOW, "the minute before does not count"


def test_a_record_told_twice_counts_once(claims: Claims, accept: Accept, take: Take, end: End, redis: Redis) -> None:
    accept(puts(7))
    claim = take()
    end(claim, State.APPLIED, [0, 1, 0])
    end(claim, State.FAILED, [0, 1, 2])
    assert recorded(redis) == 3
    end(claim)
    outcomes = [(ref, Outcome("p", State.APPLIED)) for ref in claim.refs]
    assert not claims.record(claim, outcomes)
    assert recorded(redis) == 7


def test_who_has_lost_the_claim_counts_nothing(
    claims: Claims, accept: Accept, take: Take, end: End, crash: Crash, redis: Redis
) -> None:
    accept(puts(2))
    claim = take()
    crash(claim)
    assert not claims.record(claim, [(ref, Outcome("p", State.APPLIED)) for ref in claim.refs])
    assert recorded(redis) == 0
    end(take())
    assert recorded(redis) == 2


def test_what_is_superseded_with_it_counts_and_what_is_canceled_does_not(
    ledger: Ledger, accept: Accept, take: Take, end: End, redis: Redis
) -> None:
    for _ in range(3):
        accept(puts(1))
    end(take())
    assert recorded(redis) == 3
    ledger.cancel(accept(puts(1000, "q")).id)
    assert recorded(redis) == 3
    assert ledger.counts().ended == NONE_ENDED | {State.APPLIED: 1, State.SUPERSEDED: 2, State.CANCELED: 1000}


def test_the_counters_go_by_themselves(ledger: Ledger, accept: Accept, take: Take, end: End, redis: Redis) -> None:
    accept(puts(2))
    for _ in range(2):
        end(take(1))
    ends: list[bytes] = redis.keys("la:ended:*")
    assert ends and all(WINDOW < redis.ttl(key) <= 2 * WINDOW for key in ends)


@pytest.mark.parametrize("count", [1, 64])
def test_a_batch_costs_two_commands(
    ledger: Ledger, accept: Accept, take: Take, end: End, redis: Redis, count: int
) -> None:
    accept([Change(f"p{i}") for i in range(count)])
    claim = take()
    redis.config_resetstat()
    end(claim)
    calls = {name: int(stat["calls"]) for name, stat in redis.info("commandstats").items()}
    # The job that has finished expires, and its failures, and whoever is told.
    assert (calls["cmdstat_incrby"], calls["cmdstat_expire"]) == (1, 1 + 3)
