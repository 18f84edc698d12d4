"""Jobs that remove, in the end, what they do not name: when that is due, who does it, and that each counts once."""

from collections.abc import Callable
from typing import Any

import pytest
from ledger_words import CATALOG, IMAGE, NONE_ENDED, OTHER, Accept, Crash, End, Take, counted, names, puts
from redis import Redis

from services.errors import CatalogNotFound, QueueFull
from services.ledger import Chores, Claim, Claims, Counts, Ledger, Named, Refusal, Removal, Store
from services.names import digest
from services.records import Change, ChangeKind, JobState, Lane, State

Everything = Callable[[], dict[str, Any]]


@pytest.fixture
def due(claims: Claims) -> Callable[[], Claim]:
    """Claims the removal that must be due."""

    def due() -> Claim:
        claim = claims.claim("drain", 64).claim
        assert claim is not None and claim.removal is not None
        return claim

    return due


Due = Callable[[], Claim]


def sync(ledger: Ledger, accept: Accept, *lines: Any, catalog: str = CATALOG, **fields: Any) -> Any:
    version = ledger.reserve(catalog, "shoes", lambda: 0)
    return accept(lines, catalog=catalog, removal=Removal(version, **fields))


def test_a_reserved_version_is_between_what_was_and_what_will_be(ledger: Ledger, accept: Accept, take: Take) -> None:
    accept(puts(2))
    assert ledger.reserve(CATALOG, "shoes", lambda: 0) == 3
    accept(puts(1, "q"))
    assert sorted(change.version or 0 for change in take().changes) == [1, 2, 4]


def test_a_version_of_a_catalog_that_the_ledger_does_not_know_is_above_those_of_its_index(ledger: Ledger) -> None:
    assert ledger.reserve(CATALOG, "shoes", lambda: 7) == 8


def test_no_version_is_reserved_in_a_catalog_that_is_removed(ledger: Ledger, accept: Accept) -> None:
    accept([])
    ledger.store.run("drop", CATALOG, "begin")
    with pytest.raises(CatalogNotFound, match="'shoes' was removed meanwhile"):
        ledger.reserve(CATALOG, "shoes", lambda: 0)


def test_the_removal_comes_when_its_job_and_all_before_it_have_ended(
    ledger: Ledger, claims: Claims, accept: Accept, take: Take, end: End, due: Due
) -> None:
    before = accept(puts(1, "before"), lane=Lane.INTERACTIVE)
    older = take()
    job = sync(ledger, accept, *puts(2), most=5)
    after = accept(puts(1, "after"), lane=Lane.INTERACTIVE)
    own = take(2)
    newer = take(2)
    assert [names(each) for each in (older, own, newer)] == [["before0"], ["after0", "p0"], ["p1"]]
    end(own)
    end(newer)
    assert counted(ledger.job(job.id)) == (JobState.PROCESSING, 2, 2, 0, 0, 0, 0)
    assert claims.claim("drain", 64).claim is None, "what is older may still bring a product"
    assert claims.spare_drains(64) == 0
    end(older)
    assert ledger.job(before.id).finished_at and ledger.job(after.id).finished_at
    assert claims.spare_drains(64) == 1, "a worker is woken for it"
    claim = due()
    assert (claim.catalog_id, claim.jobs, claim.changes) == (CATALOG, [job.id], [])
    assert claim.removal == Removal(2, most=5)
    assert claims.spare_drains(64) == 0
    assert claims.claim("drain", 64).claim is None, "one worker has it"


def test_each_removal_is_one_more_change_of_the_job(
    ledger: Ledger, claims: Claims, accept: Accept, take: Take, end: End, due: Due, everything: Everything
) -> None:
    job = sync(ledger, accept, *puts(2))
    end(take())
    claim = due()
    assert claims.decide(claim)
    assert claims.remove(claim, ["x", "y"])
    assert counted(ledger.job(job.id)) == (JobState.PROCESSING, 4, 2, 0, 0, 0, 0)
    deletes = take()
    assert [(change.product_id, change.kind, change.version) for change in deletes.changes] == [
        ("x", ChangeKind.DELETE, 1),
        ("y", ChangeKind.DELETE, 1),
    ]
    end(deletes, State.APPLIED, [0])
    assert claims.remove(claim, ["z"])
    end(deletes, State.SUPERSEDED, [1])
    end(take())
    assert counted(ledger.job(job.id)) == (JobState.PROCESSING, 5, 4, 0, 1, 0, 0)
    assert claims.end_removal(claim)
    ended = ledger.job(job.id)
    assert (counted(ended), ended.removed, ended.not_removed) == ((JobState.SUCCEEDED, 5, 4, 0, 1, 0, 0), 2, None)
    assert ended.finished_at is not None
    assert ledger.counts() == Counts(0, 0, NONE_ENDED | {State.APPLIED: 4, State.SUPERSEDED: 1})
    assert not claims.remove(claim, ["late"])
    left = {key for key in everything() if not key.startswith("la:job:")}
    assert left == {"la:catalogs", "la:drains", f"la:counts:{CATALOG}", f"la:version:{CATALOG}"}


def test_a_removal_that_ends_before_its_deletions_leaves_the_job_open_until_they_have(
    ledger: Ledger, claims: Claims, accept: Accept, take: Take, end: End, due: Due
) -> None:
    job = sync(ledger, accept, *puts(1))
    end(take())
    claim = due()
    claims.remove(claim, ["x"])
    claims.end_removal(claim)
    assert counted(ledger.job(job.id)) == (JobState.PROCESSING, 2, 1, 0, 0, 0, 0)
    end(take())
    assert counted(ledger.job(job.id)) == (JobState.SUCCEEDED, 2, 2, 0, 0, 0, 0)


def test_what_a_feed_names_is_every_product_of_its_lines(
    ledger: Ledger, claims: Claims, accept: Accept, take: Take, end: End, due: Due
) -> None:
    lines = [
        Change("put", image=IMAGE),
        Change("delete", ChangeKind.DELETE),
        Named("kept"),
        Refusal(4, "refused", "bad", "It is bad."),
    ]
    job = sync(ledger, accept, *lines)
    assert job.total == 3
    end(take())
    assert b"".join(claims.names(due())) == b"".join(map(digest, ["put", "delete", "kept", "refused"]))


def test_the_names_of_a_million_products_take_sixteen_bytes_each(
    ledger: Ledger, accept: Accept, due: Due, claims: Claims, redis: Redis
) -> None:
    sync(ledger, accept, *(Named(f"sku-{i}") for i in range(20_000)))
    [key] = redis.keys("la:names:*")
    assert redis.memory_usage(key, samples=0) < 17 * 20_000
    assert sum(map(len, claims.names(due()))) == 16 * 20_000


def test_where_lines_have_no_id_nothing_is_removed_and_the_job_says_so(
    ledger: Ledger, claims: Claims, accept: Accept, take: Take, end: End, redis: Redis
) -> None:
    job = sync(ledger, accept, *puts(1), Refusal(2, "", "bad", "It is bad."), forgone="lines_without_id")
    end(take())
    ended = ledger.job(job.id)
    assert (ended.state, ended.total, ended.removed, ended.not_removed) == (
        JobState.SUCCEEDED,
        2,
        0,
        "lines_without_id",
    )
    assert claims.claim("drain", 64).claim is None
    assert redis.keys("la:names:*") == redis.keys("la:removals:*") == []


def test_a_removal_that_is_too_much_ends_and_says_so(
    ledger: Ledger, claims: Claims, accept: Accept, take: Take, end: End, due: Due
) -> None:
    job = sync(ledger, accept, *puts(1), most=0)
    end(take())
    assert claims.end_removal(due(), "too_many_removed")
    ended = ledger.job(job.id)
    assert (counted(ended), ended.not_removed) == ((JobState.SUCCEEDED, 1, 1, 0, 0, 0, 0), "too_many_removed")


def test_a_removal_without_changes_that_did_not_happen_has_failed(
    ledger: Ledger, claims: Claims, accept: Accept, due: Due
) -> None:
    job = sync(ledger, accept, filter="{}")
    assert job.state is JobState.ENQUEUED
    claim = due()
    assert claim.removal == Removal(1, filter="{}")
    claims.end_removal(claim, "index_unavailable")
    ended = ledger.job(job.id)
    assert (ended.state, ended.total, ended.not_removed) == (JobState.FAILED, 0, "index_unavailable")


def test_whoever_lost_the_lease_of_a_removal_changes_nothing(
    ledger: Ledger, claims: Claims, accept: Accept, take: Take, end: End, crash: Crash, due: Due, everything: Everything
) -> None:
    job = sync(ledger, accept, *puts(1))
    end(take())
    lost = due()
    crash(lost)
    now = due()
    before = everything()
    assert not claims.extend(lost)
    assert not claims.decide(lost)
    assert not claims.remove(lost, ["x"])
    assert not claims.end_removal(lost)
    assert not claims.give_back(lost)
    assert everything() == before
    assert claims.remove(now, ["x"]) and claims.end_removal(now)
    end(take())
    assert ledger.job(job.id).removed == 1


def test_what_was_decided_is_not_decided_anew_and_what_was_appended_ends_first(
    ledger: Ledger, claims: Claims, accept: Accept, take: Take, end: End, crash: Crash, due: Due
) -> None:
    """Or a product whose deletion is on its way would be found, and counted, again."""
    job = sync(ledger, accept, *puts(1))
    end(take())
    first = due()
    claims.decide(first)
    claims.remove(first, ["x"])
    crash(first)
    deletes = take()
    assert names(deletes) == ["x"]
    assert claims.claim("drain", 64).claim is None
    end(deletes)
    again = due()
    assert again.removal == Removal(1, decided=True)
    assert claims.remove(again, ["y"]) and claims.end_removal(again)
    end(take())
    ended = ledger.job(job.id)
    assert (counted(ended), ended.removed) == ((JobState.SUCCEEDED, 3, 3, 0, 0, 0, 0), 2)


def test_a_canceled_job_removes_nothing_more(
    ledger: Ledger, claims: Claims, accept: Accept, take: Take, end: End, due: Due, redis: Redis
) -> None:
    due_one, waiting = sync(ledger, accept, *puts(1)), sync(ledger, accept, *puts(1, "q"), catalog=OTHER)
    end(take(1))
    end(take(1))
    claim = claims.claim("drain", 64).claim
    assert claim and claim.removal and claim.jobs == [due_one.id]
    claims.remove(claim, ["x", "y"])
    assert due().jobs == [waiting.id]
    deletes = take(1)
    for job in (due_one, waiting):
        ledger.cancel(job.id)
    assert not claims.remove(claim, ["z"]) and not claims.end_removal(claim)
    claims.give_back(claim)
    assert claims.claim("drain", 64).claim is None
    assert redis.keys("la:removals:*") == redis.keys("la:names:*") == []
    end(deletes)
    ended = ledger.job(due_one.id)
    assert (counted(ended), ended.removed, ended.not_removed) == ((JobState.CANCELED, 3, 2, 0, 0, 0, 1), 1, "canceled")
    other = ledger.job(waiting.id)
    assert (counted(other), other.not_removed) == ((JobState.CANCELED, 1, 1, 0, 0, 0, 0), "canceled")
    assert sum(each for each in (ledger.counts().waiting, ledger.counts().in_flight)) == 0


def test_a_removed_catalog_leaves_nothing_of_its_removals(
    ledger: Ledger, accept: Accept, take: Take, end: End, due: Due, redis: Redis
) -> None:
    job = sync(ledger, accept, *puts(1))
    end(take())
    due()
    ledger.drop(CATALOG)
    assert redis.keys(f"*{CATALOG}*") == redis.keys("la:names:*") == redis.keys("la:older:*") == []
    assert ledger.job(job.id).finished_at is not None


def test_a_feed_that_was_never_committed_leaves_no_names(ledger: Ledger, accept: Accept, redis: Redis) -> None:
    def feed() -> Any:
        yield from puts(300)
        assert redis.keys("la:names:*")
        raise RuntimeError

    version = ledger.reserve(CATALOG, "shoes", lambda: 0)
    with pytest.raises(RuntimeError):
        accept(feed(), removal=Removal(version))
    assert redis.keys("la:names:*") == redis.keys("la:removals:*") == []


@pytest.mark.parametrize("killed", [False, True])
def test_a_removal_of_which_workers_despair_fails_as_a_change_does(
    ledger: Ledger, claims: Claims, accept: Accept, due: Due, crash: Crash, killed: bool
) -> None:
    job = sync(ledger, accept, filter="{}")
    for _ in range(5):
        assert ledger.job(job.id).finished_at is None
        if killed:
            crash(due())
        else:
            claims.give_back(due(), crashed=True)
    assert (ledger.job(job.id).state, ledger.job(job.id).not_removed) == (JobState.FAILED, "worker_crashed")


def test_a_removal_that_gets_on_survives_any_number_of_crashes(
    ledger: Ledger, claims: Claims, accept: Accept, take: Take, end: End, due: Due, crash: Crash
) -> None:
    job = sync(ledger, accept, filter="{}")
    for n in range(4):
        crash(due())
        assert ledger.job(job.id).finished_at is None, n
    for n in range(8):
        claim = due()
        if not n:
            claims.decide(claim)
        else:
            claims.remove(claim, [f"x{n}"])
        crash(claim)
        if n:
            end(take())
    claims.end_removal(due())
    ended = ledger.job(job.id)
    assert (ended.state, ended.removed, ended.not_removed) == (JobState.SUCCEEDED, 7, None)


def test_two_feeds_at_once_do_not_wait_for_each_other(
    ledger: Ledger, claims: Claims, accept: Accept, take: Take, end: End, due: Due
) -> None:
    """The first to begin is the last to be accepted: each waits for those before it only."""
    first, second = (ledger.reserve(CATALOG, "shoes", lambda: 0) for _ in range(2))
    jobs = [accept(puts(1, f"v{version}-"), removal=Removal(version)) for version in (second, first)]
    end(take())
    claim = due()
    assert claim.jobs == [jobs[0].id]
    assert claims.claim("drain", 64).claim is None
    claims.end_removal(claim)
    last = due()
    assert last.jobs == [jobs[1].id]
    claims.end_removal(last)
    assert all(ledger.job(job.id).finished_at for job in jobs)


def test_the_tombstones_of_a_removal_stay_while_it_is_open(ledger: Ledger, accept: Accept, chores: Chores) -> None:
    accept(puts(1))
    ledger.cancel("1")
    version = ledger.reserve(CATALOG, "shoes", lambda: 0)
    accept(puts(1, "q"))
    ledger.cancel("2")
    accept([], removal=Removal(version, filter="{}"))
    assert chores.oldest(CATALOG) == version


def test_a_process_of_another_store_finds_the_removal(store: Store, ledger: Ledger, accept: Accept) -> None:
    """Whoever claims: it is kept in Redis alone."""
    job = sync(ledger, accept, Named("a"), most=3)
    claim = Claims(Store(store.redis)).claim("elsewhere", 1).claim
    assert claim and claim.jobs == [job.id] and claim.removal == Removal(1, most=3)


def test_a_backup_has_the_changes_of_a_job_and_the_deletions_so_far(
    ledger: Ledger, claims: Claims, accept: Accept, due: Due
) -> None:
    """Restored, they are changes like others: what had not been appended stays."""
    accept([])
    job = sync(ledger, accept, Named("kept"))
    claims.remove(due(), ["x"])
    sync(ledger, accept, *puts(1))
    waiting = [
        (number, change.product_id, change.kind, change.version) for number, _, change in ledger.unfinished(CATALOG)
    ]
    assert waiting == [(job.id, "x", ChangeKind.DELETE, 1), ("3", "p0", ChangeKind.PUT, 3)]


def test_what_a_claim_asks_of_removals_does_not_grow_with_the_jobs_that_are_open(
    ledger: Ledger, claims: Claims, accept: Accept, take: Take, end: End, due: Due, redis: Redis
) -> None:
    """Each claim asks it, and Redis does nothing else meanwhile."""
    for n in range(200):
        accept(puts(1, f"open{n}-"))
    jobs = [sync(ledger, accept, filter="{}") for _ in range(50)]
    redis.config_resetstat()
    assert claims.spare_drains(64) == 1
    asked = redis.info("commandstats")
    assert "cmdstat_sinterstore" not in asked
    assert sum(each["calls"] for each in asked.values()) < 20
    for _ in range(4):
        end(take())
    for job in jobs:
        claim = due()
        assert claim.jobs == [job.id], "in the order in which they were accepted"
        claims.end_removal(claim)
    assert redis.keys("la:removals:*") == redis.keys("la:older:*") == []


def test_one_whose_turn_it_is_not_waits_also_for_what_a_canceled_one_waited_for(
    ledger: Ledger, claims: Claims, accept: Accept, take: Take, end: End, due: Due
) -> None:
    accept(puts(1))
    older = take()
    first, second = (sync(ledger, accept, filter="{}") for _ in range(2))
    ledger.cancel(first.id)
    assert claims.claim("drain", 64).claim is None
    end(older)
    assert due().jobs == [second.id]


def test_no_more_than_a_thousand_removals_of_a_catalog_wait(ledger: Ledger, accept: Accept, redis: Redis) -> None:
    """Each keeps the names of the jobs before it: without an end, the memory would grow with the square."""
    accept([])
    redis.rpush(f"la:removals:{CATALOG}", *range(10_000, 10_999))
    sync(ledger, accept, filter="{}")
    with pytest.raises(QueueFull, match="removals of catalog name of c wait already"):
        sync(ledger, accept, *puts(1))
    assert redis.keys("la:names:*") == redis.keys("la:chain:*") == []
