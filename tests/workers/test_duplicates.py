"""Duplicates as a task, and the scans that upkeep begins by itself."""

from typing import Any

import pytest
from copies import product
from redis import Redis
from workshop import Shop

from services.records import Job, JobState, State
from workers.backoff import Backoff
from workers.upkeep import Upkeep
from workers.worker import Worker


def put(shop: Shop, *products: Any) -> None:
    assert {each.state for each in shop.catalog.put_embeddings(products)} == {State.APPLIED}


@pytest.fixture
def filled(shop: Shop) -> Shop:
    """40 products, two of which have the same picture."""
    put(shop, *(product(f"p{n}", n) for n in range(39)), product("again", 3))
    return shop


def worked(shop: Shop, worker: Worker) -> list[Job]:
    """The jobs after a worker has done what waits, newest first."""
    worker.drain()
    worker.finish_task(60)
    return shop.ledger.jobs()[0]


def tend(shop: Shop, worker: Worker) -> list[Job]:
    """One turn of upkeep, and what it leads to."""
    Upkeep(worker, shop.chores, shop.catalogs, wake=lambda: None).tend()
    return worked(shop, worker)


def test_a_task_looks_through_the_catalog_and_tells_what_it_found(filled: Shop) -> None:
    filled.begin_task("duplicates")
    [job] = worked(filled, filled.worker())
    assert job.state is JobState.SUCCEEDED and job.task
    assert job.task.result == {"products": 40, "groups": 1, "placeholders": 0}
    assert (job.task.done, job.task.total) == (39, 39)
    [group] = filled.catalog.duplicates.page().groups
    assert {each.product_id for each in group.members} == {"p3", "again"}


def test_what_a_worker_that_stops_has_found_is_gone_on_from_by_another(
    filled: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = filled.worker()
    search, asked = filled.catalog._index.search_each, []

    def stopping(*arguments: Any, **options: Any) -> Any:
        asked.append(arguments)
        if len(asked) == 20:
            first.stop()
        return search(*arguments, **options)

    monkeypatch.setattr(filled.catalog._index, "search_each", stopping)
    filled.begin_task("duplicates")
    [job] = worked(filled, first)
    finding = filled.catalog.duplicates.finding()
    assert (job.state, finding and finding.cursor) == (JobState.PROCESSING, "20")
    [job] = worked(filled, filled.worker(task_backoff=Backoff(first=0.01, longest=0.01)))
    assert (job.state, len(asked)) == (JobState.SUCCEEDED, 39)


def test_upkeep_looks_for_what_is_new_where_somebody_has_looked_before_and_seldom(filled: Shop, redis: Redis) -> None:
    worker = filled.worker()
    assert tend(filled, worker) == [], "nobody has asked for it"
    filled.catalog.duplicates.look()
    assert tend(filled, worker) == [], "nothing has changed"
    put(filled, product("new", 5))
    [job] = tend(filled, worker)
    assert (job.task and job.task.kind, job.state) == ("duplicates", JobState.SUCCEEDED)
    assert filled.catalog.duplicates.page().total == 2 and not filled.catalog.duplicates.page().stale
    filled.catalog.remove(["again"])
    assert tend(filled, worker) == [job], "not twice within ten minutes"
    redis.delete(f"la:due:duplicates:{filled.id}")
    again, _ = tend(filled, worker)
    assert again.state is JobState.SUCCEEDED and filled.catalog.duplicates.page().total == 1


def test_upkeep_leaves_a_scan_that_somebody_has_interrupted(filled: Shop) -> None:
    calls = iter(range(20))

    def check() -> None:
        next(calls)

    with pytest.raises(StopIteration):
        filled.catalog.duplicates.look(check=check)
    put(filled, product("new", 5))
    assert tend(filled, filled.worker()) == [] and not filled.catalog.duplicates.page().complete
