"""Building and switching as tasks: tried again, they tell what they did once; what kills them each time ends them."""

from collections.abc import Callable
from typing import Any

import pytest
from workshop import Shop, Stub, until

from services.catalog.generations import Generations
from services.errors import IndexUnavailable
from services.failpoints import enabled
from services.records import Job, JobState, Task
from workers.backoff import Backoff


def reindexing(shop: Shop, **asked: Any) -> Any:
    return shop.begin_task("reindex", **{"quantization": "scalar", "promote": False, "allow_missing": False} | asked)


def ended(shop: Shop, job: Job) -> Task:
    """The task of a job when it has ended, however often that takes."""
    worker = shop.worker(task_backoff=Backoff(first=0.01, longest=0.01))

    def turn() -> bool:
        worker.drain()
        worker.finish_task(30)
        return shop.job(job).finished_at is not None

    until(turn, why=lambda: shop.job(job))
    found = shop.job(job).task
    assert found is not None
    return found


def test_a_task_that_is_tried_again_counts_each_product_once(shop: Shop) -> None:
    changes = shop.puts(5)
    shop.catalog.apply(changes)
    hash: Any = changes[0].image
    shop.catalogs.intake.media.remove(hash.hash)
    left = [IndexUnavailable("away"), IndexUnavailable("away")]

    def away() -> None:
        if left:
            raise left.pop()

    job = reindexing(shop, promote=True, allow_missing=True)
    with enabled("switch", away):
        found = ended(shop, job)
    assert shop.job(job).state is JobState.SUCCEEDED and found.result is not None and not left
    assert (found.result["products"], found.result["brought"], found.result["missing"]) == (5, 0, 1)
    assert (found.result["faults"], len(found.result["examples"])) == ({"media_not_found": 1}, 1)


def test_a_build_that_meets_a_bug_each_time_ends(shop: Shop) -> None:
    shop.catalog.apply(shop.puts(70))
    pages = 0

    def bug() -> None:
        nonlocal pages
        pages += 1
        if pages > 1:
            raise RuntimeError("a bug")

    job = reindexing(shop)
    with enabled("bring", bug):
        assert ended(shop, job).code == "worker_crashed"
    assert pages == 6


def test_what_is_canceled_while_its_encoder_is_loaded_begins_no_generation(make_shop: Callable[..., Shop]) -> None:
    loads = 0

    def load() -> Stub:
        nonlocal loads
        loads += 1
        shop.ledger.cancel(job.id)
        return Stub()

    shop = make_shop(load)
    job = reindexing(shop)
    assert ended(shop, job).code == "canceled"
    assert loads == 1
    assert [each.state.value for each in Generations(shop.catalogs, shop.catalog.spec.name).all()] == ["live"]


@pytest.mark.parametrize("kind", ["promote", "reindex"])
def test_a_switch_that_another_worker_made_meanwhile_is_done(shop: Shop, kind: str) -> None:
    """Where Redis was away for longer than a lease, two workers have the task."""
    shop.catalog.apply(shop.puts(3))
    generations = Generations(shop.catalogs, shop.catalog.spec.name)
    id, _ = generations.reindex({"quantization": "scalar"})
    switched: list[str] = []

    def elsewhere() -> None:
        if not switched:
            switched.append(id)
            generations.promote(id)

    asked = {"generation": id, "allow_missing": False}
    job = shop.begin_task(kind, **asked) if kind == "promote" else reindexing(shop, promote=True)
    with enabled("switch", elsewhere):
        found = ended(shop, job)
    assert switched == [id] == [generations.live()]
    assert (shop.job(job).state, found.code) == (JobState.SUCCEEDED, None)
    assert found.result is not None and (found.result["generation"], found.result["promoted"]) == (id, True)


def test_a_build_whose_worker_stops_is_not_done_and_goes_on_in_another(shop: Shop) -> None:
    shop.catalog.apply(shop.puts(130))
    job = reindexing(shop)
    first = shop.worker()
    with enabled("brought", first.stop):
        first.drain()
        first.finish_task(30)
    assert shop.job(job).state is JobState.PROCESSING
    found = ended(shop, job)
    assert found.result is not None
    assert (found.result["products"], found.result["missing"]) == (130, 0)
    [_, (_, products)] = Generations(shop.catalogs, shop.catalog.spec.name).counted()
    assert products == 130
