"""The map as a task: canceled, gone on with, and brought up to date by upkeep."""

from collections.abc import Callable

import numpy as np
from redis import Redis
from workshop import DIM, Shop, until

from services.catalog.map_reader import MAP, SUMMARY
from services.catalog.mapping import NEXT
from services.descriptions import AttributeKind
from services.explore.layout import ROUNDS
from services.failpoints import enabled
from services.records import Embedding, Job, JobState, State
from workers.backoff import Backoff
from workers.maps import begin_due


def fill(shop: Shop, first: int, count: int) -> None:
    rng = np.random.default_rng(first)
    made = (Embedding(f"p{n}", rng.random(DIM, np.float32)) for n in range(first, first + count))
    assert {outcome.state for outcome in shop.catalog.put_embeddings(made)} == {State.APPLIED}


def worked(shop: Shop) -> None:
    worker = shop.worker(task_backoff=Backoff(first=0.01, longest=0.01))
    worker.drain()
    worker.finish_task(60)


def counted(do: Callable[[int], object] = lambda _: None) -> tuple[list[int], Callable[[], None]]:
    """Counts how often it is called, and does something with the count."""
    count = [0]

    def hit() -> None:
        count[0] += 1
        do(count[0])

    return count, hit


def test_a_canceled_layout_ends_and_leaves_nothing(shop: Shop) -> None:
    fill(shop, 0, 12)
    job = shop.begin_task("map", anew=False)
    rounds, hit = counted(lambda count: count == 150 and shop.ledger.cancel(job.id))
    with enabled("map_round", hit):
        worked(shop)
    assert shop.job(job).state is JobState.CANCELED and shop.catalog.findings.all() == ()
    # That it was canceled is told at the next report.
    assert 150 < rounds[0] < 200


def test_a_task_that_is_canceled_while_clusters_get_their_names_ends_there(shop: Shop) -> None:
    fill(shop, 0, 12)
    shop.catalog.declare({"kind": AttributeKind.KEYWORD})
    job = shop.begin_task("map", anew=False)
    named, hit = counted(lambda count: count == 1 and shop.ledger.cancel(job.id))
    with enabled("map_named", hit):
        worked(shop)
    assert (shop.job(job).state, named) == (JobState.CANCELED, [1])
    # The layout stays, for whoever asks again.
    assert [each.name for each in shop.catalog.findings.all()] == [NEXT]


def test_a_worker_goes_on_with_the_layout_of_another(shop: Shop) -> None:
    fill(shop, 0, 12)
    job = shop.begin_task("map", anew=False)
    first = shop.worker(task_backoff=Backoff(first=0.01, longest=0.01))
    laid_out, hit = counted(lambda _: first.stop())
    rounds, count = counted()
    with enabled("map_laid_out", hit), enabled("map_round", count):
        first.drain()
        first.finish_task(60)
        assert shop.job(job).finished_at is None
        whole = rounds[0]
        assert ended(shop, job) is JobState.SUCCEEDED
    assert (laid_out, rounds) == ([1], [whole])
    task = shop.job(job).task
    assert task and task.result == shop.catalog.map.told() and task.done == task.total == ROUNDS + 12


def test_upkeep_brings_a_map_up_to_date_where_there_is_one_and_now_and_then(shop: Shop, redis: Redis) -> None:
    fill(shop, 0, 6)
    assert not begin_due(shop.catalog, shop.chores)  # nobody has asked for a map
    made = shop.catalog.map.make()
    assert not begin_due(shop.catalog, shop.chores)  # nothing has changed
    fill(shop, 6, 3)
    assert begin_due(shop.catalog, shop.chores)
    [job], _ = shop.ledger.jobs()
    assert ended(shop, job) is JobState.SUCCEEDED
    now = shop.catalog.map.told()
    assert (now["products"], now["version"], now["stale"]) == (9, made["version"], False)
    fill(shop, 9, 1)
    assert not begin_due(shop.catalog, shop.chores)  # it was brought up to date just now
    redis.delete(f"la:due:map:{shop.id}")
    assert begin_due(shop.catalog, shop.chores)
    assert [each.name for each in shop.catalog.findings.all()] == [MAP, SUMMARY]


def ended(shop: Shop, job: Job) -> JobState:
    def is_over() -> bool:
        worked(shop)
        return shop.job(job).finished_at is not None

    until(is_over, why=lambda: shop.job(job))
    return shop.job(job).state
