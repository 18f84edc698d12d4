"""Canceled jobs, removed catalogs."""

from collections.abc import Callable
from typing import Any

import pytest
from ledger_words import CATALOG, IMAGE, NONE_ENDED, OTHER, Accept, Crash, End, Take, counted, names, puts
from redis import Redis

from services.errors import CatalogNotFound, IndexUnavailable, JobNotFound
from services.ledger import Chores, Claimed, Claims, Counts, Ledger
from services.records import Change, ChangeKind, JobState, Lane, Outcome, State

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


# Removed catalogs


def test_a_removed_catalog_leaves_only_its_counts_and_jobs(
    ledger: Ledger, claims: Claims, accept: Accept, take: Take, end: End, crash: Crash, redis: Redis
) -> None:
    accept(puts(1), catalog=OTHER)
    done, waits = accept(puts(2, "done")), accept(puts(600))
    single = accept([PUT], lane=Lane.INTERACTIVE)
    accept([PATCH], lane=Lane.INTERACTIVE)
    end(take())
    taken = [take(1) for _ in range(4)]
    assert [claim.catalog_id for claim in taken] == [CATALOG] * 4
    crash(taken[0])
    crash(taken[1])
    for _ in range(2):
        crash(take())
    assert redis.exists(f"la:suspects:{CATALOG}")
    claims.give_back(taken[2], pause=60)
    before = ledger.counts()
    ledger.drop(CATALOG)
    assert redis.keys(f"*{CATALOG}*") == []
    assert redis.hexists("la:turns", CATALOG) is False
    assert redis.hlen("la:items") == 0
    assert counted(ledger.job(waits.id)) == (JobState.CANCELED, 600, 0, 0, 0, 0, 600)
    assert counted(ledger.job(single.id)) == (JobState.CANCELED, 1, 0, 0, 0, 0, 1)
    assert ledger.job(done.id).canceled == 2 - ledger.job(done.id).applied
    after = ledger.counts()
    assert (after.waiting, after.in_flight) == (0, 0)
    assert sum(after.ended.values()) == before.waiting + before.in_flight + sum(before.ended.values())
    assert ledger.counts(CATALOG) == Counts(0, 0, NONE_ENDED)
    assert ledger.counts(OTHER) == Counts(0, 0, NONE_ENDED | {State.APPLIED: 1})


def test_what_is_newer_in_a_removed_catalog_supersedes_nothing(ledger: Ledger, accept: Accept, take: Take) -> None:
    accept([PUT], max_version=lambda: 100)
    take()
    older = accept([Change("a", ChangeKind.PATCH, attributes={}, version=50)])
    ledger.drop(CATALOG)
    assert counted(ledger.job(older.id)) == (JobState.CANCELED, 1, 0, 0, 0, 0, 1)


def test_totals_never_go_back(ledger: Ledger, accept: Accept, take: Take, end: End) -> None:
    for catalog in (CATALOG, OTHER):
        accept(puts(3), catalog=catalog)
        end(take())
    ledger.drop(CATALOG)
    ledger.drop(CATALOG)
    assert ledger.counts() == Counts(0, 0, NONE_ENDED | {State.APPLIED: 6})
    ledger.drop(OTHER)
    assert ledger.counts() == Counts(0, 0, NONE_ENDED | {State.APPLIED: 6})


def test_what_is_in_hand_of_a_removed_catalog_counts_no_more(
    ledger: Ledger, claims: Claims, chores: Chores, accept: Accept, take: Take, end: End, everything: Everything
) -> None:
    job = accept([PUT, PATCH, *puts(2)])
    first, second = take(1), take(2)
    ledger.drop(CATALOG)
    assert counted(ledger.job(job.id)) == (JobState.CANCELED, 4, 0, 0, 0, 0, 4)
    assert claims.extend(first), "the worker learns of it from the index"
    assert claims.record(first, [(first.refs[0], Outcome("a", State.APPLIED))])
    assert claims.give_back(second)
    assert chores.expire(everything=True) == 0
    assert counted(ledger.job(job.id)) == (JobState.CANCELED, 4, 0, 0, 0, 0, 4)
    assert ledger.counts() == Counts(0, 0, NONE_ENDED | {State.CANCELED: 4})
    assert sorted(everything()) == ["la:counts:", f"la:job:{job.id}", "la:removed"]


def test_nothing_comes_for_a_catalog_while_it_is_removed(
    ledger: Ledger, chores: Chores, accept: Accept, redis: Redis, everything: Everything
) -> None:
    accept([])
    # A process that died after the first step of a drop.
    ledger.store.run("drop", CATALOG, "begin")
    before = everything()
    with pytest.raises(CatalogNotFound, match="'name of c' was removed meanwhile"):
        accept(puts(1))
    assert everything() == before
    chores.resume_drops(0, lambda _: False)
    assert sorted(everything()) == ["la:counts:", "la:job:1", "la:removed"]


def test_a_drop_that_broke_off_is_ended(ledger: Ledger, chores: Chores, accept: Accept, everything: Everything) -> None:
    job = accept(puts(600))
    ledger.store.run("drop", CATALOG, "begin")
    ledger.store.run("settle", job.id, "canceled", 1, *range(256))
    chores.resume_drops(0, lambda _: False)
    assert counted(ledger.job(job.id)) == (JobState.CANCELED, 600, 0, 0, 0, 0, 600)
    assert sorted(everything()) == ["la:counts:", f"la:job:{job.id}", "la:removed"]


def test_a_removal_that_fails_is_undone_and_versions_go_on(ledger: Ledger, accept: Accept, take: Take) -> None:
    job = accept(puts(3))

    def fail() -> None:
        with pytest.raises(CatalogNotFound):
            accept(puts(1))
        raise IndexUnavailable("away")

    with pytest.raises(IndexUnavailable):
        ledger.drop(CATALOG, fail)
    assert counted(ledger.job(job.id)) == (JobState.CANCELED, 3, 0, 0, 0, 0, 3)
    accept(puts(1, "q"))
    assert [change.version for change in take().changes] == [4]


def test_a_removal_that_died_before_the_index_was_removed_is_undone(
    ledger: Ledger, chores: Chores, accept: Accept
) -> None:
    accept([])
    ledger.store.run("drop", CATALOG, "begin")
    chores.resume_drops(60, lambda _: False)
    with pytest.raises(CatalogNotFound):
        accept(puts(1))
    chores.resume_drops(0, lambda id: id == CATALOG)
    assert accept(puts(1)).total == 1


@pytest.mark.parametrize("steps", [["begin"], ["begin", "end"]])
def test_what_looked_at_the_index_before_the_removal_does_not_begin_the_catalog_anew(
    ledger: Ledger, accept: Accept, everything: Everything, steps: list[str]
) -> None:
    def max_version() -> int:
        for step in steps:
            ledger.store.run("drop", CATALOG, step)
        return 7

    with pytest.raises(CatalogNotFound, match="removed meanwhile"):
        accept(puts(1), max_version=max_version)
    assert sorted(everything()) == ["la:dropping" if len(steps) == 1 else "la:removed"]


def test_what_was_refused_for_a_removed_catalog_can_come_for_the_next_of_its_name(
    ledger: Ledger, accept: Accept, take: Take
) -> None:
    accept(puts(1))
    ledger.drop(CATALOG)
    accept(puts(1, "q"), catalog=OTHER, max_version=lambda: 0)
    assert names(take()) == ["q0"]
