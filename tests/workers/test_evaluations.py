"""An evaluation as a task: its progress is told, it ends where it is canceled, and another worker begins it anew."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from workshop import Shop, until

from services.catalog.evaluating import Evaluating
from services.catalog.question import Question
from services.failpoints import enabled
from services.records import Job, JobState, Task
from workers.backoff import Backoff

QUESTION = Question(("kind",), recipe={"resample": "bilinear"})


@pytest.fixture
def filled(shop: Shop) -> Shop:
    """A shop of 130 products: three pages of a sample."""
    shop.catalog.apply([replace(put, attributes={"kind": put.product_id[-1]}) for put in shop.puts(130)])
    return shop


def task(shop: Shop, job: Job) -> Task:
    found = shop.job(job).task
    assert found is not None
    return found


def worked(shop: Shop, job: Job, worker: Any = None) -> None:
    """A worker does the task, or leaves it."""
    worker = worker or shop.worker(task_backoff=Backoff(first=0.01, longest=0.01))
    worker.drain()
    worker.finish_task(60)


def at_picture(number: int, do: Callable[[], object]) -> tuple[list[int], Callable[[], None]]:
    """Does something when so many pictures were taken in, and counts them."""
    count = [0]

    def hit() -> None:
        count[0] += 1
        if count[0] == number:
            do()

    return count, hit


def test_its_progress_is_told_and_its_result_is_that_of_the_library(filled: Shop) -> None:
    job = filled.begin_task("evaluate", **QUESTION.parameters())
    told: list[tuple[int, int | None]] = []
    pictures, hit = at_picture(70, lambda: told.append((task(filled, job).done, task(filled, job).total)))
    with enabled("decode", hit):
        worked(filled, job)
    found = task(filled, job)
    assert told == [(64, 130)] and pictures == [130]
    assert (filled.job(job).state, found.done, found.total, found.checkpoint) == (JobState.SUCCEEDED, 130, 130, None)
    assert found.result == Evaluating(filled.catalogs, filled.catalog.spec.name, QUESTION).evaluate()


def test_it_ends_after_the_page_at_which_it_was_canceled(filled: Shop) -> None:
    job = filled.begin_task("evaluate", **QUESTION.parameters())
    pictures, hit = at_picture(70, lambda: filled.ledger.cancel(job.id))
    with enabled("decode", hit):
        worked(filled, job)
    assert (filled.job(job).state, task(filled, job).code, pictures) == (JobState.CANCELED, "canceled", [128])


def test_what_a_worker_that_stops_leaves_is_begun_anew(filled: Shop) -> None:
    job = filled.begin_task("evaluate", **QUESTION.parameters())
    first = filled.worker()
    pictures, hit = at_picture(70, first.stop)
    with enabled("decode", hit):
        worked(filled, job, first)
    assert (filled.job(job).state, pictures) == (JobState.PROCESSING, [128])

    def ended() -> bool:
        worked(filled, job)
        return filled.job(job).finished_at is not None

    until(ended, why=lambda: filled.job(job))
    found = task(filled, job)
    assert found.result is not None and (found.result["products"], found.done) == (130, 130)


def test_what_cannot_be_evaluated_fails_with_the_reason(filled: Shop, logs: list[Any]) -> None:
    job = filled.begin_task("evaluate", **Question(("kinds",)).parameters())
    worked(filled, job)
    found = task(filled, job)
    assert (filled.job(job).state, found.code) == (JobState.FAILED, "label_unusable")
    assert "perhaps kind is meant" in (found.message or "")


def test_the_log_does_not_hold_the_whole_result(filled: Shop, logs: list[Any]) -> None:
    job = filled.begin_task("evaluate", **Question(("kind",)).parameters())
    worked(filled, job)
    [line] = [each for each in logs if each["event"] == "a task is done"]
    assert line["products"] == 130 and "labels" not in line and len(str(line)) < 1000
