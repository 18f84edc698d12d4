"""Signs of life of a worker: its registration, its leases, and batches that take too long."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from redis import Redis
from workshop import Shop, Stub, draining, until

from services.encoders.encoder import Encoder
from services.errors import LedgerUnavailable
from services.ledger import Chores, Claims
from workers.heartbeat import Heartbeat
from workers.upkeep import Timings, Upkeep
from workers.worker import Worker

MakeShop = Callable[..., Shop]
Beat = Callable[..., Heartbeat]


@pytest.fixture
def beat() -> Iterator[Beat]:
    """Starts the heartbeat of a worker."""
    made: list[Heartbeat] = []

    def beat(worker: Worker, *, limit: float = 60.0, every: float = 0.03, **options: Any) -> Heartbeat:
        def overrun() -> None:
            raise AssertionError("nothing overran")

        heartbeat = Heartbeat(worker, limit=limit, every=every, **({"overrun": overrun} | options))
        heartbeat.start()
        made.append(heartbeat)
        return heartbeat

    yield beat
    for heartbeat in made:
        heartbeat.stop()


def test_a_batch_that_takes_too_long_overruns(make_shop: MakeShop, beat: Beat) -> None:
    stub = Stub()
    stub.open.clear()
    shop = make_shop(lambda: stub)
    overran = threading.Event()
    job = shop.accept(shop.puts(1))
    worker = shop.worker()
    started = time.monotonic()
    beat(worker, limit=0.5, overrun=overran.set)
    with draining(worker):
        assert overran.wait(5)
        assert time.monotonic() - started > 0.5
        stub.open.set()
        until(lambda: shop.job(job).applied == 1)


def test_loading_an_encoder_may_take_longer(make_shop: MakeShop, beat: Beat) -> None:
    loaded = threading.Event()

    def load() -> Encoder:
        assert loaded.wait(10)
        return Stub()

    shop = make_shop(load)
    overran = threading.Event()
    job = shop.accept(shop.puts(1))
    worker = shop.worker()
    beat(worker, limit=0.3, overrun=overran.set)
    with draining(worker):
        until(lambda: bool(worker.in_progress))
        assert not overran.wait(0.6)
        loaded.set()
        until(lambda: shop.job(job).applied == 1)
    assert not overran.is_set()


def test_a_lease_is_kept_however_long_the_chores_take(make_shop: MakeShop, beat: Beat) -> None:
    stub = Stub()
    stub.open.clear()
    shop = make_shop(lambda: stub, lease=0.4)
    chores_done = threading.Event()
    sweeping = threading.Event()

    class Slow(Chores):
        def reap(self, seconds: float) -> int:
            sweeping.set()
            chores_done.wait(10)
            return super().reap(seconds)

    job = shop.accept(shop.puts(10))
    worker = shop.worker()
    # Neither is that seldom where leases are short.
    beat(worker, every=60.0)
    upkeep = Upkeep(worker, Slow(shop.store), shop.catalogs, wake=lambda: None, timings=Timings(every=60.0))
    upkeep.start()
    with ExitStack() as stack:
        stack.callback(upkeep.stop)
        stack.enter_context(draining(worker))
        # However it ends, nobody waits for these.
        stack.callback(chores_done.set)
        stack.callback(stub.open.set)
        assert sweeping.wait(5)
        until(lambda: bool(worker.in_progress))
        end = time.monotonic() + 1.2
        while time.monotonic() < end:
            assert shop.chores.expire() == 0
            time.sleep(0.02)
        chores_done.set()
        stub.open.set()
        until(lambda: shop.job(job).applied == 10)


def test_a_ledger_that_is_away_does_not_end_it(shop: Shop, beat: Beat, redis: Redis, logs: list[Any]) -> None:
    class Away(Claims):
        away = True

        def register(self, worker: str, slots: int, seconds: float) -> None:
            if self.away:
                raise LedgerUnavailable("Redis is away.")
            super().register(worker, slots, seconds)

    claims = Away(shop.store)
    beat(shop.worker(claims))
    until(lambda: "heartbeat is put off" in {each["event"] for each in logs})
    claims.away = False
    until(lambda: redis.zcard("la:workers") == 1)


def test_leaving(shop: Shop, beat: Beat, redis: Redis) -> None:
    heartbeat = beat(shop.worker())
    until(lambda: redis.zcard("la:workers") == 1)
    heartbeat.stop()
    assert redis.zcard("la:workers") == 0
    assert not [each for each in threading.enumerate() if each.name == "heartbeat"]
    heartbeat.stop()


def test_a_worker_that_stops_is_not_counted_any_more(shop: Shop, beat: Beat, redis: Redis) -> None:
    worker = shop.worker()
    beat(worker, alive=0.3)
    until(lambda: redis.zcard("la:workers") == 1)
    worker.stop()

    def alone() -> bool:
        shop.claims.register("another", 1, 30)  # which forgets who says nothing
        return bool(redis.zrange("la:workers", 0, -1) == [b"another 1"])

    until(alone)


def test_what_was_never_started_is_stopped_at_once(shop: Shop, redis: Redis) -> None:
    worker = shop.worker()
    shop.claims.register(worker.id, worker.slots, 30)
    Heartbeat(worker, overrun=lambda: None, limit=1).stop()
    assert redis.zcard("la:workers") == 1
