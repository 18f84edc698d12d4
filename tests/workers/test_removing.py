"""What workers do with the removals of jobs."""

from collections.abc import Callable

import pytest
from workshop import Shop

from services.catalog.catalog import Catalog
from services.errors import IndexRefused, IndexUnavailable
from services.failpoints import enabled
from services.ledger import Claim, Named, Removal
from services.records import Change, ChangeKind, Job, JobState
from workers.backoff import Backoff
from workers.removing import remove

MakeShop = Callable[..., Shop]
RED, BLUE = (255, 0, 0), (0, 0, 255)


def there(shop: Shop) -> set[str]:
    return {point.product_id for point in shop.catalog.points()}


def summed(job: Job) -> tuple[JobState, int, int, int, str | None]:
    return job.state, job.total, job.applied, job.removed, job.not_removed


def filled(shop: Shop, count: int) -> list[Change]:
    puts = shop.puts(count)
    shop.accept(puts)
    shop.worker().drain()
    return puts


def test_a_feed_that_names_all_products_removes_the_others(shop: Shop) -> None:
    filled(shop, 10)
    job = shop.sync([*shop.puts(5), Named("p5"), shop.put("new", RED)], max_removed=0.4)
    shop.worker().drain()
    assert summed(shop.job(job)) == (JobState.SUCCEEDED, 10, 5, 4, None)
    assert there(shop) == {"new", *(f"p{n}" for n in range(6))}
    again = shop.sync([Named(each) for each in there(shop)])
    shop.worker().drain()
    assert summed(shop.job(again)) == (JobState.SUCCEEDED, 0, 0, 0, None)


def test_if_too_many_would_go_the_puts_are_done_and_nothing_is_removed(shop: Shop) -> None:
    filled(shop, 10)
    job = shop.sync([*shop.puts(6), shop.put("new", RED)], max_removed=0.3)
    shop.worker().drain()
    assert summed(shop.job(job)) == (JobState.SUCCEEDED, 7, 1, 0, "too_many_removed")
    assert there(shop) == {"new", *(f"p{n}" for n in range(10))}


def test_where_redis_has_lost_what_the_feed_named_nothing_is_removed(shop: Shop) -> None:
    """As one that evicts keys does. Every product would be one that the feed does not name."""
    filled(shop, 3)
    job = shop.sync([Named("p0"), Named("p1")], max_removed=1)
    assert shop.ledger.store.redis.delete(f"la:names:{job.id}") == 1
    shop.worker().drain()
    assert summed(shop.job(job)) == (JobState.FAILED, 0, 0, 0, "names_lost")
    assert there(shop) == {"p0", "p1", "p2"}


def test_a_product_whose_image_failed_is_named(shop: Shop) -> None:
    filled(shop, 2)
    broken = Change("p0", image=shop.put("x", RED).image, attributes={"x": float("inf")})
    job = shop.sync([broken])
    shop.worker().drain()
    assert (shop.job(job).failed, shop.job(job).removed) == (1, 1)
    assert there(shop) == {"p0"}


def test_what_was_accepted_before_the_feed_began_and_lands_late_is_removed(shop: Shop) -> None:
    """An older put that a worker still had when the feed came."""
    shop.accept([shop.put("slow", RED)])
    slow = shop.claims.claim("slow/1", 1).claim
    assert slow
    job = shop.sync([shop.put("a", BLUE)])
    shop.worker().drain()
    assert (there(shop), shop.job(job).finished_at) == ({"a"}, None)
    [outcome] = shop.catalog.apply(slow.changes)
    assert shop.claims.record(slow, [(slow.refs[0], outcome)])
    shop.worker().drain()
    assert summed(shop.job(job)) == (JobState.SUCCEEDED, 2, 2, 1, None)
    assert there(shop) == {"a"}


def test_what_changes_after_the_feed_began_stays(shop: Shop) -> None:
    filled(shop, 5)
    since = shop.since()
    shop.accept([shop.put("late", RED), Change("p4", ChangeKind.PATCH, attributes={"x": 1})])
    job = shop.accept([Named("p0")], removal=Removal(since.version))
    shop.worker().drain()
    assert summed(shop.job(job)) == (JobState.SUCCEEDED, 3, 3, 3, None)
    assert there(shop) == {"p0", "p4", "late"}


def test_a_patch_that_waits_while_the_removal_is_done_is_not_lost(shop: Shop) -> None:
    """It was accepted after the feed began, so its product stays; deleted first, there would be nothing to patch."""
    filled(shop, 3)
    job = shop.sync([Named("p0")])
    with enabled("decide", lambda: patched.append(shop.accept([Change("p2", ChangeKind.PATCH, attributes={"x": 1})]))):
        patched: list[Job] = []
        shop.worker().drain()
    assert summed(shop.job(patched[0]))[:3] == (JobState.SUCCEEDED, 1, 1)
    assert summed(shop.job(job)) == (JobState.SUCCEEDED, 2, 1, 1, None)
    assert shop.job(job).superseded == 1
    assert there(shop) == {"p0", "p2"}


def test_what_matches_a_filter_is_removed(shop: Shop) -> None:
    shop.accept([Change(each.product_id, image=each.image, attributes={"n": n}) for n, each in enumerate(shop.puts(9))])
    job = shop.remove_matching({"must": {"key": "n", "range": {"gte": 4}}})
    shop.worker().drain()
    assert summed(shop.job(job)) == (JobState.SUCCEEDED, 5, 5, 5, None)
    assert there(shop) == {f"p{n}" for n in range(4)}


def test_a_removal_goes_on_where_its_worker_was_interrupted_and_is_not_judged_anew(shop: Shop) -> None:
    """Three of ten may go. When the worker ends after the first of them, seven are left, and two of these have to go:
    more than a share of 0.2 of those, which nobody asks for any more."""
    filled(shop, 10)
    job = shop.sync([Named(f"p{n}") for n in range(7)], max_removed=0.3)
    claim = shop.claims.claim("first/1", 64).claim
    assert claim and shop.claims.decide(claim) and shop.claims.remove(claim, ["p7"])
    shop.ledger.store.redis.hset(f"la:job:{job.id}", "most", 1)
    shop.chores.expire(everything=True)
    shop.worker().drain()
    assert summed(shop.job(job)) == (JobState.SUCCEEDED, 3, 3, 3, None)
    assert there(shop) == {f"p{n}" for n in range(7)}


def test_a_worker_that_stops_gives_a_removal_back(shop: Shop) -> None:
    filled(shop, 3)
    job = shop.sync([Named("p0")])
    claim = shop.claims.claim("first/1", 64).claim
    assert claim
    remove(shop.claims, claim, shop.catalog, lambda: True)
    assert there(shop) == {"p0", "p1", "p2"}
    shop.worker().drain()
    assert summed(shop.job(job)) == (JobState.SUCCEEDED, 2, 2, 2, None)


@pytest.mark.parametrize("point", ["decide", "remove", "removed", "end_removal"])
def test_a_removal_that_is_canceled_at_any_point_ends(shop: Shop, point: str) -> None:
    filled(shop, 3)
    job = shop.sync([Named("p0")])
    with enabled(point, lambda: shop.ledger.cancel(job.id)):
        shop.worker().drain()
    ended = shop.job(job)
    assert (ended.state, ended.not_removed, ended.done) == (JobState.CANCELED, "canceled", ended.total)
    assert ended.finished_at is not None
    assert there(shop) == {"p0", "p1", "p2"}
    assert shop.counts().waiting == shop.counts().in_flight == 0


def failing(catalog: Catalog, monkeypatch: pytest.MonkeyPatch, error: Exception, times: int) -> None:
    """The catalog cannot be read so many times."""
    read, left = catalog.removable, [error] * times

    def removable(*args: object, **options: object) -> object:
        if left:
            raise left.pop()
        return read(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(catalog, "removable", removable)


def test_a_removal_waits_for_an_index_that_is_away(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(shop, 2)
    job = shop.sync([Named("p0")])
    failing(shop.catalog, monkeypatch, IndexUnavailable("away"), 2)
    worker = shop.worker(backoff=Backoff(first=0.001))
    while shop.job(job).finished_at is None:
        worker.drain()
    assert summed(shop.job(job)) == (JobState.SUCCEEDED, 1, 1, 1, None)


@pytest.mark.parametrize(("error", "give_up"), [(IndexRefused("no"), 60.0), (IndexUnavailable("away"), 0.0)])
def test_a_removal_that_cannot_be_done_says_why(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, error: IndexRefused, give_up: float
) -> None:
    filled(shop, 2)
    job = shop.sync([shop.put("p0", RED)])
    failing(shop.catalog, monkeypatch, error, 9)
    shop.worker(give_up=give_up).drain()
    assert summed(shop.job(job)) == (JobState.SUCCEEDED, 1, 1, 0, error.code)
    assert there(shop) == {"p0", "p1"}


def test_two_feeds_at_once_remove_what_neither_names(shop: Shop) -> None:
    """Neither removes what the other has put, for that is newer than the beginning of both."""
    filled(shop, 4)
    first, second = shop.since(), shop.since()
    jobs = [
        shop.accept([shop.put("b", RED), Named("p1")], removal=Removal(second.version)),
        shop.accept([shop.put("a", RED), Named("p0")], removal=Removal(first.version)),
    ]
    shop.worker().drain()
    assert there(shop) == {"a", "b"}
    ended = [shop.job(job) for job in jobs]
    assert sum(job.removed for job in ended) == 4
    assert all(job.finished_at and job.applied == job.total for job in ended)


def test_the_failed_puts_of_a_feed_can_be_retried_and_nothing_is_removed_again(shop: Shop) -> None:
    filled(shop, 2)
    missing = Change("p9", image=shop.put("x", BLUE).image, attributes={"x": float("inf")})
    job = shop.sync([Named("p0"), missing])
    shop.worker().drain()
    assert summed(shop.job(job))[1:4] == (2, 1, 1)
    shop.accept([shop.put("other", RED)])
    retried = shop.ledger.retry(job.id)
    shop.worker().drain()
    assert (shop.job(retried).total, shop.job(retried).removed) == (1, 0)
    assert there(shop) == {"p0", "other"}


def test_a_removal_of_which_a_part_was_taken_over_is_left_by_the_one_who_lost_it(shop: Shop) -> None:
    filled(shop, 3)
    job = shop.sync([Named("p0")])
    lost = shop.claims.claim("first/1", 64).claim
    assert isinstance(lost, Claim)
    shop.chores.expire(everything=True)
    shop.worker().drain()
    remove(shop.claims, lost, shop.catalog, lambda: False)
    assert summed(shop.job(job)) == (JobState.SUCCEEDED, 2, 2, 2, None)
