"""Fault points: where they are, and that work which raises at any of them converges."""

import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress

import pytest
from workshop import Shop, until

from services import failpoints
from services.failpoints import POINTS, enabled
from workers.backoff import Backoff
from workers.upkeep import Upkeep
from workers.worker import Worker

MakeShop = Callable[..., Shop]
RED = (255, 0, 0)


class Boom(Exception):
    """What nobody expects."""


def tend(shop: Shop, worker: Worker) -> None:
    """One turn of the common chores."""
    Upkeep(worker, shop.chores, shop.catalogs, wake=lambda: None).tend()


def test_the_work_passes_every_point_in_their_order(shop: Shop) -> None:
    shop.accept([shop.put("old", RED)])
    shop.worker().drain()
    passed: list[str] = []
    with ExitStack() as stack:
        for point in POINTS:
            stack.enter_context(enabled(point, lambda point=point: passed.append(point)))  # type: ignore[misc]
        shop.sync([shop.put("a", RED)])
        worker = shop.worker()
        worker.drain()
        tend(shop, worker)
    assert tuple(dict.fromkeys(passed)) == POINTS
    before = len(passed)
    shop.accept([shop.put("b", RED)])
    shop.worker().drain()
    assert len(passed) == before, "nothing is placed any more"


def test_a_point_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="upsert"):
        failpoints.enable("nowhere", lambda: None)


def test_what_was_placed_is_gone_also_after_an_exception() -> None:
    def boom() -> None:
        raise Boom

    with suppress(Boom), enabled("upsert", boom):
        failpoints.hit("upsert")
    failpoints.hit("upsert")


@pytest.mark.parametrize("point", POINTS)
def test_work_that_raises_at_a_point_converges(make_shop: MakeShop, point: str) -> None:
    """In the API a caller repeats what got no answer; what a worker had comes back when its lease is over."""
    shop = make_shop(lease=0.2)
    shop.accept([shop.put("old", RED)])
    shop.worker().drain()
    left = threading.Semaphore(1)

    def boom() -> None:
        if left.acquire(blocking=False):
            raise Boom

    worker, puts = shop.worker(backoff=Backoff(first=0.02)), shop.puts(5)
    with enabled(point, boom):
        while True:
            with suppress(Boom):
                shop.sync(puts)
                break

        def is_done() -> bool:
            for step in (worker.drain, lambda: tend(shop, worker)):
                with suppress(Boom):
                    step()
            return all(job.finished_at for job in shop.ledger.jobs()[0])

        until(is_done)
    assert not left.acquire(blocking=False), "the point was reached"
    products = {each: shop.catalog.get(each).image for each in ("p0", "p1", "p2", "p3", "p4")}
    assert (shop.catalog.count(), products) == (5, {put.product_id: put.image.hash for put in puts})  # type: ignore[union-attr]
    jobs, _ = shop.ledger.jobs()
    # Where the caller had to repeat the feed, there is another job of it, after which nothing is left to remove.
    assert [(job.total, job.done, job.failed, job.removed) for job in jobs[-2:]] == [(6, 6, 0, 1), (1, 1, 0, 0)]
    assert {(job.total, job.done, job.failed, job.removed) for job in jobs[:-2]} <= {(5, 5, 0, 0)}
