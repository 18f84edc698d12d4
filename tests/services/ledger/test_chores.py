"""What upkeep asks of the ledger: who does the chores, which are due, and what may be forgotten."""

from ledger_words import CATALOG, IMAGE, Accept, End, Take
from redis import Redis
from workshop import until

from services.ledger import Chores, Ledger, Store
from services.records import Change, ChangeKind, State

PUT = Change("a", image=IMAGE, attributes={})
PATCH = Change("a", ChangeKind.PATCH, attributes={"x": 1})


def test_one_of_all_workers_leads(chores: Chores, redis: Redis) -> None:
    assert chores.lead("one", 20)
    assert not chores.lead("two", 20)
    redis.pexpire("la:upkeep", 5000)
    assert chores.lead("one", 20)
    assert 15_000 < redis.pttl("la:upkeep") <= 20_000, "each time it is so many seconds from then"
    redis.delete("la:upkeep")
    assert chores.lead("two", 20)
    assert not chores.lead("one", 20)


def test_a_chore_is_due_once(chores: Chores) -> None:
    assert [chores.due("leftovers", 60) for _ in range(3)] == [True, False, False]
    assert chores.due("another", 60)


def test_the_oldest_version_that_may_still_come(
    ledger: Ledger, chores: Chores, accept: Accept, take: Take, end: End
) -> None:
    assert chores.oldest(CATALOG) is None
    accept([PUT], max_version=lambda: 100)
    job = accept([Change("b", image=IMAGE), Change("c", image=IMAGE)])
    assert chores.oldest(CATALOG) == 100
    end(take(1))
    assert chores.oldest(CATALOG) == 101
    end(take(), State.FAILED)
    assert chores.oldest(CATALOG) == 101, "it may be retried"
    accept([Change("d", image=IMAGE)])
    ledger.retry(job.id)
    oldest = chores.oldest(CATALOG)
    assert oldest is not None
    assert oldest <= min(change.version or 0 for change in take().changes) == 102


def test_what_can_be_retried_no_more_is_not_the_oldest(
    redis: Redis, chores: Chores, accept: Accept, take: Take, end: End
) -> None:
    ledger = Ledger(Store(redis), retention=1)
    accept([PUT], by=ledger)
    end(take(), State.FAILED)
    until(lambda: chores.oldest(CATALOG) is None)
    accept([PUT], by=ledger)
    end(take(), State.FAILED)
    assert redis.zcard(f"la:failing:{CATALOG}") == 1


def test_the_oldest_of_versions_of_their_own(ledger: Ledger, chores: Chores, accept: Accept) -> None:
    own = [Change(f"p{i}", ChangeKind.DELETE, version=version) for i, version in enumerate([50, 30, 2**53 - 1])]
    accept(own, max_version=lambda: 100)
    assert chores.oldest(CATALOG) == 30
    many = [Change(f"q{i}", ChangeKind.DELETE, version=1000 - i if i < 999 else 40) for i in range(1000)]
    for changes in (many, many[::-1]):
        job = accept(changes)
        ledger.cancel("1")
        assert chores.oldest(CATALOG) == 2, "of all chunks"
        ledger.cancel(job.id)
