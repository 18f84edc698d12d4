"""Tasks about generations, where another worker has one of them at the same time."""

from collections.abc import Callable

from redis import Redis
from workshop import Shop, Stub

from services.catalog.generations import Generations
from services.records import JobState
from workers.generations import promote
from workers.tasks import TaskRun

MakeShop = Callable[..., Shop]


def test_a_switch_that_another_worker_made_meanwhile_is_done(make_shop: MakeShop, redis: Redis) -> None:
    """Its lease was over while Redis was away; then both had the task, and the first of them switched."""
    shop = make_shop(Stub)
    shop.accept(shop.puts(3))
    shop.worker().drain()
    generations = Generations(shop.catalogs, shop.catalog.spec.name)
    id, _ = generations.reindex({"quantization": "scalar"})
    job = shop.begin_task("promote", generation=id, allow_missing=False)
    switched: list[str] = []

    class Late(TaskRun):
        def report(self, done: int, total: int | None = None, checkpoint: object = None) -> None:
            if not switched:
                generations.promote(id)
                switched.append(id)
            super().report(done, total, checkpoint)

    def late(catalog: object, run: TaskRun) -> object:
        run.__class__ = Late
        return promote(60)(catalog, run)  # type: ignore[arg-type]

    worker = shop.worker(kinds={"promote": late})
    worker.drain()
    worker.finish_task(60)
    ended = shop.job(job)
    assert switched == [id] == [generations.live()]
    assert ended.task and (ended.state, ended.task.code) == (JobState.SUCCEEDED, None)
    assert ended.task.result and ended.task.result["promoted"]
