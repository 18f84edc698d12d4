"""Tasks: jobs that are no changes. Who does one, how far it is, and that it ends once, whatever becomes of workers."""

from collections.abc import Callable
from typing import Any, Protocol

import pytest
from ledger_words import CATALOG, OTHER, Accept, Crash, End, Take, puts
from redis import Redis

from services.errors import CatalogNotFound, Conflict, IndexUnavailable, QueueFull
from services.ledger import Chores, Claim, Claims, Ledger, Removal, Store, begin_task
from services.records import Job, JobState, Task

Everything = Callable[[], dict[str, Any]]


class Begin(Protocol):
    def __call__(self, kind: str = ..., catalog: str = ..., **parameters: Any) -> Job: ...


@pytest.fixture
def begin(store: Store) -> Begin:
    """Accepts a task."""

    def begin(kind: str = "graph", catalog: str = CATALOG, **parameters: Any) -> Job:
        job, _ = begin_task(store, catalog, "shoes", kind, parameters, max_version=lambda: 7)
        return job

    return begin


@pytest.fixture
def due(claims: Claims) -> Callable[[], Claim]:
    """Claims the task that must be due."""

    def due() -> Claim:
        claim = claims.claim_task()
        assert claim is not None
        return claim

    return due


Due = Callable[[], Claim]


def test_a_task_is_a_job_from_its_beginning_to_its_result(
    ledger: Ledger, claims: Claims, begin: Begin, due: Due
) -> None:
    job = begin(share=0.5)
    assert (job.catalog, job.state, job.total, job.done) == ("shoes", JobState.ENQUEUED, 0, 0)
    assert job.task == Task("graph", {"share": 0.5})
    claim = due()
    assert (claim.catalog_id, claim.changes, claim.jobs) == (CATALOG, [], [job.id])
    assert claim.task == Task("graph", {"share": 0.5})
    assert claims.progress(claim, 3, 10, {"after": "p3"})
    going = ledger.job(job.id)
    assert (going.state, going.total) == (JobState.PROCESSING, 0)
    assert going.task == Task("graph", {"share": 0.5}, 3, 10, {"after": "p3"})
    assert claims.end_task(claim, {"built": True})
    ended = ledger.job(job.id)
    assert (ended.state, ended.total, ended.errors) == (JobState.SUCCEEDED, 0, False)
    assert ended.finished_at is not None and ended.not_removed is None
    assert ended.task == Task("graph", {"share": 0.5}, 3, 10, result={"built": True})
    assert ledger.jobs() == ([ended], None)


def test_a_task_that_fails_says_why(ledger: Ledger, claims: Claims, begin: Begin, due: Due) -> None:
    job = begin()
    assert claims.end_task(due(), error=IndexUnavailable("The index is away."))
    ended = ledger.job(job.id)
    assert ended.state is JobState.FAILED
    assert ended.task == Task("graph", code="index_unavailable", message="The index is away.")


def test_a_task_of_one_kind_is_in_a_catalog_once(ledger: Ledger, store: Store, claims: Claims, due: Due) -> None:
    ask = lambda kind, catalog: begin_task(store, catalog, "shoes", kind, {}, max_version=lambda: 0)  # noqa: E731
    first, is_new = ask("graph", CATALOG)
    assert is_new and ask("graph", CATALOG) == (first, False)
    claim = due()
    again, is_new = ask("graph", CATALOG)
    assert (again.id, is_new) == (first.id, False)
    assert ask("map", CATALOG)[1] and ask("graph", OTHER)[1]
    claims.end_task(claim)
    assert ask("graph", CATALOG)[1]


def test_one_of_its_kind_with_other_parameters_is_in_the_way(store: Store, claims: Claims, due: Due) -> None:
    def ask(**parameters: Any) -> tuple[Job, bool]:
        return begin_task(store, CATALOG, "shoes", "reindex", parameters, max_version=lambda: 0)

    first, _ = ask(encoder="one", promote=True)
    assert ask(promote=True, encoder="one") == (first, False)
    with pytest.raises(Conflict, match=f"Job {first.id} of catalog shoes is another task of this kind"):
        ask(encoder="two", promote=True)
    claims.end_task(due())
    assert ask(encoder="two", promote=True)[1]


def test_the_tasks_of_a_catalog_are_done_one_by_one_in_their_order(claims: Claims, begin: Begin, due: Due) -> None:
    first, second = begin("map"), begin("graph")
    elsewhere = begin("graph", OTHER)
    one = due()
    other = due()
    assert [one.jobs, other.jobs] == [[first.id], [elsewhere.id]]
    assert claims.claim_task() is None
    claims.end_task(one)
    assert due().jobs == [second.id]


def test_a_task_that_was_given_back_goes_on_from_its_checkpoint(
    ledger: Ledger, claims: Claims, begin: Begin, due: Due
) -> None:
    job = begin()
    claim = due()
    claims.progress(claim, 5, checkpoint=["p5"])
    assert claims.give_back(claim)
    assert not claims.progress(claim, 6) and not claims.end_task(claim)
    again = due()
    assert again.task == Task("graph", done=5, checkpoint=["p5"])
    claims.progress(again, 7)
    assert ledger.job(job.id).task == Task("graph", done=7, checkpoint=["p5"])


def test_a_pause_holds_back_the_task_and_no_change(
    claims: Claims, begin: Begin, due: Due, accept: Accept, take: Take, redis: Redis
) -> None:
    job = begin()
    claims.give_back(due(), pause=60)
    assert claims.claim_task() is None and claims.spare_drains(64) == 0
    accept(puts(1))
    take()
    redis.hset(f"la:job:{job.id}", "due", 0)
    assert due().jobs == [job.id]


def test_a_task_whose_worker_fell_silent_is_another_workers(
    claims: Claims, begin: Begin, due: Due, crash: Crash
) -> None:
    begin()
    claim = due()
    claims.progress(claim, 1, checkpoint=1)
    crash(claim)
    assert not claims.extend(claim)
    again = due()
    assert again.task == Task("graph", done=1, checkpoint=1)
    assert not claims.end_task(claim, {"by": "the first"})
    assert claims.end_task(again, {"by": "the second"})


def test_a_task_at_which_five_workers_in_a_row_die_fails(
    ledger: Ledger, claims: Claims, begin: Begin, due: Due, crash: Crash, everything: Everything
) -> None:
    job = begin()
    for _ in range(4):
        crash(due())
    claim = due()
    claims.progress(claim, 1)
    crash(claim)
    for _ in range(4):
        assert ledger.job(job.id).finished_at is None
        crash(due())
    ended = ledger.job(job.id)
    assert ended.state is JobState.FAILED and ended.task and ended.task.code == "worker_crashed"
    assert "logs of the workers" in (ended.task.message or "")
    assert claims.claim_task() is None
    assert "la:tasks:" + CATALOG not in everything()


@pytest.mark.parametrize("is_claimed", [False, True])
def test_a_canceled_task_ends_at_once_and_is_nobodys(
    ledger: Ledger, claims: Claims, begin: Begin, due: Due, everything: Everything, is_claimed: bool
) -> None:
    job = begin()
    claim = due() if is_claimed else None
    assert claim is None or claims.extend(claim)
    canceled = ledger.cancel(job.id)
    assert (canceled.state, canceled.task) == (JobState.CANCELED, Task("graph", code="canceled"))
    assert ledger.cancel(job.id) == canceled
    if claim:
        assert not claims.progress(claim, 1) and not claims.end_task(claim, {}) and not claims.extend(claim)
        assert claims.give_back(claim)
    assert claims.claim_task() is None
    assert ledger.job(job.id) == canceled
    left = {f"la:job:{job.id}", f"la:version:{CATALOG}", "la:catalogs"}
    assert set(everything()) == left


def test_a_removed_catalog_cancels_its_tasks(
    ledger: Ledger, claims: Claims, begin: Begin, due: Due, redis: Redis
) -> None:
    running, waits = begin("map"), begin("graph")
    claim = due()
    ledger.drop(CATALOG)
    assert [ledger.job(each.id).state for each in (running, waits)] == [JobState.CANCELED] * 2
    assert not claims.end_task(claim, {}) and claims.give_back(claim)
    assert redis.keys(f"*{CATALOG}*") == [] and claims.claim_task() is None
    with pytest.raises(CatalogNotFound, match="'shoes' was removed meanwhile"):
        begin()


def test_a_task_holds_back_no_change_and_no_removal(
    ledger: Ledger, claims: Claims, begin: Begin, due: Due, accept: Accept, take: Take, end: End
) -> None:
    begin()
    claim = due()
    version = ledger.reserve(CATALOG, "shoes", lambda: 0)
    accept(puts(1), removal=Removal(version))
    end(take())
    removal = claims.claim("drain", 64).claim
    assert removal and removal.removal
    assert claims.end_removal(removal) and claims.end_task(claim)


def test_a_task_wakes_a_worker_and_counts_as_waiting_until_it_has_ended(
    ledger: Ledger, claims: Claims, begin: Begin, due: Due
) -> None:
    assert (claims.spare_drains(64), ledger.stats().counts.waiting) == (0, 0)
    begin()
    assert (claims.spare_drains(64), ledger.stats().counts.waiting) == (1, 1)
    claim = due()
    assert (claims.spare_drains(64), ledger.stats().counts.waiting) == (0, 1)
    claims.end_task(claim)
    assert (claims.spare_drains(64), ledger.stats().counts.waiting) == (0, 0)


def test_a_hundred_tasks_wait_in_a_catalog_at_most(begin: Begin) -> None:
    for number in range(100):
        begin(f"kind {number}")
    with pytest.raises(QueueFull, match="Too many tasks of catalog shoes"):
        begin("one more")
    begin("kind 5")
    begin("one more", OTHER)


def test_a_repeated_request_finds_its_task(ledger: Ledger, store: Store) -> None:
    assert ledger.begin("key", "digest") is None
    job, _ = begin_task(store, CATALOG, "shoes", "graph", {}, max_version=lambda: 0, key="key")
    assert ledger.begin("key", "digest") == job


def test_a_tombstone_stays_while_a_task_from_before_it_goes_on(
    ledger: Ledger, claims: Claims, chores: Chores, begin: Begin, due: Due, accept: Accept, take: Take, end: End
) -> None:
    begin()
    accept(puts(3))
    end(take())
    assert chores.oldest(CATALOG) == 7
    claims.end_task(due())
    assert chores.oldest(CATALOG) is None


def test_a_task_does_not_wait_where_all_claims_end(claims: Claims, chores: Chores, begin: Begin, due: Due) -> None:
    job = begin()
    due()
    assert chores.expire(everything=True) == 1
    assert due().jobs == [job.id]


def test_saying_where_it_goes_on_from_is_no_step_forward(
    ledger: Ledger, claims: Claims, begin: Begin, due: Due, crash: Crash
) -> None:
    job = begin()
    for _ in range(5):
        assert ledger.job(job.id).finished_at is None
        claim = due()
        for done in (4, 5):  # each comes to the same place, and dies there
            claims.progress(claim, done, 10, {"after": "p4"})
        crash(claim)
    ended = ledger.job(job.id)
    assert ended.task and ended.task.code == "worker_crashed"


def test_giving_back_what_was_canceled_meanwhile_holds_back_no_change(
    ledger: Ledger, claims: Claims, begin: Begin, due: Due, accept: Accept, take: Take
) -> None:
    job = begin()
    claim = due()
    ledger.cancel(job.id)
    claims.give_back(claim, pause=60)
    accept(puts(1))
    take()
