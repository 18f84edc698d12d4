"""What work waits for: its jobs tell it as long as it is so, and then no more."""

import time

import pytest
from ledger_words import CATALOG, OTHER, Accept, End, Take, puts
from redis import Redis
from waiting import until

from services.errors import IndexUnavailable, WeightsUnreachable
from services.ledger import Claims, Ledger, Store, begin_task
from services.records import Outcome, State, Waiting

AWAY = WeightsUnreachable("The hub is away.")


def waiting(ledger: Ledger, id: str) -> Waiting | None:
    return ledger.job(id).waiting_for


def code(ledger: Ledger, id: str) -> str | None:
    found = waiting(ledger, id)
    return found and found.code


@pytest.fixture(autouse=True)
def worker(claims: Claims) -> None:
    """A worker that lives: without one nothing else is told."""
    claims.register("one", 2, 600)


def test_what_changes_are_put_off_for_is_told_until_some_have_ended(
    ledger: Ledger, claims: Claims, accept: Accept, take: Take, end: End, redis: Redis
) -> None:
    job = accept(puts(2))
    assert waiting(ledger, job.id) is None and ledger.waits() == {}
    began = time.time()
    claims.give_back(take(drain="one/1"), pause=60, error=AWAY)
    other = accept(puts(1), catalog=OTHER)
    told = waiting(ledger, job.id)
    assert told and (told.code, told.message) == ("weights_unreachable", "The hub is away.")
    assert abs(told.since - began) < 60
    assert ledger.waits() == {CATALOG: told}
    assert waiting(ledger, other.id) is None
    assert [each.waiting_for for each in ledger.jobs()[0]] == [None, told]
    end(take(drain="one/1"))
    assert waiting(ledger, job.id) is not None, "what ended was another catalog's"
    redis.delete(f"la:paused:{CATALOG}")
    end(take(1, drain="one/1"))
    assert waiting(ledger, job.id) is None and ledger.waits() == {}


def test_it_waits_since_it_was_put_off_for_that_first(
    ledger: Ledger, claims: Claims, accept: Accept, take: Take, redis: Redis
) -> None:
    job = accept(puts(1))
    claims.give_back(take(), pause=60, error=AWAY)
    redis.hset(f"la:waits:{CATALOG}", "s", 1000)
    redis.delete(f"la:paused:{CATALOG}")
    claims.give_back(take(), pause=60, error=WeightsUnreachable("It is still away."))
    assert waiting(ledger, job.id) == Waiting("weights_unreachable", "It is still away.", 1.0)
    redis.delete(f"la:paused:{CATALOG}")
    claims.give_back(take(), pause=60, error=IndexUnavailable("Qdrant is away."))
    told = waiting(ledger, job.id)
    assert told and (told.code, told.message) == ("index_unavailable", "Qdrant is away.") and told.since > 1.0


def test_what_needs_nothing_of_it_ends_and_the_others_wait_on(
    ledger: Ledger, claims: Claims, accept: Accept, take: Take, redis: Redis
) -> None:
    job = accept(puts(2))
    claims.give_back(take(), pause=60, error=AWAY)
    redis.delete(f"la:paused:{CATALOG}")
    again = take()
    ended = [(again.refs[0], Outcome(again.changes[0].product_id, State.APPLIED))]
    assert claims.record(again, ended, others_wait=True)
    assert code(ledger, job.id) == "weights_unreachable"


def test_it_is_forgotten_where_nobody_tries_again(claims: Claims, accept: Accept, take: Take, redis: Redis) -> None:
    accept(puts(1))
    claims.give_back(take(), pause=60, error=AWAY)
    assert 120_000 < redis.pttl(f"la:waits:{CATALOG}") <= 240_000


def test_a_task_waits_by_itself(ledger: Ledger, claims: Claims, store: Store, accept: Accept, redis: Redis) -> None:
    job, _ = begin_task(store, CATALOG, "shoes", "map", {}, max_version=lambda: 7)
    changes = accept(puts(1))
    claim = claims.claim_task()
    assert claim and claims.give_back(claim, pause=60, error=AWAY)
    assert (code(ledger, job.id), code(ledger, changes.id), ledger.waits()) == ("weights_unreachable", None, {})
    redis.hset(f"la:job:{job.id}", "due", 0)
    again = claims.claim_task()
    assert again and claims.progress(again, 1)
    assert code(ledger, job.id) is None
    claims.give_back(again, pause=60, error=AWAY)
    redis.hset(f"la:job:{job.id}", "due", 0)
    last = claims.claim_task()
    assert last and claims.end_task(last, error=AWAY)
    assert waiting(ledger, job.id) is None
    assert not redis.keys("la:waits:*")


def test_without_a_worker_it_waits_for_one_since_the_last_ended(
    ledger: Ledger, claims: Claims, accept: Accept, take: Take, end: End, redis: Redis
) -> None:
    job = accept(puts(1))
    redis.delete("la:workers")
    assert code(ledger, job.id) == "no_workers"
    told = waiting(ledger, job.id)
    assert told and told.since == job.created_at
    until(lambda: time.time() > job.created_at + 0.3)
    redis.zadd("la:workers", {"one 2": 1000 * (job.created_at + 0.2)})
    told = waiting(ledger, job.id)
    assert told and told.since == pytest.approx(job.created_at + 0.2, abs=0.01)
    claims.register("two", 2, 600)
    assert waiting(ledger, job.id) is None
    end(take())
    redis.delete("la:workers")
    assert waiting(ledger, job.id) is None, "it has finished"


def test_a_removed_catalog_waits_for_nothing(
    ledger: Ledger, claims: Claims, accept: Accept, take: Take, redis: Redis
) -> None:
    accept(puts(1))
    claims.give_back(take(), pause=60, error=AWAY)
    ledger.drop(CATALOG)
    assert ledger.waits() == {} and not redis.keys("la:waits:*")
