"""Upkeep beside workers: what dies, hangs or gets lost is noticed and made good."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from kombu.exceptions import OperationalError
from redis import Redis
from workshop import Shop, until

from api.wakeups import Wakeups
from services.catalog.generations import Generations
from services.errors import FeaturesNotFound, LedgerUnavailable
from services.ledger import Chores, Store
from services.queue.broker import QUEUE
from services.records import Change, ChangeKind, JobState, Lane, RemoteImage
from workers.app import create_app, wake_worker
from workers.upkeep import Timings, Upkeep
from workers.worker import Worker

MakeShop = Callable[..., Shop]
Keep = Callable[..., Upkeep]


class Spy(Chores):
    """Counts what it is asked, and fails where a test wants it to."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.expired = 0
        self.error: Exception | None = None

    def expire(self, *, everything: bool = False) -> int:
        self.expired += 1
        if self.error:
            raise self.error
        return super().expire(everything=everything)


OFTEN = Timings(every=0.03)


@pytest.fixture
def keep(shop: Shop) -> Iterator[Keep]:
    """Starts upkeep beside a worker; a message wakes that worker, in a thread of its own."""
    made: list[Upkeep] = []
    drains: list[threading.Thread] = []

    def keep(worker: Worker, *, chores: Chores = shop.chores, timings: Timings = OFTEN, **options: Any) -> Upkeep:
        def wake() -> None:
            drains.append(threading.Thread(target=worker.drain))
            drains[-1].start()

        upkeep = Upkeep(worker, chores, shop.catalogs, timings=timings, **({"wake": wake} | options))
        upkeep.start()
        made.append(upkeep)
        return upkeep

    yield keep
    for upkeep in made:
        upkeep.stop()
    for drain in drains:
        drain.join(30)


def test_what_waits_is_done_without_any_message(shop: Shop, keep: Keep) -> None:
    job = shop.accept(shop.puts(100))
    keep(shop.worker())
    until(lambda: shop.job(job).applied == 100)


def test_a_silent_workers_claims_are_requeued(make_shop: MakeShop, keep: Keep, logs: list[Any]) -> None:
    shop = make_shop(lease=0.3)
    job = shop.accept(shop.puts(100))
    assert shop.claims.claim("dead/1", 64).claim
    keep(shop.worker())
    until(lambda: shop.job(job).applied == 100)
    assert "claims of workers that fell silent are requeued" in {each["event"] for each in logs}


def test_lost_messages_are_sent_again(shop: Shop, keep: Keep, redis: Redis, valkey_url: str) -> None:
    worker = shop.worker(slots=2)
    app = create_app(valkey_url, worker)
    shop.accept(shop.puts(100))
    wakeups = Wakeups(valkey_url, shop.claims, 64)
    wakeups(100)
    until(lambda: redis.llen(QUEUE) == 1)  # nobody lives yet, so one is enough
    wakeups.close()
    redis.delete(QUEUE)
    shop.claims.register(worker.id, worker.slots, 30)
    keep(worker, wake=lambda: wake_worker(app))
    until(lambda: redis.llen(QUEUE) >= 2)
    redis.delete(QUEUE)
    until(lambda: redis.llen(QUEUE) >= 2)
    worker.drain()
    time.sleep(0.1)
    redis.delete(QUEUE)
    time.sleep(0.2)
    assert redis.llen(QUEUE) == 0  # nothing waits
    app.close()


def test_a_message_that_cannot_be_sent_is_put_off(shop: Shop, keep: Keep, logs: list[Any]) -> None:
    class NoBroker:
        @staticmethod
        def send_task(name: str, **options: Any) -> None:
            raise OperationalError("Connection refused.")

    shop.accept(shop.puts(1))
    keep(shop.worker(), wake=lambda: wake_worker(NoBroker))
    until(lambda: "upkeep is put off" in {each["event"] for each in logs})


def test_only_one_does_the_common_chores(shop: Shop, keep: Keep) -> None:
    timings = replace(OFTEN, lead=0.4)
    first, second = Spy(shop.store), Spy(shop.store)
    leader = keep(shop.worker(), chores=first, timings=timings)
    until(lambda: first.expired > 0)
    keep(shop.worker(), chores=second, timings=timings)
    time.sleep(0.6)
    assert (first.expired > 5, second.expired) == (True, 0)
    leader.stop()
    until(lambda: second.expired > 0)


def test_a_job_whose_sender_died_is_forgotten(shop: Shop, keep: Keep, redis: Redis) -> None:
    died = threading.Event()

    def changes() -> Iterator[Change]:
        yield from shop.puts(600)
        died.wait(10)
        yield from shop.puts(1, 600)

    def send() -> None:
        with pytest.raises(LedgerUnavailable):
            shop.accept(changes())  # type: ignore[arg-type]

    sender = threading.Thread(target=send)
    sender.start()
    until(lambda: redis.zcard("la:receiving") == 1)
    keep(shop.worker(), timings=replace(OFTEN, silent=0.3, sweep=0.1))
    until(lambda: redis.zcard("la:receiving") == 0)
    assert not redis.hlen("la:items")
    died.set()
    sender.join()


def test_a_removal_that_died_is_ended(shop: Shop, keep: Keep, redis: Redis) -> None:
    job, gone = shop.accept(shop.puts(10)), "e" * 32
    changes = iter([Change("a", image=RemoteImage("http://x.example/1"))])
    theirs = shop.ledger.accept(gone, "gone", changes, lane=Lane.BULK, max_version=lambda: 0)
    redis.zadd("la:dropping", {shop.id: 1, gone: 1})
    keep(shop.worker(), wake=lambda: None)
    until(lambda: shop.job(theirs).state is JobState.CANCELED)
    until(lambda: not redis.exists("la:dropping"))
    assert shop.job(job).state is JobState.ENQUEUED, "its catalog is still there"


def test_tombstones_go_when_nothing_older_can_come(shop: Shop, keep: Keep) -> None:
    worker = shop.worker()
    shop.accept(shop.puts(2))
    shop.accept([Change("p0", ChangeKind.DELETE)])
    shop.accept(shop.puts(1, 3))
    worker.drain()
    worker.drain()
    waits = shop.accept(shop.puts(1, 5))
    shop.accept([Change("p1", ChangeKind.DELETE)])
    claim = shop.claims.claim("slow", 1).claim
    assert claim and [change.product_id for change in claim.changes] == ["p5"]
    worker.drain()
    assert len(list(shop.catalog.tombstones())) == 2
    keep(shop.worker(), wake=lambda: None, timings=replace(OFTEN, tombstone=0.0, sweep=0.1))
    until(lambda: len(list(shop.catalog.tombstones())) == 1)
    time.sleep(0.3)
    [left] = shop.catalog.tombstones()
    assert left.product_id == "p1"  # the put of p5 is older and has not ended
    assert shop.claims.give_back(claim)
    worker.drain()
    assert shop.job(waits).applied == 1
    until(lambda: not list(shop.catalog.tombstones()))


@pytest.mark.parametrize(
    ("error", "said"),
    [(LedgerUnavailable("Redis is away."), "upkeep is put off"), (RuntimeError("a mistake"), "upkeep failed")],
)
def test_a_chore_that_fails_does_not_end_the_others(
    shop: Shop, keep: Keep, error: Exception, said: str, logs: list[Any]
) -> None:
    spy = Spy(shop.store)
    spy.error = error
    job = shop.accept(shop.puts(10))
    keep(shop.worker(), chores=spy)
    until(lambda: spy.expired > 3)
    spy.error = None
    until(lambda: shop.job(job).applied == 10)
    assert said in {each["event"] for each in logs}


def test_one_catalog_that_cannot_be_tended_does_not_cost_the_others(make_shop: MakeShop, keep: Keep) -> None:
    shops = sorted((make_shop(), make_shop()), key=lambda shop: shop.catalog.spec.name)
    shops[0].catalog.close()
    shops[1].catalog.apply([Change("p0", ChangeKind.DELETE, version=1)])
    keep(shops[1].worker(), timings=replace(OFTEN, tombstone=0.0))
    until(lambda: not list(shops[1].catalog.tombstones()))


def test_generations_that_are_due_are_dropped(shop: Shop, keep: Keep) -> None:
    found = Generations(shop.catalogs, shop.catalog.spec.name, keep_seconds=0.0)
    kept = Generations(shop.catalogs, shop.catalog.spec.name)
    next_one = kept.begin({"quantization": "scalar"}).id
    kept.promote()
    keep(shop.worker(), timings=replace(OFTEN, sweep=0.1))
    shop.accept(shop.puts(2))
    until(lambda: shop.catalogs.get(shop.catalog.spec.name).count() == 2)
    assert [each.state.value for each in kept.all()] == ["live", "previous"], "it is not due"
    found.rollback()
    until(lambda: [each.state.value for each in kept.all()] == ["live"])
    assert kept.all()[0].id != next_one


def test_findings_that_were_replaced_are_collected(shop: Shop, keep: Keep) -> None:
    media = shop.catalogs.intake.media
    replaced, other = media.put_object(b"replaced"), media.put_object(b"other")
    # Put before it is retired, whatever the clock of the disk tells apart, and too lately for all that nothing names.
    put_at = time.time() - 60
    os.utime(shop.catalogs.registry.media / "objects" / replaced[:2] / replaced[2:4] / replaced, (put_at, put_at))
    media.retire(replaced)
    keep(shop.worker(), timings=replace(OFTEN, replaced=-60.0, sweep=0.1))

    def is_gone() -> bool:
        try:
            return not media.read_object(replaced)
        except FeaturesNotFound:
            return True

    until(is_gone)
    assert media.read_object(other) == b"other"


def test_stopping(shop: Shop, keep: Keep) -> None:
    upkeep = keep(shop.worker())
    upkeep.stop()
    assert not [each for each in threading.enumerate() if each.name == "upkeep"]
    upkeep.stop()


def test_what_was_never_started_is_stopped_at_once(shop: Shop) -> None:
    Upkeep(shop.worker(), shop.chores, shop.catalogs, wake=lambda: None).stop()
