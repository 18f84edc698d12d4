"""Tasks that workers do beside their batches: real ledger, real catalog, and kinds of tasks that these tests make."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from redis import Redis
from workshop import Shop, until

from services.catalog.catalog import Catalog
from services.errors import DataFull, IndexUnavailable, LedgerUnavailable, LookalikeError
from services.failpoints import TASK_POINTS, enabled
from services.records import Job, JobState, Task
from workers.backoff import Backoff
from workers.heartbeat import Heartbeat
from workers.tasks import Stopped, TaskRun
from workers.worker import Worker

MakeShop = Callable[..., Shop]


class Counting:
    """A task that counts to `upto` from its checkpoint on, a step each time it is let."""

    def __init__(self, upto: int = 3) -> None:
        self.upto = upto
        self.steps = threading.Semaphore(0)
        self.began_at: list[int] = []
        self.seen: list[str] = []

    def __call__(self, catalog: Catalog, run: TaskRun) -> Mapping[str, Any]:
        self.seen.append(catalog.spec.name)
        counted = run.task.checkpoint or 0
        self.began_at.append(counted)
        while counted < self.upto:
            while not self.steps.acquire(timeout=0.02):
                run.check()
            counted += 1
            run.report(counted, self.upto, counted)
        return {"counted": counted}

    def step(self, count: int = 1) -> None:
        self.steps.release(count)


def failing(error: Exception) -> Callable[[Catalog, TaskRun], Mapping[str, Any]]:
    def fail(catalog: Catalog, run: TaskRun) -> Mapping[str, Any]:
        raise error

    return fail


def quick() -> Backoff:
    return Backoff(first=0.01, longest=0.01)


@contextmanager
def working(*ones: Worker) -> Iterator[None]:
    """Workers with a sign of life each tenth of a second and a drain when they are to wake, as processes have them."""
    ended = threading.Event()

    def live(worker: Worker) -> None:
        beats = Heartbeat(worker, overrun=lambda: None, limit=60)
        while not ended.wait(0.05):
            with suppress(LedgerUnavailable):  # as the threads of a process do
                beats.beat()
            worker.drain()

    threads = [threading.Thread(target=live, args=(each,)) for each in ones]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join(30)
        for each in ones:
            each.stop()
            each.finish_task(30)


def task(shop: Shop, job: Job) -> Task:
    found = shop.job(job).task
    assert found is not None
    return found


def has_ended(shop: Shop, job: Job) -> Callable[[], bool]:
    return lambda: shop.job(job).finished_at is not None


def test_a_task_is_done_while_changes_go_on(shop: Shop) -> None:
    counting = Counting()
    job = shop.begin_task(by=1)
    worker = shop.worker(kinds={"count": counting})
    with working(worker):
        until(lambda: len(worker.in_progress) == 1)
        changes = shop.accept(shop.puts(5))
        until(has_ended(shop, changes))
        assert shop.job(job).state is JobState.PROCESSING
        counting.step()
        until(lambda: task(shop, job).done == 1)
        assert task(shop, job) == Task("count", {"by": 1}, 1, 3, checkpoint=1)
        counting.step(2)
        until(has_ended(shop, job))
    assert shop.job(job).state is JobState.SUCCEEDED
    assert task(shop, job) == Task("count", {"by": 1}, 3, 3, result={"counted": 3})
    assert counting.seen == [shop.catalog.spec.name]
    assert worker.in_progress == []


def test_a_worker_that_stops_leaves_its_task_to_another_which_goes_on(shop: Shop) -> None:
    counting = Counting()
    job = shop.begin_task()
    with working(shop.worker(kinds={"count": counting})):
        counting.step(2)
        until(lambda: task(shop, job).done == 2)
    assert (shop.job(job).state, task(shop, job).checkpoint) == (JobState.PROCESSING, 2)
    with working(shop.worker(kinds={"count": counting})):
        counting.step(1)
        until(has_ended(shop, job))
    assert (counting.began_at, task(shop, job).result) == ([0, 2], {"counted": 3})


def test_a_task_whose_worker_died_goes_on_and_the_dead_one_records_nothing(make_shop: MakeShop) -> None:
    """It is not dead, it lost its lease: then it has to see that."""
    counting = Counting()
    shop = make_shop(lease=0.3)
    job = shop.begin_task()
    silent = shop.worker(kinds={"count": counting})
    silent.drain()
    counting.step()
    until(lambda: task(shop, job).done == 1)
    until(lambda: bool(shop.chores.expire()))
    other = Counting()
    with working(shop.worker(kinds={"count": other})):
        until(lambda: other.began_at == [1])
        counting.step(2)
        until(lambda: not silent.in_progress)
        assert task(shop, job).done == 1
        other.step(2)
        until(has_ended(shop, job))
    assert task(shop, job).result == {"counted": 3}


@pytest.mark.parametrize("by", ["cancel", "drop"])
def test_a_canceled_task_stops(shop: Shop, by: str) -> None:
    counting = Counting()
    job = shop.begin_task()
    worker = shop.worker(kinds={"count": counting})
    with working(worker):
        until(lambda: counting.began_at == [0])
        if by == "cancel":
            shop.ledger.cancel(job.id)
        else:
            shop.ledger.drop(shop.id)
        counting.step()
        until(lambda: not worker.in_progress)
        assert shop.job(job).state is JobState.CANCELED
    assert task(shop, job).result is None


def test_a_canceled_task_that_has_nothing_to_report_stops(shop: Shop) -> None:
    """As the building of a search graph: the next beat of the worker tells it."""
    job, seen = shop.begin_task(), []

    def waiting(catalog: Catalog, run: TaskRun) -> dict[str, Any]:
        until(run.stopped)
        seen.append(run.stopped())
        run.check()
        return {"ended": True}

    worker = shop.worker(kinds={"count": waiting})
    worker.drain()
    worker.extend()
    assert [each.lost for each in worker.in_progress] == [False]
    shop.ledger.cancel(job.id)
    worker.extend()
    until(lambda: not worker.in_progress)
    assert (seen, shop.job(job).state, task(shop, job).result) == ([True], JobState.CANCELED, None)


def test_a_backend_that_is_away_puts_a_task_off_until_it_gives_up(shop: Shop) -> None:
    job = shop.begin_task()
    away = failing(IndexUnavailable("The index is away."))

    def told() -> str:
        waits = shop.job(job).waiting_for
        return f"{waits.code}: {waits.message}" if waits else ""

    with working(shop.worker(kinds={"count": away}, give_up=3600, task_backoff=quick())):
        until(lambda: told() == "index_unavailable: The index is away.")
    with working(shop.worker(kinds={"count": away}, give_up=0.3, task_backoff=quick())):
        until(has_ended(shop, job))
    assert told() == ""
    assert (shop.job(job).state, task(shop, job).code) == (JobState.FAILED, "index_unavailable")
    assert task(shop, job).message == "The index is away."


@pytest.mark.parametrize("error", [DataFull("The disk is full."), LookalikeError("It is so.")])
def test_an_error_that_passes_is_tried_again_and_another_ends_the_task(shop: Shop, error: LookalikeError) -> None:
    job = shop.begin_task()
    with working(shop.worker(kinds={"count": failing(error)}, give_up=0, task_backoff=quick())):
        until(has_ended(shop, job))
    assert task(shop, job).code == error.code


@pytest.mark.parametrize("goes_on", [True, False])
def test_a_task_that_goes_on_between_failures_is_not_given_up(shop: Shop, goes_on: bool) -> None:
    tries = 0

    def stumble(catalog: Catalog, run: TaskRun) -> Mapping[str, Any]:
        nonlocal tries
        tries += 1
        run.report(tries if goes_on else 1)
        if tries < 6:
            raise IndexUnavailable("The index is away.")
        return {"tries": tries}

    job = shop.begin_task()
    with working(shop.worker(kinds={"count": stumble}, give_up=1e-9, task_backoff=quick())):
        until(has_ended(shop, job))
    assert (shop.job(job).state, tries) == ((JobState.SUCCEEDED, 6) if goes_on else (JobState.FAILED, 2))


def test_a_bug_ends_a_task_after_five_tries_and_no_worker(shop: Shop, logs: list[Any]) -> None:
    job = shop.begin_task()
    changes = shop.accept(shop.puts(2))
    with working(shop.worker(kinds={"count": failing(RuntimeError("a bug"))}, task_backoff=quick())):
        until(has_ended(shop, job))
        until(has_ended(shop, changes))
    assert task(shop, job).code == "worker_crashed"
    assert [each["event"] for each in logs].count("a task failed") == 5


def test_a_kind_that_a_worker_does_not_know_is_left_to_another(shop: Shop, redis: Redis, logs: list[Any]) -> None:
    counting = Counting()
    job = shop.begin_task()
    with working(shop.worker(kinds={})):
        until(lambda: any("newer version" in each["event"] for each in logs))
    assert shop.job(job).finished_at is None and shop.claims.claim_task() is None
    redis.hset(f"la:job:{job.id}", "due", 0)
    with working(shop.worker(kinds={"count": counting})):
        counting.step(3)
        until(has_ended(shop, job))


def test_a_suspect_runs_alone_beside_a_task(shop: Shop) -> None:
    """A task may take hours: what waits for everything else to end does not wait for it."""
    counting = Counting()
    suspects = shop.accept_suspects(shop.puts(2))
    job = shop.begin_task()
    with working(shop.worker(kinds={"count": counting})):
        until(has_ended(shop, suspects))
        assert shop.job(job).finished_at is None
        counting.step(3)
        until(has_ended(shop, job))
    assert shop.job(suspects).applied == 2


def test_one_task_at_a_time_in_a_worker(make_shop: MakeShop) -> None:
    counting = Counting()
    shop, other = make_shop(), make_shop()
    jobs = [(shop, shop.begin_task()), (other, other.begin_task())]
    worker = shop.worker(kinds={"count": counting})
    with working(worker):
        until(lambda: counting.began_at == [0])
        worker.drain()
        assert [each.claim.jobs for each in worker.in_progress] == [[jobs[0][1].id]]
        counting.step(6)
        for each, job in jobs:
            until(has_ended(each, job))
    assert counting.seen == [shop.catalog.spec.name, other.catalog.spec.name]


def test_a_ledger_that_is_away_costs_no_task(shop: Shop, redis: Redis) -> None:
    """Progress that cannot be recorded is not; the task goes on."""
    job = shop.begin_task()
    reported: list[int] = []

    def report(catalog: Catalog, run: TaskRun) -> Mapping[str, Any]:
        redis.execute_command("CLIENT", "PAUSE", 1500, "ALL")
        run.report(1)
        reported.append(1)
        return {}

    with working(shop.worker(kinds={"count": report})):
        until(lambda: reported == [1])
        until(has_ended(shop, job))
    assert (reported, task(shop, job).result) == ([1], {})


def test_check_raises_where_a_task_is_not_to_go_on(shop: Shop) -> None:
    stopped: list[bool] = []

    def look(catalog: Catalog, run: TaskRun) -> Mapping[str, Any]:
        run.check()
        worker.stop()
        with pytest.raises(Stopped):
            run.report(1)
        stopped.append(run.stopped())
        raise Stopped

    job = shop.begin_task()
    worker = shop.worker(kinds={"count": look})
    worker.drain()
    worker.finish_task(30)
    assert stopped == [True]
    assert task(shop, job).done == 0 and shop.claims.claim_task() is not None


@pytest.mark.parametrize("point", TASK_POINTS)
def test_a_task_whose_worker_raises_at_a_point_is_done_all_the_same(make_shop: MakeShop, point: str) -> None:
    shop = make_shop(lease=0.3)
    job = shop.begin_task()
    left = threading.Semaphore(1)

    def boom() -> None:
        if left.acquire(blocking=False):
            raise LedgerUnavailable("The connection broke.")

    counting = Counting()
    counting.step(99)
    with enabled(point, boom), working(shop.worker(kinds={"count": counting})):

        def is_done() -> bool:
            shop.chores.expire()
            return shop.job(job).finished_at is not None

        until(is_done)
    assert not left.acquire(blocking=False), "the point was reached"
    assert task(shop, job).result == {"counted": 3}
    assert shop.claims.claim_task() is None
