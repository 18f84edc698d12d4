"""What failed is tried again, as old as it is."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from ledger_words import CATALOG, IMAGE, NONE_ENDED, Accept, End, Take, counted

from services.errors import CatalogNotFound, Conflict, QueueFull
from services.ledger import Claimed, Claims, Counts, Ledger, Refusal
from services.records import Change, ChangeKind, Item, Job, JobState, Lane, State

Everything = Callable[[], dict[str, Any]]

PUT = Change("a", image=IMAGE, attributes={})
PATCH = Change("a", ChangeKind.PATCH, attributes={"x": 1})
KINDS = [
    Change("put", image=IMAGE, attributes={"a": ["\n"]}),
    Change("keep", image=IMAGE),
    Change("patch", ChangeKind.PATCH, attributes={"a": None}),
    Change("delete", ChangeKind.DELETE),
]


def test_what_failed_is_tried_again_at_its_old_version(ledger: Ledger, accept: Accept, take: Take, end: End) -> None:
    accept([])
    job = accept([Refusal(0, "r", "bad", "It is bad."), *KINDS, Change("own", image=IMAGE, version=9000)])
    first = take()
    end(first, State.APPLIED, [3])
    end(first, State.FAILED)
    again = ledger.retry(job.id, request_id="req-2")
    assert replace(again, waiting_for=None) == Job(
        "3", "name of c", JobState.ENQUEUED, 4, 0, 0, 0, 0, 0, again.created_at
    )
    second = take()
    keep = [i for i in range(5) if i != 3]
    assert second.changes == [first.changes[i] for i in keep]
    assert [change.version for change in second.changes] == [2, 3, 4, 9000]
    assert second.jobs == [again.id] * 4
    assert counted(ledger.job(job.id)) == (JobState.SUCCEEDED, 6, 1, 0, 0, 5, 0), "what has been is told as it was"
    end(second)
    assert counted(ledger.job(again.id)) == (JobState.SUCCEEDED, 4, 4, 0, 0, 0, 0)
    accept([PUT])
    assert [change.version for change in take().changes] == [11], "new versions come after those of the retry"


def test_a_retry_goes_into_the_lane_of_its_job(ledger: Ledger, accept: Accept, take: Take, end: End) -> None:
    job = accept([PUT], lane=Lane.INTERACTIVE)
    end(take(), State.FAILED)
    accept([Change(f"p{i}", image=IMAGE) for i in range(100)])
    ledger.retry(job.id)
    assert take(4).changes[0].product_id == "a"


def test_a_retry_of_a_retry_keeps_the_versions(ledger: Ledger, accept: Accept, take: Take, end: End) -> None:
    job = accept([Change("b", ChangeKind.DELETE), PUT])
    end(take(), State.FAILED)
    for _ in range(3):
        job = ledger.retry(job.id)
        claim = take()
        assert [(change.product_id, change.version) for change in claim.changes] == [("b", 1), ("a", 2)]
        end(claim, State.FAILED)
    assert ledger.items(job.id)[0] == [
        Item("b", State.FAILED, "broken", "It is broken."),
        Item("a", State.FAILED, "broken", "It is broken.", IMAGE.url),
    ]


def test_two_retries_of_one_job_do_no_harm(
    ledger: Ledger, claims: Claims, accept: Accept, take: Take, end: End
) -> None:
    job = accept([PUT])
    end(take(), State.FAILED)
    retries = [ledger.retry(job.id), ledger.retry(job.id)]
    versions = []
    while claim := claims.claim("drain", 64).claim:
        versions += [change.version for change in claim.changes]
        end(claim)
    assert versions == [1, 1], "the index takes the second as written already"
    assert all(ledger.job(retry.id).state is JobState.SUCCEEDED for retry in retries)


def test_a_newer_change_that_waits_goes_first_and_supersedes_a_retry(
    ledger: Ledger, claims: Claims, accept: Accept, take: Take, end: End
) -> None:
    job = accept([PUT])
    end(take(), State.FAILED)
    newer = accept([PUT])
    again = ledger.retry(job.id)
    claim = take()
    assert claim.jobs == [newer.id]
    end(claim)
    assert counted(ledger.job(again.id)) == (JobState.SUCCEEDED, 1, 0, 0, 1, 0, 0)
    assert claims.claim("drain", 64) == Claimed(None)


def test_a_retry_goes_before_a_newer_patch(
    ledger: Ledger, claims: Claims, accept: Accept, take: Take, end: End
) -> None:
    job = accept([PUT])
    end(take(), State.FAILED)
    patch = accept([PATCH])
    again = ledger.retry(job.id)
    found: list[str] = []
    while claim := claims.claim("drain", 64).claim:
        found += claim.jobs
        end(claim)
    assert found == [again.id, patch.id]


@pytest.mark.parametrize("state", [None, State.APPLIED, State.CANCELED])
def test_there_is_nothing_to_retry(
    ledger: Ledger, accept: Accept, take: Take, end: End, everything: Everything, state: State | None
) -> None:
    job = accept([PUT])
    match state:
        case State.APPLIED:
            end(take())
        case State.CANCELED:
            ledger.cancel(job.id)
    before = everything()
    with pytest.raises(Conflict, match=r"^Job 1 has not finished" if state is None else "no change of it has failed"):
        ledger.retry(job.id)
    assert everything() == before


def test_more_failures_than_a_chunk_are_all_retried(ledger: Ledger, claims: Claims, accept: Accept, end: End) -> None:
    job = accept([Change(f"p{i}", image=IMAGE) for i in range(600)])
    while claim := claims.claim("drain", 64).claim:
        end(claim, State.FAILED)
    assert counted(ledger.retry(job.id)) == (JobState.ENQUEUED, 600, 0, 0, 0, 0, 0)
    versions: list[int | None] = []
    while claim := claims.claim("drain", 64).claim:
        versions += [change.version for change in claim.changes]
        end(claim)
    assert versions == list(range(1, 601))


def test_a_retry_finds_room_like_any_other(
    ledger: Ledger, accept: Accept, take: Take, end: End, everything: Everything
) -> None:
    job = accept(KINDS)
    end(take(), State.FAILED)
    accept([Change(f"p{i}", image=IMAGE) for i in range(7)])
    small = Ledger(ledger.store, max_waiting=10)
    before = everything()
    with pytest.raises(QueueFull):
        small.retry(job.id)
    assert everything() == before
    assert ledger.counts() == Counts(7, 0, NONE_ENDED | {State.FAILED: 4})


def test_a_retry_for_a_removed_catalog_is_refused(
    ledger: Ledger, accept: Accept, take: Take, end: End, everything: Everything
) -> None:
    job = accept([PUT])
    end(take(), State.FAILED)
    ledger.drop(CATALOG)
    before = everything()
    with pytest.raises(CatalogNotFound, match="was removed"):
        ledger.retry(job.id)
    assert everything() == before
