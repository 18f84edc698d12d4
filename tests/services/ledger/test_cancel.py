"""Canceled jobs."""

from collections.abc import Callable
from typing import Any

import pytest
from ledger_words import IMAGE, NONE_ENDED, Accept, Crash, End, Take, counted, names, puts
from redis import Redis

from services.errors import JobNotFound
from services.ledger import Claimed, Claims, Counts, Ledger
from services.records import Change, ChangeKind, JobState, Lane, State

Everything = Callable[[], dict[str, Any]]

PUT = Change("a", image=IMAGE, attributes={})
PATCH = Change("a", ChangeKind.PATCH, attributes={"x": 1})


def test_what_waits_is_canceled(ledger: Ledger, accept: Accept, everything: Everything, redis: Redis) -> None:
    job, other = accept(puts(600)), accept(puts(1, "q"))
    canceled = ledger.cancel(job.id)
    assert counted(canceled) == (JobState.CANCELED, 600, 0, 0, 0, 0, 600)
    assert canceled.finished_at is not None
    assert ledger.counts() == Counts(1, 0, NONE_ENDED | {State.CANCELED: 600})
    before = everything()
    redis.config_resetstat()
    assert ledger.cancel(job.id) == canceled, "again is harmless"
    assert "cmdstat_evalsha" not in redis.info("commandstats")
    assert everything() == before
    assert counted(ledger.job(other.id)) == (JobState.ENQUEUED, 1, 0, 0, 0, 0, 0)


def test_what_is_in_hand_ends_by_itself(ledger: Ledger, claims: Claims, accept: Accept, take: Take, end: End) -> None:
    job = accept(puts(5))
    claim = take(2)
    end(claim, State.APPLIED, [0])
    assert counted(ledger.cancel(job.id)) == (JobState.PROCESSING, 5, 1, 0, 0, 0, 3)
    assert ledger.counts() == Counts(0, 1, NONE_ENDED | {State.APPLIED: 1, State.CANCELED: 3})
    assert claims.claim("drain", 64).claim is None
    end(claim, State.FAILED, [1])
    assert counted(ledger.job(job.id)) == (JobState.CANCELED, 5, 1, 0, 0, 1, 3)


def test_a_job_that_has_ended_stays_as_it_is(ledger: Ledger, accept: Accept, take: Take, end: End) -> None:
    job = accept(puts(1))
    end(take())
    ended = ledger.job(job.id)
    assert ledger.cancel(job.id) == ended


def test_what_was_in_hand_and_comes_back_is_worked_on_or_canceled_again(
    ledger: Ledger, claims: Claims, accept: Accept, take: Take, end: End, crash: Crash
) -> None:
    job = accept(puts(2))
    claim = take()
    ledger.cancel(job.id)
    crash(claim)
    assert counted(ledger.job(job.id)) == (JobState.PROCESSING, 2, 0, 0, 0, 0, 0)
    end(take(1))
    assert counted(ledger.cancel(job.id)) == (JobState.CANCELED, 2, 1, 0, 0, 0, 1)
    assert claims.claim("drain", 64) == Claimed(None)


@pytest.mark.parametrize("first", [PUT, PATCH])
def test_what_waited_for_a_canceled_change_goes_on(
    ledger: Ledger, accept: Accept, take: Take, end: End, first: Change
) -> None:
    """The second was passed over while the product was in hand; who was to hand it out is canceled."""
    accept([PATCH])
    held = take()
    job = accept([first])
    after = accept([PATCH, *puts(1)])
    assert names(take()) == ["p0"]
    end(held)
    ledger.cancel(job.id)
    assert take().jobs == [after.id]


def test_what_waited_for_a_suspect_that_is_canceled_goes_on(
    ledger: Ledger, claims: Claims, accept: Accept, take: Take, crash: Crash
) -> None:
    job = accept([PUT])
    after = accept([PATCH])
    crash(take())
    crash(take())
    assert claims.claim("drain", 64) == Claimed(None, 1)
    ledger.cancel(job.id)
    assert take().jobs == [after.id]


def test_a_canceled_change_supersedes_nothing(ledger: Ledger, accept: Accept, take: Take) -> None:
    before = accept([PATCH])
    newer = accept([PUT])
    ledger.cancel(newer.id)
    assert take().jobs == [before.id]


def test_what_is_canceled_behind_a_product_in_hand_asks_for_nobody(
    ledger: Ledger, accept: Accept, take: Take, redis: Redis
) -> None:
    accept([PATCH])
    take()
    job = accept([PATCH, PATCH])
    accept([PATCH])
    ledger.cancel(job.id)
    assert redis.keys("la:ready:*") == []


def test_a_change_in_the_middle_is_taken_out(
    ledger: Ledger, claims: Claims, accept: Accept, take: Take, end: End
) -> None:
    jobs = [accept([PATCH], lane=lane) for lane in (Lane.BULK, Lane.INTERACTIVE, Lane.BULK)]
    ledger.cancel(jobs[1].id)
    claim = take()
    assert claim.jobs == [jobs[0].id]
    end(claim)
    claim = take()
    assert claim.jobs == [jobs[2].id]
    end(claim)
    assert claims.claim("drain", 64) == Claimed(None)


@pytest.mark.parametrize("id", ["7", "0", "", "a", "-1", "²", "9" * 5000, "1 "])
def test_a_job_that_is_not_there(ledger: Ledger, id: str) -> None:
    calls: list[Callable[[str], object]] = [
        *(ledger.job, ledger.cancel, ledger.retry, ledger.items),
        lambda id: ledger.wait(id, 0),
        lambda id: ledger.items(id, state=None),
    ]
    for call in calls:
        with pytest.raises(JobNotFound, match="There is no job"):
            call(id)
