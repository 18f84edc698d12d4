"""Which workers are alive, and how many more drains could start."""

import pytest
from ledger_words import OTHER, Accept, End, Take
from redis import Redis

from services.ledger import Chores, Claims, Ledger
from services.records import Change, RemoteImage


def puts(count: int, prefix: str = "p") -> list[Change]:
    return [Change(f"{prefix}{i}", image=RemoteImage("http://x.example/1")) for i in range(count)]


@pytest.mark.parametrize(("waiting", "expected"), [(0, 0), (1, 1), (64, 1), (65, 2), (200, 4), (1000, 4)])
def test_as_many_are_idle_as_there_are_batches_and_slots(
    claims: Claims, accept: Accept, waiting: int, expected: int
) -> None:
    claims.register("one", 3, 60)
    claims.register("two", 1, 60)
    accept(puts(waiting))
    assert claims.spare_drains(64) == expected


def test_where_no_worker_is_known_one_may_come(claims: Claims, accept: Accept) -> None:
    assert claims.spare_drains(1) == 0
    accept(puts(1000))
    assert claims.spare_drains(1) == 1


def test_what_is_in_hand_asks_for_nobody(claims: Claims, accept: Accept, take: Take) -> None:
    claims.register("one", 4, 60)
    accept(puts(64))
    take(drain="one/1")
    assert claims.spare_drains(64) == 0
    accept(puts(1, "q"))
    assert claims.spare_drains(64) == 1


def test_who_drains_is_not_idle(claims: Claims, accept: Accept, take: Take, end: End) -> None:
    claims.register("one", 2, 60)
    accept(puts(10))
    taken = [take(2, drain="one/1")]
    assert claims.spare_drains(1) == 1
    taken.append(take(2, drain="one/1"))
    assert claims.spare_drains(1) == 1, "one and the same"
    taken.append(take(2, drain="one/2"))
    assert claims.spare_drains(1) == 0
    for claim in taken:
        end(claim)
    assert claims.spare_drains(1) == 0, "they go on"
    take(4, drain="one/1")
    assert claims.claim("one/1", 1).claim is claims.claim("one/2", 1).claim is None
    accept(puts(10, "q"))
    assert claims.spare_drains(1) == 2, "they went home"


def test_who_has_not_looked_everywhere_is_not_idle(ledger: Ledger, claims: Claims, accept: Accept, take: Take) -> None:
    claims.register("one", 2, 60)
    accept(puts(1))
    take(drain="one/1")
    ledger.cancel(accept(puts(5000)).id)
    accept(puts(5, "q"))
    assert claims.claim("one/1", 64).more
    assert claims.spare_drains(1) == 1


def test_more_drains_than_slots_ask_for_nobody(claims: Claims, accept: Accept, take: Take) -> None:
    claims.register("one", 1, 60)
    accept(puts(10))
    for i in range(3):
        take(1, drain=f"one/{i}")
    assert claims.spare_drains(1) == 0


def test_who_takes_claims_from_the_silent_forgets_nobody(
    claims: Claims, chores: Chores, accept: Accept, take: Take, redis: Redis
) -> None:
    claims.register("one", 3, 60)
    accept(puts(10))
    redis.zadd("la:leases", {take(1, drain="one/1").id: 0})
    assert chores.expire() == 1
    assert claims.spare_drains(1) == 2


def test_a_drain_that_died_counts_until_its_lease_is_over(
    claims: Claims, accept: Accept, take: Take, redis: Redis
) -> None:
    claims.register("one", 1, 60)
    accept(puts(2))
    take(1, drain="one/dead")
    assert claims.spare_drains(1) == 0
    until = redis.zscore("la:drains", "one/dead")
    assert until is not None
    assert 1000 * redis.time()[0] + 25_000 < until <= 1000 * redis.time()[0] + 31_000
    redis.zadd("la:drains", {"one/dead": 1000 * redis.time()[0] - 1})
    assert claims.spare_drains(1) == 1
    assert not redis.exists("la:drains"), "the dead do not gather"


def test_a_drain_of_a_worker_that_died_takes_no_slot_of_another(
    claims: Claims, accept: Accept, take: Take, redis: Redis
) -> None:
    accept(puts(10))
    for worker in ("host:1:a", "host:1:a 2/x"):  # a name may hold what parts others
        claims.register(worker, 2, 60)
        for drain in ("1", "2"):
            take(1, drain=f"{worker}/{drain}")
    assert claims.spare_drains(1) == 0
    redis.zadd("la:workers", {"host:1:a 2": 1000 * redis.time()[0] - 1})
    assert claims.spare_drains(1) == 0
    claims.register("host:1:b", 2, 60)
    assert claims.spare_drains(1) == 2
    claims.register("host:1:a", 2, 60)
    assert claims.spare_drains(1) == 2, "who was only silent is as busy as before"


def test_a_worker_that_died_counts_as_long_as_it_said(claims: Claims, accept: Accept, redis: Redis) -> None:
    accept(puts(100))
    claims.register("dead", 5, 20)
    claims.register("one", 2, 60)
    assert claims.spare_drains(1) == 7
    until = redis.zscore("la:workers", "dead 5")
    assert until is not None
    assert 1000 * redis.time()[0] + 15_000 < until <= 1000 * redis.time()[0] + 21_000
    redis.zadd("la:workers", {"dead 5": 1000 * redis.time()[0] - 1})
    assert claims.spare_drains(1) == 2
    claims.register("one", 2, 60)
    assert redis.zrange("la:workers", 0, -1) == [b"one 2"], "the dead do not gather"


def test_who_leaves_counts_no_more(claims: Claims, accept: Accept) -> None:
    accept(puts(100))
    claims.register("one", 2, 60)
    claims.register("two", 3, 60)
    claims.leave("two", 3)
    claims.leave("two", 3)
    assert claims.spare_drains(1) == 2


def test_a_catalog_that_pauses_asks_for_nobody(claims: Claims, accept: Accept, take: Take) -> None:
    claims.register("one", 8, 60)
    accept(puts(100))
    accept(puts(3), catalog=OTHER)
    claims.give_back(take(1, drain="one/1"), pause=60)
    assert claims.claim("one/1", 64).claim is not None
    assert claims.claim("one/1", 64).claim is None
    assert claims.spare_drains(1) == 0
