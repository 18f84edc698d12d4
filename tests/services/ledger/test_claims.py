"""Who gets what: batches across jobs, lanes, catalogs, and one change of a product at a time."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import Any

import pytest
from ledger_words import CATALOG, IMAGE, NONE_ENDED, OTHER, THIRD, Accept, End, Take, counted, names, puts
from redis import Redis

from services.ledger import Claim, Claimed, Claims, Counts, Ledger
from services.records import Change, ChangeKind, JobState, Lane, State

PUT = Change("a", image=IMAGE, attributes={})
KEEP = Change("a", image=IMAGE)
PATCH = Change("a", ChangeKind.PATCH, attributes={"x": 1})
DELETE = Change("a", ChangeKind.DELETE)


def test_a_batch_is_filled_across_jobs(ledger: Ledger, claims: Claims, accept: Accept, redis: Redis) -> None:
    first, second = accept(puts(1, "a"), request_id="req-1"), accept(puts(2, "b"))
    claimed = claims.claim("drain", 64)
    changes = [Change(name, image=IMAGE, attributes={}, version=v) for name, v in (("a0", 1), ("b0", 2), ("b1", 3))]
    assert claimed == Claimed(
        Claim("1", CATALOG, ["1:0", "2:0", "2:1"], changes, ["1", "2", "2"], ["req-1", "", ""]), 0, False
    )
    assert ledger.counts(CATALOG) == Counts(0, 3, NONE_ENDED)
    jobs = [ledger.job(job.id) for job in (first, second)]
    assert [job.state for job in jobs] == [JobState.PROCESSING] * 2
    assert all(job.started_at is not None and job.created_at <= job.started_at for job in jobs)
    until = redis.zscore("la:leases", "1")
    assert until is not None
    seconds, _ = redis.time()
    assert 28_000 <= until - 1000 * seconds <= 31_000
    assert claims.claim("drain", 64) == Claimed(None, 0, False)


def test_a_job_has_started_when_the_first_of_it_was_handed_out(
    ledger: Ledger, accept: Accept, take: Take, redis: Redis
) -> None:
    job = accept(puts(2))
    take(1)
    redis.hset(f"la:job:{job.id}", "t1", 5000)
    take(1)
    assert ledger.job(job.id).started_at == 5


def test_a_claim_has_no_more_than_its_limit(claims: Claims, accept: Accept, take: Take) -> None:
    accept(puts(10, "a"))
    accept(puts(10, "b"), lane=Lane.INTERACTIVE)
    sizes = [len(take(limit).refs) for limit in (1, 2, 3, 5, 8, 64)]
    assert sizes == [1, 2, 3, 5, 8, 1]
    assert claims.claim("drain", 64).claim is None


def test_outcomes_count_once_each(ledger: Ledger, claims: Claims, accept: Accept, take: Take, end: End) -> None:
    job = accept(puts(7))
    claim = take()
    end(claim, State.UNCHANGED, [0])
    end(claim, State.UNCHANGED, [0, 0])
    end(claim, State.FAILED, [0, 1, 2])
    end(claim, State.SUPERSEDED, [2, 3])
    assert counted(ledger.job(job.id)) == (JobState.PROCESSING, 7, 0, 1, 1, 2, 0)
    ended = NONE_ENDED | {State.UNCHANGED: 1, State.FAILED: 2, State.SUPERSEDED: 1}
    assert ledger.counts() == Counts(0, 3, ended)
    assert claims.extend(claim)
    end(claim, State.APPLIED, [4, 5, 6])
    assert counted(ledger.job(job.id)) == (JobState.SUCCEEDED, 7, 3, 1, 1, 2, 0)
    assert ledger.counts() == Counts(0, 0, ended | {State.APPLIED: 3})
    assert not claims.extend(claim), "there is nothing left to hold"


def test_only_the_changes_of_a_claim_are_recorded_with_it(
    ledger: Ledger, accept: Accept, take: Take, end: End, everything: Callable[[], dict[str, Any]]
) -> None:
    accept(puts(3))
    mine, others = take(1), take(1)
    before = everything()
    end(Claim(mine.id, CATALOG, others.refs, others.changes, others.jobs))
    end(Claim(mine.id, CATALOG, ["1:2", "1:3", "9:9"], puts(3), ["1"] * 3), State.FAILED)
    assert everything() == before


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([State.APPLIED, State.FAILED], JobState.SUCCEEDED),
        ([State.FAILED, State.FAILED], JobState.FAILED),
        ([State.FAILED, State.SUPERSEDED], JobState.SUCCEEDED),
        ([State.UNCHANGED, State.UNCHANGED], JobState.SUCCEEDED),
    ],
)
def test_how_a_job_ends(
    ledger: Ledger, accept: Accept, take: Take, end: End, states: list[State], expected: JobState
) -> None:
    job = accept(puts(2))
    claim = take()
    for i, state in enumerate(states):
        assert ledger.job(job.id).finished_at is None
        end(claim, state, [i])
    ended = ledger.job(job.id)
    assert (ended.state, ended.done, ended.errors) == (expected, 2, State.FAILED in states)
    assert ended.started_at is not None
    assert ended.finished_at is not None
    assert ended.created_at <= ended.started_at <= ended.finished_at


# Lanes


def test_what_is_given_back_stays_in_its_lane(claims: Claims, accept: Accept, take: Take) -> None:
    accept(puts(10))
    accept(puts(20, "i"), lane=Lane.INTERACTIVE)
    claims.give_back(take(1))
    assert names(take(8)) == ["i0", "i1", "i2", "i3", "i4", "i5", "p0", "p1"]


def test_what_was_waited_for_is_handed_out_before_what_crashed(
    claims: Claims, accept: Accept, take: Take, end: End, crash: Callable[[Claim], None]
) -> None:
    accept([PATCH, *puts(4)])
    held, crashed, given_back = take(1), take(1), take(1)
    accept([PATCH])
    take(2)
    assert claims.claim("drain", 1).claim is None
    crash(crashed)
    claims.give_back(given_back)
    end(held)
    assert [names(take(1)) for _ in range(3)] == [["a"], ["p1"], ["p0"]]


def test_who_waits_goes_ahead_of_a_large_job(accept: Accept, take: Take) -> None:
    accept(puts(10_000))
    take()
    accept(puts(3, "i"), lane=Lane.INTERACTIVE)
    assert names(take(8)) == ["i0", "i1", "i2", "p64", "p65", "p66", "p67", "p68"]


@pytest.mark.parametrize(
    ("limit", "turns", "bulk"), [(64, 1, 16), (8, 1, 2), (6, 2, 3), (5, 4, 5), (3, 4, 3), (2, 2, 1), (1, 4, 1)]
)
def test_a_quarter_is_kept_for_the_bulk_lane(accept: Accept, take: Take, limit: int, turns: int, bulk: int) -> None:
    accept(puts(1000))
    accept(puts(1000, "i"), lane=Lane.INTERACTIVE)
    for _ in range(3):
        found = [name for _ in range(turns) for name in names(take(limit))]
        assert len(found) == limit * turns
        assert sum(name.startswith("p") for name in found) == bulk


def test_of_each_catalog_a_quarter_is_kept(accept: Accept, claims: Claims) -> None:
    for catalog in (CATALOG, OTHER):
        accept(puts(100), catalog=catalog)
        accept(puts(100, "i"), catalog=catalog, lane=Lane.INTERACTIVE)
    found: Counter[tuple[str, str]] = Counter()
    for _ in range(80):
        claim = claims.claim("drain", 1).claim
        assert claim is not None
        found[claim.catalog_id[0], claim.changes[0].product_id[0]] += 1
    assert found == {
        (catalog[0], lane): count for catalog in (CATALOG, OTHER) for lane, count in (("i", 30), ("p", 10))
    }


def test_what_one_lane_does_not_need_the_other_has(accept: Accept, take: Take) -> None:
    accept(puts(100, "i"), lane=Lane.INTERACTIVE)
    assert len(take().refs) == 64
    accept(puts(100))
    assert [name[0] for name in names(take())] == ["i"] * 36 + ["p"] * 28


def test_who_waits_does_not_wait_for_what_is_before_it(accept: Accept, take: Take, end: End) -> None:
    """A bulk change that an interactive one of its product depends on is handed out in its stead."""
    accept(puts(1000))
    accept([Change("p999", ChangeKind.PATCH, attributes={"a": 1})], lane=Lane.INTERACTIVE)
    claim = take(8)
    assert [(each.product_id, each.kind) for each in claim.changes[:1]] == [("p999", ChangeKind.PUT)]
    end(claim)
    claim = take(8)
    assert [(each.product_id, each.kind) for each in claim.changes[:1]] == [("p999", ChangeKind.PATCH)]


# Catalogs


def test_catalogs_take_turns(accept: Accept, take: Take) -> None:
    for catalog in (CATALOG, OTHER, OTHER, THIRD):
        accept(puts(20), catalog=catalog)
    turns = [take(8).catalog_id for _ in range(9)]
    assert turns == [CATALOG, OTHER, THIRD] * 3, "however many jobs each has"


def test_catalogs_keep_to_themselves(ledger: Ledger, accept: Accept, take: Take, end: End) -> None:
    """The same product in two catalogs is two."""
    for catalog in (CATALOG, OTHER):
        accept([Change("a", image=IMAGE, attributes={}), Change("a", ChangeKind.DELETE)], catalog=catalog)
    first, second = take(), take()
    assert (first.catalog_id, names(first), second.catalog_id, names(second)) == (CATALOG, ["a"], OTHER, ["a"])
    end(first)
    end(second, State.FAILED)
    assert ledger.counts(CATALOG) == Counts(0, 0, NONE_ENDED | {State.APPLIED: 1, State.SUPERSEDED: 1})
    assert ledger.counts(OTHER) == Counts(1, 0, NONE_ENDED | {State.FAILED: 1})


# Products


@pytest.mark.parametrize(
    ("changes", "versions"),
    [
        ([PUT], [1]),
        ([PUT, PUT, PUT], [3]),
        ([PUT, DELETE], [2]),
        ([DELETE, PUT], [2]),
        ([PATCH, PATCH], [1, 2]),
        ([PATCH, KEEP, PATCH], [1, 2, 3]),
        ([PUT, PATCH], [1, 2]),
        ([PATCH, PUT, PATCH], [2, 3]),
        ([PATCH, PUT, PATCH, DELETE, KEEP, PATCH], [4, 5, 6]),
        ([PUT, KEEP, PUT], [3]),
        ([replace(PUT, version=500), replace(DELETE, version=900), replace(PUT, version=700)], [900]),
        ([replace(PATCH, version=700), replace(PATCH, version=500), PATCH], [3, 500, 700]),
    ],
)
@pytest.mark.parametrize("together", [True, False])
def test_a_product_changes_in_the_order_of_versions_and_no_more_than_needed(
    ledger: Ledger,
    claims: Claims,
    accept: Accept,
    take: Take,
    end: End,
    changes: list[Change],
    versions: list[int],
    together: bool,
) -> None:
    jobs = [accept(changes)] if together else [accept([change]) for change in changes]
    found = []
    while claim := claims.claim("drain", 64).claim:
        assert claims.claim("another", 64).claim is None, "one at a time"
        found += [change.version for change in claim.changes]
        end(claim)
    assert found == versions
    ended = [ledger.job(job.id) for job in jobs]
    assert sum(job.applied for job in ended) == len(versions)
    assert sum(job.superseded for job in ended) == len(changes) - len(versions)
    assert all(job.finished_at for job in ended)


@pytest.mark.parametrize(
    ("changes", "versions"),
    [
        ([PUT, PUT, PUT], [3, 2, 1]),
        ([PATCH, PUT, PATCH], [2, 1, 3]),
        ([DELETE, PATCH, PUT, PATCH], [3, 1, 2, 4]),
    ],
)
def test_what_is_older_is_wanted_where_the_newer_fails(
    ledger: Ledger, claims: Claims, accept: Accept, end: End, changes: list[Change], versions: list[int]
) -> None:
    job = accept(changes)
    found = []
    while claim := claims.claim("drain", 64).claim:
        found += [change.version for change in claim.changes]
        end(claim, State.FAILED)
    assert found == versions
    assert counted(ledger.job(job.id)) == (JobState.FAILED, len(changes), 0, 0, 0, len(changes), 0)


@pytest.mark.parametrize("state", [State.APPLIED, State.UNCHANGED, State.SUPERSEDED])
def test_what_ends_well_supersedes_what_was_before_it(
    ledger: Ledger, accept: Accept, take: Take, end: End, state: State
) -> None:
    older, newer = accept([PATCH, PATCH]), accept([PUT, PATCH])
    end(take(), state)
    assert counted(ledger.job(older.id)) == (JobState.SUCCEEDED, 2, 0, 0, 2, 0, 0)
    assert [change.version for change in take().changes] == [4]
    assert counted(ledger.job(newer.id))[1:2] == (2,)


def test_what_comes_while_a_product_is_in_hand_waits_for_it(
    claims: Claims, accept: Accept, take: Take, end: End
) -> None:
    accept([PUT])
    claim = take()
    accept([PUT, PATCH, *puts(1)])
    assert names(take()) == ["p0"]
    assert claims.claim("drain", 64).claim is None
    end(claim)
    assert [change.version for change in take().changes] == [2]


@pytest.mark.parametrize("how", ["given back", "crashed", "failed"])
def test_what_was_passed_over_comes_back_however_the_product_is_let_go(
    claims: Claims,
    accept: Accept,
    take: Take,
    end: End,
    crash: Callable[[Claim], None],
    how: str,
) -> None:
    accept([PATCH])
    claim = take()
    accept([PATCH, *puts(1)])
    assert names(take()) == ["p0"], "it has been passed over"
    match how:
        case "given back":
            assert claims.give_back(claim)
            end(take())
        case "crashed":
            crash(claim)
            end(take())
        case "failed":
            end(claim, State.FAILED)
    assert [change.version for change in take().changes] == [2]


def test_a_change_of_an_older_version_comes_first_and_is_superseded(
    ledger: Ledger, accept: Accept, take: Take, end: End
) -> None:
    """Versions count, not when a change came."""
    accept([PATCH], max_version=lambda: 100)
    held = take()
    old = accept([Change("a", ChangeKind.PATCH, attributes={}, version=50), PATCH])
    end(held)
    assert counted(ledger.job(old.id)) == (JobState.ENQUEUED, 2, 0, 0, 1, 0, 0)
    assert [change.version for change in take().changes] == [103]


# However much waits


def commands(redis: Redis, call: Callable[[], object]) -> int:
    redis.config_resetstat()
    call()
    return sum(int(stat["calls"]) for stat in redis.info("commandstats").values())


def test_a_claim_does_as_much_with_much_waiting_as_with_little(
    ledger: Ledger, accept: Accept, take: Take, end: End, redis: Redis
) -> None:
    accept(puts(200))
    little = commands(redis, lambda: end(take()))
    accept(puts(20_000, "q"))
    for i in range(300):
        accept([Change(f"single{i}", image=IMAGE)])
    assert commands(redis, lambda: end(take())) == little


def test_a_claim_is_smaller_where_products_have_many_changes(
    claims: Claims, accept: Accept, take: Take, redis: Redis
) -> None:
    """Whatever a script does, it keeps all others waiting."""
    for _ in range(300):
        accept(puts(20))
    claimed: list[Claimed] = []
    assert commands(redis, lambda: claimed.append(claims.claim("drain", 64))) < 5000
    assert claimed[0].claim is not None
    assert (names(claimed[0].claim), claimed[0].more) == ([f"p{i}" for i in range(7)], True)


@pytest.mark.nightly
def test_a_claim_takes_as_long_with_300_000_waiting_as_with_3_000(
    ledger: Ledger, accept: Accept, take: Take, end: End, redis: Redis
) -> None:
    """As many commands is not enough: one command can walk all that waits. That would take a hundred times as long."""

    def microseconds() -> float:
        redis.config_set("slowlog-max-len", 1000)
        redis.config_set("slowlog-log-slower-than", 0)
        redis.slowlog_reset()
        for _ in range(20):
            end(take())
        redis.config_set("slowlog-log-slower-than", 10_000)
        return median(e["duration"] for e in redis.slowlog_get(1000) if e["command"].startswith(b"EVALSHA"))

    accept(puts(3_000))
    little = microseconds()
    accept(puts(300_000, "q"))
    assert microseconds() < 10 * little


@pytest.mark.parametrize("change", [PUT, PATCH])
def test_a_thousand_changes_of_one_product_are_no_burden(
    ledger: Ledger, accept: Accept, take: Take, end: End, redis: Redis, change: Change
) -> None:
    """Whatever a script does, it keeps all others waiting."""
    taken: list[Claim] = []
    for _ in range(3):
        accept([change] * 330)
    assert commands(redis, lambda: taken.append(take())) < 4000
    assert commands(redis, lambda: end(taken[0])) < 8000
    assert commands(redis, lambda: ledger.cancel("3")) < 8000


def test_a_canceled_job_is_passed_over_step_by_step(
    ledger: Ledger, claims: Claims, accept: Accept, take: Take, redis: Redis
) -> None:
    job = accept(puts(5000))
    accept(puts(1, "q"))
    ledger.cancel(job.id)
    claimed = []
    assert commands(redis, lambda: claimed.append(claims.claim("drain", 64))) < 3000
    assert claimed == [Claimed(None, 0, True)], "not everything was looked at"
    while claimed[-1].more and not claimed[-1].claim:
        claimed.append(claims.claim("drain", 64))
    assert claimed[-1].claim is not None
    assert (len(claimed), names(claimed[-1].claim)) == (3, ["q0"])


def test_who_has_work_does_not_wait_for_one_who_has_canceled_much(
    ledger: Ledger, claims: Claims, accept: Accept, take: Take
) -> None:
    ledger.cancel(accept(puts(5000)).id)
    accept(puts(1), catalog=OTHER)
    assert claims.claim("drain", 64) == Claimed(None, 0, True)
    assert take().catalog_id == OTHER


def test_a_job_that_is_kept_no_more_is_passed_over(ledger: Ledger, accept: Accept, take: Take, redis: Redis) -> None:
    job = ledger.cancel(accept(puts(1)).id)
    redis.delete(f"la:job:{job.id}")
    accept(puts(1, "q"))
    assert names(take()) == ["q0"]
