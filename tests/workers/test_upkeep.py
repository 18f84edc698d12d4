"""Upkeep beside workers: what dies, hangs or gets lost is noticed and made good."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kombu.exceptions import OperationalError
from redis import Redis
from workshop import Shop, Stub, until

from api.wakeups import Hints
from services.encoders.encoder import Encoder
from services.errors import LedgerUnavailable
from services.ledger import Ledger
from services.queue.broker import QUEUE
from services.records import Change, ChangeKind, JobState, Lane, RemoteImage
from workers import upkeep as module
from workers.app import _wake, create_app
from workers.upkeep import Upkeep
from workers.worker import Worker

MakeShop = Callable[..., Shop]
Keep = Callable[..., Upkeep]


class Spy(Ledger):
    """Counts what it is asked, and fails where a test wants it to."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger._redis, lease=ledger.lease)
        self.expired = 0
        self.error: Exception | None = None

    def expire(self, *, everything: bool = False) -> int:
        self.expired += 1
        if self.error:
            raise self.error
        return super().expire(everything=everything)


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EVERY", 0.03)


@pytest.fixture
def keep(shop: Shop) -> Iterator[Keep]:
    """Starts upkeep beside a worker; a message wakes that worker, in a thread of its own."""
    made: list[Upkeep] = []
    drains: list[threading.Thread] = []

    def keep(worker: Worker, *, limit: float = 60.0, **options: Any) -> Upkeep:
        def wake() -> None:
            drains.append(threading.Thread(target=worker.drain))
            drains[-1].start()

        def overrun() -> None:
            raise AssertionError("nothing overran")

        upkeep = Upkeep(worker, shop.catalogs, limit=limit, **({"wake": wake, "overrun": overrun} | options))
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


def test_a_silent_workers_claims_are_given_on(make_shop: MakeShop, keep: Keep, logs: list[Any]) -> None:
    shop = make_shop(lease=0.3)
    job = shop.accept(shop.puts(100))
    assert shop.ledger.claim("dead/1", 64).claim
    keep(shop.worker())
    until(lambda: shop.job(job).applied == 100)
    assert "claims of workers that fell silent are given on" in {each["event"] for each in logs}


def test_lost_messages_are_sent_again(shop: Shop, keep: Keep, redis: Redis, valkey_url: str) -> None:
    worker = shop.worker(slots=2)
    app = create_app(valkey_url, worker)
    shop.accept(shop.puts(100))
    hints = Hints(valkey_url, shop.ledger, 64)
    hints(100)
    until(lambda: redis.llen(QUEUE) == 1)  # nobody lives yet, so one is enough
    hints.close()
    redis.delete(QUEUE)
    keep(worker, wake=lambda: _wake(app))
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
    keep(shop.worker(), wake=lambda: _wake(NoBroker))
    until(lambda: "upkeep is put off" in {each["event"] for each in logs})


def test_only_one_does_the_common_chores(shop: Shop, keep: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAD_SECONDS", 0.4)
    first, second = Spy(shop.ledger), Spy(shop.ledger)
    leader = keep(shop.worker(first))
    until(lambda: first.expired > 0)
    keep(shop.worker(second))
    time.sleep(0.6)
    assert (first.expired > 5, second.expired) == (True, 0)
    leader.stop()
    until(lambda: second.expired > 0, 2)


def test_a_batch_that_takes_too_long_overruns(make_shop: MakeShop, keep: Keep) -> None:
    stub = Stub()
    stub.open.clear()
    shop = make_shop(lambda: stub)
    overran = threading.Event()
    job = shop.accept(shop.puts(1))
    started = time.monotonic()
    keep(shop.worker(), limit=0.5, overrun=overran.set)
    assert overran.wait(5)
    assert time.monotonic() - started > 0.5
    stub.open.set()
    until(lambda: shop.job(job).applied == 1)


def test_loading_an_encoder_may_take_longer(make_shop: MakeShop, keep: Keep) -> None:
    loaded = threading.Event()

    def load() -> Encoder:
        assert loaded.wait(10)
        return Stub()

    shop = make_shop(load)
    overran = threading.Event()
    job = shop.accept(shop.puts(1))
    worker = shop.worker()
    keep(worker, limit=0.3, overrun=overran.set)
    until(lambda: bool(worker.in_hand))
    assert not overran.wait(0.6)
    loaded.set()
    until(lambda: shop.job(job).applied == 1)
    assert not overran.is_set()


def test_a_lease_is_kept_however_long_the_chores_take(
    make_shop: MakeShop, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub = Stub()
    stub.open.clear()
    shop = make_shop(lambda: stub, lease=0.4)
    chores_done = threading.Event()
    sweeping = threading.Event()

    def sweep(self: Upkeep) -> None:
        sweeping.set()
        chores_done.wait(10)

    monkeypatch.setattr(Upkeep, "_sweep", sweep)
    monkeypatch.setattr(module, "EVERY", 60.0)  # not that seldom where leases are short
    job = shop.accept(shop.puts(10))
    worker = shop.worker()
    keep(worker)
    assert sweeping.wait(5)
    until(lambda: bool(worker.in_hand))
    end = time.monotonic() + 1.2
    while time.monotonic() < end:
        assert shop.ledger.expire() == 0
        time.sleep(0.02)
    chores_done.set()
    stub.open.set()
    until(lambda: shop.job(job).applied == 10)


def test_a_job_whose_sender_died_is_forgotten(
    shop: Shop, keep: Keep, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SILENT_SECONDS", 0.3)
    monkeypatch.setattr(module, "SWEEP_EVERY", 0.1)
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
    keep(shop.worker())
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


def test_tombstones_go_when_nothing_older_can_come(
    shop: Shop, keep: Keep, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TOMBSTONE_SECONDS", 0.0)
    monkeypatch.setattr(module, "SWEEP_EVERY", 0.1)
    worker = shop.worker()
    shop.accept(shop.puts(2))
    shop.accept([Change("p0", ChangeKind.DELETE)])
    shop.accept(shop.puts(1, 3))
    worker.drain()
    worker.drain()
    waits = shop.accept(shop.puts(1, 5))
    shop.accept([Change("p1", ChangeKind.DELETE)])
    claim = shop.ledger.claim("slow", 1).claim
    assert claim and [change.product_id for change in claim.changes] == ["p5"]
    worker.drain()
    index = shop.catalog._index
    assert len(list(index.tombstones(before=time.time()))) == 2
    keep(shop.worker(), wake=lambda: None)
    until(lambda: len(list(index.tombstones(before=time.time()))) == 1)
    time.sleep(0.3)
    [left] = index.tombstones(before=time.time())
    assert left.product_id == "p1"  # the put of p5 is older and has not ended
    assert shop.ledger.give_back(claim)
    worker.drain()
    assert shop.job(waits).applied == 1
    until(lambda: not list(index.tombstones(before=time.time())))


@pytest.mark.parametrize(
    ("error", "said"),
    [(LedgerUnavailable("Redis is away."), "upkeep is put off"), (RuntimeError("a mistake"), "upkeep failed")],
)
def test_a_chore_that_fails_does_not_end_the_others(
    shop: Shop, keep: Keep, error: Exception, said: str, logs: list[Any]
) -> None:
    spy = Spy(shop.ledger)
    spy.error = error
    job = shop.accept(shop.puts(10))
    keep(shop.worker(spy))
    until(lambda: spy.expired > 3)
    spy.error = None
    until(lambda: shop.job(job).applied == 10)
    assert said in {each["event"] for each in logs}


def test_one_catalog_that_cannot_be_tended_does_not_cost_the_others(
    make_shop: MakeShop, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TOMBSTONE_SECONDS", 0.0)
    shops = sorted((make_shop(), make_shop()), key=lambda shop: shop.catalog.spec.name)
    shops[0].catalog.close()
    shops[1].catalog.apply([Change("p0", ChangeKind.DELETE, version=1)])
    keep(shops[1].worker())
    until(lambda: not list(shops[1].catalog._index.tombstones(before=time.time())))


def test_leaving(shop: Shop, keep: Keep, redis: Redis) -> None:
    upkeep = keep(shop.worker())
    until(lambda: redis.zcard("la:workers") == 1)
    upkeep.stop()
    assert redis.zcard("la:workers") == 0
    assert not [each for each in threading.enumerate() if each.name == "upkeep"]
    upkeep.stop()


def test_a_worker_that_stops_is_not_counted_any_more(
    shop: Shop, keep: Keep, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ALIVE_SECONDS", 0.3)
    worker = shop.worker()
    keep(worker)
    until(lambda: redis.zcard("la:workers") == 1)
    worker.stop()

    def alone() -> bool:
        shop.ledger.register("another", 1, 30)  # which forgets who says nothing
        return bool(redis.zrange("la:workers", 0, -1) == [b"another 1"])

    until(alone)


def test_what_was_never_started_is_stopped_at_once(shop: Shop) -> None:
    Upkeep(shop.worker(), shop.catalogs, wake=lambda: None, overrun=lambda: None, limit=1).stop()
