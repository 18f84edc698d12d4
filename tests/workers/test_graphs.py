"""Search graphs that upkeep has built by itself."""

from collections.abc import Callable

import numpy as np
import pytest
from redis import Redis
from workshop import DIM, Shop

from services.catalog.generations import Generations
from services.records import Embedding, Graph, Job, JobState, State
from workers.graphs import is_due
from workers.upkeep import Upkeep
from workers.worker import Worker

MakeShop = Callable[..., Shop]
NO_TIME = 1e-9


@pytest.mark.parametrize(
    ("vectors", "indexed", "search_seconds", "due"),
    [
        (50_000, 0, 0.021, True),
        (50_000, 0, 0.019, False),
        (50_000, 0, None, False),
        (999, 0, 9.0, False),
        (1000, 0, 9.0, True),
        (50_000, 45_000, 0.021, True),
        (50_000, 45_001, 0.021, False),  # so few outside: that is not what makes it slow
        (50_000, 35_000, 0.001, True),
        (50_000, 35_000, None, True),
        (50_000, 35_001, 0.001, False),
        (1300, 1000, 0.001, False),
        (50_000, 50_000, 9.0, False),
        (0, 0, None, False),
    ],
)
def test_a_graph_is_due_where_searches_are_slow_or_much_has_changed(
    vectors: int, indexed: int, search_seconds: float | None, due: bool
) -> None:
    graph = Graph(vectors, indexed, search_seconds)
    assert is_due(graph, 0.02) == due
    assert not is_due(graph, 0)


def fill(shop: Shop, first: int, count: int) -> None:
    rng = np.random.default_rng(first)
    made = (Embedding(f"p{n}", rng.random(DIM, np.float32)) for n in range(first, first + count))
    assert {outcome.state for outcome in shop.catalog.put_embeddings(made)} == {State.APPLIED}


def search(shop: Shop) -> None:
    for number in range(5):
        shop.catalog.neighbors(f"p{number}")


def tend(shop: Shop, worker: Worker, slow_seconds: float) -> list[Job]:
    """One turn of upkeep, and what it leads to; the jobs after that, newest first."""
    Upkeep(worker, shop.chores, shop.catalogs, wake=lambda: None, slow_seconds=slow_seconds).tend()
    worker.drain()
    worker.finish_task(60)
    return shop.ledger.jobs()[0]


def test_upkeep_has_the_graph_of_a_slow_catalog_built_and_once_an_hour_at_most(shop: Shop, redis: Redis) -> None:
    worker = shop.worker()
    fill(shop, 0, 1200)
    search(shop)
    assert tend(shop, worker, 60) == [], "it is fast enough"
    assert tend(shop, worker, 0) == [], "nobody wants it"
    [job] = tend(shop, worker, NO_TIME)
    assert (job.catalog, job.state, job.total) == (shop.catalog.spec.name, JobState.SUCCEEDED, 0)
    assert job.task and (job.task.kind, job.task.result) == ("graph", {"built": True})
    assert (shop.catalog.graph().indexed, shop.catalog.graph().vectors) == (1200, 1200)
    search(shop)
    assert tend(shop, worker, NO_TIME) == [job], "all products are in it"
    fill(shop, 1200, 1000)
    search(shop)
    assert tend(shop, worker, NO_TIME) == [job], "not twice within an hour"
    redis.delete(f"la:due:graph:{shop.id}:{shop.catalog.spec.generation}")
    again, _ = tend(shop, worker, NO_TIME)
    assert (again.state, shop.catalog.graph().indexed) == (JobState.SUCCEEDED, 2200)


def test_the_generation_that_a_catalog_switches_to_does_not_wait_for_the_hour_of_the_one_before(shop: Shop) -> None:
    worker = shop.worker()
    fill(shop, 0, 1200)
    search(shop)
    [first] = tend(shop, worker, NO_TIME)
    generations = Generations(shop.catalogs, shop.catalog.spec.name)
    generations.begin({"resample": "bilinear"})
    generations.promote(generations.candidate(), allow_missing=True)
    shop.catalog = shop.catalogs.get(shop.catalog.spec.name)
    fill(shop, 0, 1200)
    search(shop)
    assert shop.catalog.graph().indexed == 0
    again, before = tend(shop, worker, NO_TIME)
    assert (before, again.state, shop.catalog.graph().indexed) == (first, JobState.SUCCEEDED, 1200)
