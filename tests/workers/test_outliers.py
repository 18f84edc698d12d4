"""Outliers as tasks: isolated products are looked for on from where a worker stopped; a bad label says why it is."""

from dataclasses import replace
from typing import Any

import pytest
from workshop import Shop, until

from services.catalog import isolated as scanning
from services.index.edge import EdgeIndex
from services.records import Job, JobState
from workers.backoff import Backoff


@pytest.fixture
def filled(shop: Shop) -> Shop:
    """A shop of 130 products: three pages of the search for isolated ones."""
    shop.catalog.apply([replace(put, attributes={"kind": put.product_id[-1]}) for put in shop.puts(130)])
    return shop


def worked(shop: Shop, worker: Any = None) -> None:
    """A worker does the task, or leaves it."""
    worker = worker or shop.worker(task_backoff=Backoff(first=0.01, longest=0.01))
    worker.drain()
    worker.finish_task(60)


def ended(shop: Shop, job: Job) -> bool:
    worked(shop)
    return shop.job(job).finished_at is not None


def test_another_worker_goes_on_where_the_first_one_was(filled: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "KEEP_SECONDS", 0.0)
    searched: list[None] = []
    search, first = EdgeIndex.search, filled.worker()

    def counted(self: EdgeIndex, *arguments: Any, **options: Any) -> Any:
        searched.append(None)
        if len(searched) == 70:
            first.stop()
        return search(self, *arguments, **options)

    monkeypatch.setattr(EdgeIndex, "search", counted)
    job = filled.begin_task("outliers", label=None)
    worked(filled, first)
    assert (filled.job(job).state, len(searched)) == (JobState.PROCESSING, 70)
    partial = filled.catalog.outliers.page(None)
    assert (partial["complete"], partial["products"]) == (False, 64)
    until(lambda: ended(filled, job), why=lambda: filled.job(job))
    task = filled.job(job).task
    assert task and task.result and (task.result["products"], filled.job(job).state) == (130, JobState.SUCCEEDED)
    assert len(searched) == 70 + 130 - 64
    assert filled.catalog.outliers.page(None)["complete"]


def test_a_label_is_judged_and_one_that_cannot_be_says_why(filled: Shop, logs: list[Any]) -> None:
    job, other = filled.begin_task("outliers:kind", label="kind"), filled.begin_task("outliers:color", label="color")
    until(lambda: ended(filled, job) and ended(filled, other), why=lambda: filled.job(other))
    assert [filled.job(each).state for each in (job, other)] == [JobState.SUCCEEDED, JobState.FAILED]
    task = filled.job(other).task
    assert task and task.code == "label_unusable"
    page = filled.catalog.outliers.page("kind")
    assert (page["products"], page["judged"], page["stale"]) == (130, 130, False)
