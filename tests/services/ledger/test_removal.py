"""Removed catalogs: their changes are canceled, and nothing that comes late begins them anew."""

from collections.abc import Callable
from typing import Any

import pytest
from ledger_words import CATALOG, IMAGE, NONE_ENDED, OTHER, Accept, Crash, End, Take, counted, names, puts
from redis import Redis

from services.errors import CatalogNotFound, IndexUnavailable
from services.ledger import Chores, Claims, Counts, Ledger
from services.records import Change, ChangeKind, JobState, Lane, Outcome, State

Everything = Callable[[], dict[str, Any]]

PUT = Change("a", image=IMAGE, attributes={})
PATCH = Change("a", ChangeKind.PATCH, attributes={"x": 1})


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
