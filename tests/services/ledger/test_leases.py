"""Workers fall silent, die, and bring death: others get what they had, and what kills is found out."""

from ledger_words import CATALOG, IMAGE, NONE_ENDED, OTHER, Accept, Crash, End, Take, counted, names, puts
from redis import Redis

from services.ledger import Chores, Claim, Claimed, Claims, Counts, Ledger
from services.records import Change, ChangeKind, Item, JobState, Outcome, State

GUILTY = "A worker ended each time it had this change in hand; look at its image, then retry the job."


# Leases


def test_a_lease_that_is_extended_is_kept(
    claims: Claims, chores: Chores, accept: Accept, take: Take, redis: Redis
) -> None:
    accept(puts(1))
    claim = take()
    soon = 1000 * redis.time()[0] + 1000
    redis.zadd("la:leases", {claim.id: soon})
    assert chores.expire() == 0
    assert claims.extend(claim)
    until = redis.zscore("la:leases", claim.id)
    assert until is not None
    assert until > soon + 25_000
    assert all(claims.extend(claim) for _ in range(100)), "also within a millisecond"


def test_when_a_lease_is_over_others_get_the_changes_and_the_old_holder_counts_nothing(
    ledger: Ledger, claims: Claims, chores: Chores, accept: Accept, take: Take, end: End, crash: Crash, redis: Redis
) -> None:
    job = accept(puts(3))
    old = take()
    end(old, State.UNCHANGED, [0])
    redis.zadd("la:leases", {old.id: 0})
    assert claims.claim("another", 64) == Claimed(None), "until upkeep has seen it"
    assert chores.expire() == 1
    assert ledger.counts() == Counts(2, 0, NONE_ENDED | {State.UNCHANGED: 1})
    new = take(drain="another")
    assert (sorted(new.refs), sorted(names(new))) == (["1:1", "1:2"], ["p1", "p2"])
    outcomes = [(ref, Outcome("p", State.FAILED, "late", "Late.")) for ref in old.refs]
    assert not claims.record(old, outcomes)
    assert not claims.give_back(old, pause=60)
    assert not claims.extend(old)
    assert counted(ledger.job(job.id)) == (JobState.PROCESSING, 3, 0, 1, 0, 0, 0)
    assert ledger.counts() == Counts(0, 2, NONE_ENDED | {State.UNCHANGED: 1})
    end(new)
    assert counted(ledger.job(job.id)) == (JobState.SUCCEEDED, 3, 2, 1, 0, 0, 0)


def test_who_is_late_but_not_replaced_may_still_record(
    ledger: Ledger, chores: Chores, accept: Accept, take: Take, end: End, redis: Redis
) -> None:
    job = accept(puts(1))
    claim = take()
    redis.zadd("la:leases", {claim.id: 0})
    end(claim)
    assert chores.expire() == 0
    assert ledger.job(job.id).applied == 1


def test_all_claims_are_taken_where_no_worker_lives(
    claims: Claims, chores: Chores, accept: Accept, take: Take, redis: Redis
) -> None:
    accept(puts(50))
    taken = [take(1) for _ in range(50)]
    claims.register("dead", 4, 60)
    assert chores.expire() == 0
    assert chores.expire(everything=True) == 50
    assert not redis.exists("la:leases", "la:drains", "la:workers", *[f"la:claim:{claim.id}" for claim in taken])
    assert len(take().refs) == 50


# Giving back


def test_what_is_given_back_is_handed_out_first(
    ledger: Ledger, claims: Claims, accept: Accept, take: Take, end: End
) -> None:
    accept(puts(6))
    claim = take(3)
    end(claim, State.APPLIED, [1])
    assert claims.give_back(claim)
    assert ledger.counts() == Counts(5, 0, NONE_ENDED | {State.APPLIED: 1})
    assert sorted(names(take(2))) == ["p0", "p2"]
    assert not claims.give_back(claim), "once"


def test_what_is_given_back_again_and_again_is_no_suspect(claims: Claims, accept: Accept, take: Take) -> None:
    accept(puts(1))
    for _ in range(20):
        assert claims.give_back(take())
    assert names(take()) == ["p0"]


def test_a_catalog_pauses_and_others_do_not(claims: Claims, accept: Accept, take: Take, redis: Redis) -> None:
    accept(puts(2))
    accept(puts(1, "q"), catalog=OTHER)
    assert claims.give_back(take(1), pause=40.5)
    assert 38_000 < redis.pttl(f"la:paused:{CATALOG}") <= 40_500
    claim = take()
    assert (claim.catalog_id, names(claim)) == (OTHER, ["q0"])
    assert claims.claim("drain", 64) == Claimed(None)
    assert claims.spare_drains(1) == 0
    accept(puts(1, "r"))
    assert claims.claim("drain", 64) == Claimed(None)
    redis.pexpire(f"la:paused:{CATALOG}", 1)
    wait_until_gone(redis, f"la:paused:{CATALOG}")
    assert names(take()) == ["p0", "p1", "r0"]


def wait_until_gone(redis: Redis, key: str) -> None:
    for _ in range(10_000):
        if not redis.exists(key):
            return
    raise AssertionError(key)


def test_a_catalog_does_not_pause_where_none_is_asked_for(
    claims: Claims, accept: Accept, take: Take, redis: Redis
) -> None:
    accept(puts(1))
    assert claims.give_back(take())
    assert not redis.exists(f"la:paused:{CATALOG}")


# What kills


def test_what_crashes_twice_in_company_runs_alone_and_fails_with_the_third_time_alone(
    ledger: Ledger, claims: Claims, accept: Accept, take: Take, crash: Crash, end: End, redis: Redis
) -> None:
    job = accept([Change("killer", image=IMAGE), Change("innocent", image=IMAGE)])
    for _ in range(2):
        claim = take()
        assert sorted(names(claim)) == ["innocent", "killer"]
        crash(claim)
    accept(puts(1))
    claim = take()
    assert names(claim) == ["p0"], "whoever does not ask for suspects gets none"
    end(claim)
    assert claims.claim("drain", 64) == Claimed(None, 2), "which wait to run alone"
    for time in range(3):
        assert counted(ledger.job(job.id)) == (JobState.PROCESSING, 2, min(time, 1), 0, 0, 0, 0)
        claim = take(64, alone=True)
        assert claim == Claim(claim.id, CATALOG, claim.refs, claim.changes, [job.id], [""], alone=True)
        if time == 0:
            assert names(claim) == ["killer"], "one, whatever the limit is"
            crash(claim)
            claim = take(64, alone=True)
            assert names(claim) == ["innocent"]
            end(claim)
        else:
            assert names(claim) == ["killer"]
            crash(claim)
    assert counted(ledger.job(job.id)) == (JobState.SUCCEEDED, 2, 1, 0, 0, 1, 0)
    assert ledger.items(job.id) == (
        [Item("killer", State.FAILED, "worker_crashed", GUILTY, IMAGE.url)],
        None,
    )
    assert ledger.counts() == Counts(0, 0, NONE_ENDED | {State.APPLIED: 2, State.FAILED: 1})
    assert claims.claim("drain", 64, alone=True) == Claimed(None)
    assert not redis.exists(f"la:crashes:{CATALOG}", f"la:suspects:{CATALOG}", f"la:chain:{CATALOG}", "la:leases")


def test_a_neighbor_that_kills_each_time_ends_no_innocent(
    ledger: Ledger, claims: Claims, accept: Accept, take: Take, crash: Crash, end: End
) -> None:
    job = accept([*puts(31), Change("killer", image=IMAGE), *puts(32, "q")])
    worker = 0
    while ledger.job(job.id).finished_at is None:
        worker += 1
        claimed = claims.claim("drain", 64)
        claim = claimed.claim or take(alone=True)
        if "killer" in names(claim):
            crash(claim)
        else:
            end(claim)
    assert counted(ledger.job(job.id)) == (JobState.SUCCEEDED, 64, 63, 0, 0, 1, 0)
    assert worker == 2 + 63 + 3


def test_a_worker_that_failed_in_a_way_it_does_not_know_counts_as_a_crash(
    ledger: Ledger, claims: Claims, accept: Accept, take: Take
) -> None:
    job = accept(puts(1))
    for alone in (False, False, True, True, True):
        assert ledger.job(job.id).finished_at is None
        assert claims.give_back(take(alone=alone), crashed=True)
    assert [item.code for item in ledger.items(job.id)[0]] == ["worker_crashed"]


def test_what_was_given_back_between_crashes_is_still_suspect(
    claims: Claims, accept: Accept, take: Take, crash: Crash
) -> None:
    accept(puts(1))
    crash(take())
    claims.give_back(take())
    crash(take())
    claims.give_back(take(alone=True))
    assert claims.claim("drain", 64).claim is None, "it runs alone, whoever gave it back"
    assert names(take(alone=True)) == ["p0"]


def test_suspects_of_all_catalogs_are_told_but_not_of_one_that_pauses(
    claims: Claims, accept: Accept, take: Take, crash: Crash
) -> None:
    accept(puts(3))
    accept(puts(2), catalog=OTHER)
    for _ in range(4):
        crash(take())
    assert claims.claim("drain", 64) == Claimed(None, 5)
    assert claims.claim("drain", 64).suspects == 5
    claim = take(alone=True)
    claims.give_back(claim, pause=60)
    # What was given back is no suspect again until it comes up.
    assert claims.claim("drain", 64) == Claimed(None, 3 if claim.catalog_id == OTHER else 2)
    assert take(alone=True).catalog_id == (CATALOG if claim.catalog_id == OTHER else OTHER)


def test_many_suspects_that_have_ended_are_passed_over_step_by_step(
    ledger: Ledger, claims: Claims, accept: Accept, take: Take, crash: Crash
) -> None:
    job = accept(puts(3000))
    for _ in range(2):
        for claim in [take() for _ in range(47)]:
            crash(claim)
    ledger.cancel(job.id)
    accept(puts(1, "q"))
    assert claims.claim("drain", 1, alone=True) == Claimed(None, 1000, True)
    assert claims.claim("drain", 1, alone=True) == Claimed(None)


def test_crashes_are_forgotten_with_the_change(
    ledger: Ledger, accept: Accept, take: Take, crash: Crash, end: End, redis: Redis
) -> None:
    job = accept(puts(1))
    crash(take())
    crash(take())
    end(take(alone=True), State.FAILED)
    assert not redis.exists(f"la:crashes:{CATALOG}")
    ledger.retry(job.id)
    crash(take())
    assert names(take()) == ["p0"], "it begins anew"


def test_a_newer_change_saves_a_product_from_one_that_kills(
    ledger: Ledger, claims: Claims, accept: Accept, take: Take, crash: Crash, end: End
) -> None:
    job = accept([Change("a", image=IMAGE, attributes={})])
    crash(take())
    crash(take())
    assert claims.claim("drain", 64) == Claimed(None, 1)
    accept([Change("a", ChangeKind.DELETE)])
    claim = take()
    assert [change.kind for change in claim.changes] == [ChangeKind.DELETE]
    end(claim)
    assert counted(ledger.job(job.id)) == (JobState.SUCCEEDED, 1, 0, 0, 1, 0, 0)
    assert claims.claim("drain", 64, alone=True) == Claimed(None)


def test_what_waits_for_a_change_that_kills_goes_on_after_it(
    ledger: Ledger, accept: Accept, take: Take, crash: Crash, end: End
) -> None:
    accept([Change("a", image=IMAGE, attributes={})])
    patch = accept([Change("a", ChangeKind.PATCH, attributes={})])
    for alone in (False, False, True, True, True):
        assert ledger.job(patch.id).started_at is None
        crash(take(alone=alone))
    claim = take()
    assert (names(claim), claim.jobs) == (["a"], [patch.id])
    end(claim)
    assert counted(ledger.job(patch.id)) == (JobState.SUCCEEDED, 1, 1, 0, 0, 0, 0)


def test_when_many_claims_are_over_they_are_taken_a_few_at_a_time(
    chores: Chores, accept: Accept, take: Take, redis: Redis
) -> None:
    """A host with many workers dies: whatever a script does, it keeps all others waiting."""
    accept(puts(20 * 64))
    for _ in range(20):
        take()
    redis.config_resetstat()
    assert chores.expire(everything=True) == 20
    calls = {name: stat["calls"] for name, stat in redis.info("commandstats").items()}
    scripts = calls.pop("cmdstat_evalsha")
    assert sum(calls.values()) / scripts < 3000
