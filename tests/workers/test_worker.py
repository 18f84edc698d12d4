"""A worker in this process: what it claims is done and counted once, whatever fails meanwhile."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from proxy import Proxy
from redis import Redis
from workshop import DIM, Shop, Stub, draining, until

from services.encoders.encoder import Encoder
from services.errors import (
    EncoderMismatch,
    FormatTooNew,
    LedgerUnavailable,
    LookalikeError,
    WeightsNotFound,
    WeightsUnreachable,
)
from services.failpoints import enabled
from services.ledger import Claim, Claimed, Claims, Store
from services.queue.valkey import ValkeyServer
from services.records import Change, ChangeKind, Embedding, JobState, Outcome, Pixels, State, Vectors
from workers.backoff import Backoff
from workers.worker import Worker

MakeShop = Callable[..., Shop]

RED = (250, 0, 0)


class Failing:
    """Loads an encoder after it has failed so many times with these errors."""

    def __init__(self, *errors: LookalikeError) -> None:
        self.errors = list(errors)
        self.stub = Stub()

    def __call__(self) -> Encoder:
        if self.errors:
            raise self.errors.pop(0)
        return self.stub


class Red(Stub):
    """Ends in an error that nobody knows, where a picture is red; tells of each batch what else is in hand."""

    def __init__(self) -> None:
        super().__init__()
        self.worker: Worker | None = None
        self.together: list[tuple[bool, int]] = []

    def encode(self, pixels: Pixels) -> Vectors:
        assert self.worker
        in_hand = self.worker.in_progress
        self.together.append((any(each.claim.alone for each in in_hand), len(in_hand)))
        if (np.abs(pixels.mean(axis=(1, 2)) - (255, 15, 15)) < 20).all(axis=1).any():
            raise RuntimeError("CUDA_ERROR_ILLEGAL_ADDRESS")
        time.sleep(0.005)
        return super().encode(pixels)


def quick(forget_after: float = 300.0) -> Backoff:
    """Pauses of milliseconds."""
    return Backoff(first=0.01, longest=0.04, forget_after=forget_after)


def finish(shop: Shop, worker: Worker, job: Any, deadline: float = 300.0) -> None:
    """Drains again and again, as messages would have it, until the job has finished."""

    def finished() -> bool:
        worker.drain()
        return shop.job(job).finished_at is not None

    until(finished, deadline)


def test_what_waits_is_applied_in_batches_of_many_jobs(shop: Shop) -> None:
    singles = [shop.accept(shop.puts(1, n)) for n in range(130)]
    many = shop.accept(shop.puts(30, 200))
    worker = shop.worker()
    assert worker.drain() == 3
    assert {shop.job(job).state for job in singles} == {JobState.SUCCEEDED}
    assert shop.job(many).applied == 30
    assert shop.catalog.count() == 160
    assert worker.in_progress == []
    assert worker.drain() == 0


def test_two_slots_have_two_batches_in_hand(make_shop: MakeShop) -> None:
    stub = Stub()
    stub.open.clear()
    shop = make_shop(lambda: stub)
    job = shop.accept(shop.puts(128))
    worker = shop.worker(slots=2)
    with draining(worker, worker, worker):
        until(lambda: len(worker.in_progress) == 2)
        time.sleep(0.1)
        assert len(worker.in_progress) == 2
        stub.open.set()
    assert shop.job(job).applied == 128


def test_a_dead_backend_puts_off_with_growing_pauses_until_it_is_back(
    make_shop: MakeShop, redis: Redis, logs: list[Any]
) -> None:
    shop = make_shop(Failing(*[WeightsUnreachable("The hub is away.")] * 5))
    job = shop.accept(shop.puts(10))
    worker = shop.worker(backoff=Backoff(first=0.05, longest=0.2))
    worker.drain()
    assert 0 < redis.pttl(f"la:paused:{shop.id}") <= 50
    assert shop.counts().waiting == 10
    finish(shop, worker, job)
    pauses = [each["seconds"] for each in logs if each["event"] == "a batch is put off"]
    assert pauses == [0.05, 0.1, 0.2, 0.2, 0.2]
    assert shop.job(job).applied == 10
    assert not redis.hgetall(f"la:crashes:{shop.id}")


def test_changes_fail_with_the_reason_when_a_backend_stays_dead(make_shop: MakeShop) -> None:
    load = Failing(*[WeightsUnreachable("The hub is away.")] * 1000)
    shop = make_shop(load)
    job = shop.accept(shop.puts(70))
    worker = shop.worker(give_up=0.3, backoff=quick())
    started = time.monotonic()
    finish(shop, worker, job)
    assert time.monotonic() - started >= 0.3
    assert set(shop.failures(job).values()) == {"weights_unreachable"}
    assert shop.job(job).failed == 70
    load.errors.clear()
    again = shop.ledger.retry(job.id)
    finish(shop, worker, again)
    assert shop.job(again).applied == 70


def test_a_worker_too_old_for_a_catalog_leaves_its_changes_to_newer_ones(make_shop: MakeShop, logs: list[Any]) -> None:
    """Given a newer version that has upgraded a catalog, I expect an older worker beside it to fail nothing, ever."""
    load = Failing(*[FormatTooNew("The catalog was written by a newer Lookalike.")] * 1000)
    shop = make_shop(load)
    job = shop.accept(shop.puts(70))
    older = shop.worker(give_up=0.0, backoff=quick())

    def tries() -> int:
        older.drain()
        return len([each for each in logs if each["event"] == "a batch is put off"])

    until(lambda: tries() >= 3)
    assert (shop.job(job).done, shop.counts().waiting) == (0, 70)
    load.errors.clear()
    finish(shop, shop.worker(), job)
    assert shop.job(job).applied == 70


def test_trouble_that_was_over_does_not_count_for_the_next(make_shop: MakeShop) -> None:
    away = WeightsUnreachable("The hub is away.")
    load = Failing(away)
    shop = make_shop(load)
    worker = shop.worker(give_up=0.3, backoff=quick(forget_after=0.2))
    job = shop.accept(shop.puts(1))
    worker.drain()
    shop.ledger.cancel(job.id)
    time.sleep(0.4)
    load.errors = [away, away]
    job = shop.accept(shop.puts(1, 1))
    finish(shop, worker, job)
    assert shop.job(job).applied == 1


@pytest.mark.parametrize("error", [WeightsNotFound("There is no such file."), EncoderMismatch("Of another encoder.")])
def test_an_error_that_a_retry_cannot_help_fails_at_once_what_needs_the_encoder(
    make_shop: MakeShop, error: LookalikeError
) -> None:
    shop = make_shop(Failing(*[error] * 9))
    known = [Embedding(each, np.ones(DIM, np.float32), {}) for each in ("p0", "p1")]
    assert [outcome.state for outcome in shop.catalog.put_embeddings(known)] == [State.APPLIED] * 2
    job = shop.accept(
        [
            *shop.puts(3, 10),
            Change("p0", ChangeKind.DELETE),
            Change("p1", ChangeKind.PATCH, attributes={"price": 3}),
        ]
    )
    assert shop.worker().drain() == 1
    ended = shop.job(job)
    assert (ended.failed, ended.applied, ended.state) == (3, 2, JobState.SUCCEEDED)
    assert shop.failures(job) == dict.fromkeys(["p10", "p11", "p12"], error.code)
    assert shop.catalog.get("p1").attributes == {"price": 3}
    assert shop.catalog.count() == 1


def test_what_needs_no_encoder_does_not_wait_for_one(make_shop: MakeShop, redis: Redis) -> None:
    load = Failing(*[WeightsUnreachable("The hub is away.")] * 3)
    shop = make_shop(load)
    job = shop.accept([*shop.puts(3), Change("gone", ChangeKind.DELETE)])
    worker = shop.worker(backoff=quick())
    shop.claims.register(worker.id, 1, 600)
    worker.drain()
    assert (shop.job(job).unchanged, shop.counts().waiting) == (1, 3)
    waits = shop.job(job).waiting_for
    assert waits and (waits.code, waits.message) == ("weights_unreachable", "The hub is away.")
    redis.hset(f"la:waits:{shop.id}", "s", 1000)
    redis.delete(f"la:paused:{shop.id}")
    shop.accept([Change("gone too", ChangeKind.DELETE)])
    worker.drain()
    waits = shop.job(job).waiting_for
    assert waits and waits.since == 1.0, "that something else has ended makes it no newer"
    finish(shop, worker, job)
    assert (shop.job(job).applied, shop.job(job).unchanged) == (3, 1)
    assert shop.ledger.waits() == {}


def test_an_error_nobody_knows_costs_in_the_end_only_the_change_it_is_about(make_shop: MakeShop) -> None:
    encoder = Red()
    shop = make_shop(lambda: encoder)
    worker = encoder.worker = shop.worker(slots=2, backoff=quick())
    job = shop.accept([*shop.puts(63), shop.put("guilty", RED)])
    finish(shop, worker, job)
    ended = shop.job(job)
    assert (ended.applied, ended.failed) == (63, 1)
    assert shop.failures(job) == {"guilty": "worker_crashed"}
    assert shop.catalog.count() == 63


def test_while_a_suspect_runs_alone_nothing_else_is_in_hand(make_shop: MakeShop) -> None:
    encoder = Red()
    shop = make_shop(lambda: encoder)
    worker = encoder.worker = shop.worker(slots=3, backoff=quick())
    job = shop.accept([shop.put("guilty", RED), *shop.puts(640)])
    until_done = threading.Event()

    def drain() -> None:
        while not until_done.is_set():
            worker.drain()
            time.sleep(0.002)

    threads = [threading.Thread(target=drain) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: shop.job(job).finished_at is not None)
    finally:
        until_done.set()
        for thread in threads:
            thread.join()
    assert (shop.job(job).applied, shop.failures(job)) == (640, {"guilty": "worker_crashed"})
    alone = [count for is_alone, count in encoder.together if is_alone]
    assert len(alone) >= 3 and set(alone) == {1}
    assert max(count for _, count in encoder.together) > 1


def test_suspects_do_not_wait_until_nothing_else_does(make_shop: MakeShop) -> None:
    """A crash may make suspects of many innocent changes, and a busy queue is never empty."""
    encoder = Red()
    shop = make_shop(lambda: encoder)
    suspects = shop.accept_suspects(shop.puts(30))
    others = shop.accept(shop.puts(64 * 12, 100))
    worker = encoder.worker = shop.worker(backoff=quick(), alone_every=4)
    worker.drain()
    assert (shop.job(suspects).applied, shop.job(others).applied) == (30, 64 * 12)
    alone = [is_alone for is_alone, _ in encoder.together]
    assert alone.count(True) == 30 and not any(alone[-3:])


def test_where_everything_fails_the_pauses_keep_changes_from_failing_fast(make_shop: MakeShop) -> None:
    encoder = Red()
    shop = make_shop(lambda: encoder)
    worker = encoder.worker = shop.worker(backoff=Backoff(first=0.02))
    job = shop.accept([shop.put(f"p{n}", RED) for n in range(64)])
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        worker.drain()
        time.sleep(0.005)
    assert shop.job(job).failed <= 1


def test_the_job_of_a_removed_catalog_is_canceled(shop: Shop, redis: Redis) -> None:
    job = shop.accept(shop.puts(100))
    shop.ledger.drop(shop.catalog.spec.id)
    shop.catalogs.remove(shop.catalog.spec.name)
    assert (shop.job(job).state, shop.job(job).canceled) == (JobState.CANCELED, 100)
    assert shop.worker().drain() == 0
    assert not redis.keys("la:claim:*") and not redis.zcard("la:leases")


def test_a_worker_that_does_not_know_a_catalog_cancels_nothing_of_it(shop: Shop) -> None:
    job = shop.accept(shop.puts(100))
    shop.catalogs.remove(shop.catalog.spec.name)
    shop.worker(backoff=quick()).drain()
    assert (shop.job(job).done, shop.counts().waiting) == (0, 100)
    finish(shop, shop.worker(give_up=0.3, backoff=quick()), job)
    assert set(shop.failures(job).values()) == {"catalog_not_found"}


def test_a_catalog_removed_under_a_batch(make_shop: MakeShop) -> None:
    stub = Stub()
    stub.open.clear()
    shop = make_shop(lambda: stub)
    job = shop.accept(shop.puts(100))
    worker = shop.worker(backoff=quick())
    with draining(worker):
        until(lambda: len(worker.in_progress) == 1)
        shop.ledger.drop(shop.catalog.spec.id)
        shop.catalogs.remove(shop.catalog.spec.name)
        stub.open.set()
    finish(shop, worker, job)
    assert (shop.job(job).state, shop.job(job).canceled) == (JobState.CANCELED, 100)


def test_stop_ends_after_the_batch_in_hand(make_shop: MakeShop, redis: Redis) -> None:
    stub = Stub()
    stub.open.clear()
    shop = make_shop(lambda: stub)
    job = shop.accept(shop.puts(300))
    worker = shop.worker()
    # The second of them waits for the only slot.
    with draining(worker, worker):
        until(lambda: len(worker.in_progress) == 1)
        shop.claims.register(worker.id, worker.slots, 30)
        assert shop.claims.spare_drains(64) == 0
        worker.stop()
        stub.open.set()
    assert (shop.job(job).applied, shop.counts().waiting) == (64, 236)
    assert worker.drain() == 0
    # Who is gone is not taken for busy: others would not be woken for what waits.
    worker.leave()
    shop.claims.register("another", 1, 30)
    assert shop.claims.spare_drains(64) == 1


def test_stop_ends_before_a_suspect_runs_alone(make_shop: MakeShop, redis: Redis) -> None:
    stub = Stub()
    shop = make_shop(lambda: stub)
    suspect = shop.accept_suspects(shop.puts(1))
    worker = shop.worker(slots=2)
    stub.open.clear()
    job = shop.accept(shop.puts(64, 10))
    with draining(worker):
        until(lambda: len(worker.in_progress) == 1)
        with draining(worker):
            until(lambda: worker.runs_alone)
            worker.stop()
            stub.open.set()
    assert (shop.job(job).applied, shop.job(suspect).applied, shop.counts().waiting) == (64, 0, 1)


def test_what_was_given_back_is_done_by_another_and_counts_once(make_shop: MakeShop, logs: list[Any]) -> None:
    shop = make_shop()
    reached, requeued, go_on = threading.Event(), threading.Event(), threading.Event()

    def stay() -> None:
        if not requeued.is_set():
            reached.set()
            assert go_on.wait(30)

    job = shop.accept(shop.puts(64))
    slow = shop.worker()
    # Before the encoder, for that has one thread for all.
    with enabled("encode", stay), draining(slow):
        assert reached.wait(30)
        slow.stop()
        slow.give_back()
        requeued.set()
        assert shop.counts().waiting == 64
        assert shop.worker().drain() == 1
        assert shop.job(job).applied == 64
        go_on.set()
    ended = shop.job(job)
    assert (ended.applied, ended.done, shop.counts().in_flight) == (64, 64, 0)
    assert "the lease was over before the work" in {each["event"] for each in logs}


def test_a_lost_lease_is_counted_once_and_the_index_is_right(make_shop: MakeShop, redis: Redis) -> None:
    stub = Stub()
    stub.open.clear()
    shop = make_shop(lambda: stub, lease=0.2)
    job = shop.accept(shop.puts(64))
    silent, other = shop.worker(), shop.worker()
    with draining(silent):
        until(lambda: len(silent.in_progress) == 1)
        until(lambda: shop.chores.expire() == 1)
        silent.extend()
        assert silent.in_progress[0].lost
        with draining(other):
            until(lambda: len(other.in_progress) == 1)
            for _ in range(10):
                other.extend()
                time.sleep(0.03)
            assert not other.in_progress[0].lost
            stub.open.set()
    ended = shop.job(job)
    assert (ended.applied, ended.done) == (64, 64)
    assert sorted(shop.catalog.get(f"p{n}").version for n in range(64)) == list(range(1, 65))
    assert shop.counts().ended[State.APPLIED] == 64


class Flaky(Claims):
    """Is away at some claims, by number, and never answers the first `record`, which it does."""

    def __init__(self, store: Store, *away: int) -> None:
        super().__init__(store, lease=30)
        self.away = away
        self.claims = self.records = 0

    def claim(self, drain: str, limit: int, *, alone: bool = False) -> Claimed:
        self.claims += 1
        if self.claims in self.away:
            raise LedgerUnavailable("Redis is away.")
        return super().claim(drain, limit, alone=alone)

    def record(self, claim: Claim, outcomes: Sequence[tuple[str, Outcome]], *, others_wait: bool = False) -> bool:
        self.records += 1
        recorded = super().record(claim, outcomes, others_wait=others_wait)
        if self.records == 1:
            raise LedgerUnavailable("Redis says nothing.")
        return recorded


def test_a_drain_outlives_a_ledger_that_is_away(shop: Shop, logs: list[Any]) -> None:
    job = shop.accept(shop.puts(200))
    worker = shop.worker(Flaky(shop.store, 2, 3, 5, 6), away_seconds=0.05)
    assert worker.drain() == 4
    assert (shop.job(job).applied, shop.job(job).done) == (200, 200)
    assert [each["event"] for each in logs].count("the ledger is away") == 2
    # Were it taken for one that works on, nobody would be woken for what comes next.
    shop.claims.register(worker.id, worker.slots, 30)
    shop.accept(shop.puts(1))
    assert shop.claims.spare_drains(64) == 1


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[ValkeyServer]:
    with ValkeyServer(tmp_path / "queue") as server:
        yield server


def kill(server: ValkeyServer) -> None:
    until(lambda: server.pid is not None)
    assert server.pid
    os.kill(server.pid, signal.SIGKILL)


def test_outcomes_outlive_a_redis_that_is_killed_in_the_middle_of_a_batch(
    make_shop: MakeShop, own_valkey: ValkeyServer
) -> None:
    stub = Stub()
    stub.open.clear()
    with Proxy(urlsplit(own_valkey.url).path) as proxy:
        shop = make_shop(lambda: stub, url=f"redis://127.0.0.1:{proxy.port}")
        job = shop.accept(shop.puts(100))
        worker = shop.worker()
        with draining(worker):
            until(lambda: len(worker.in_progress) == 1)
            proxy.down()  # the next Valkey is not reached before it is up again
            kill(own_valkey)
            stub.open.set()
            time.sleep(0.5)
            assert len(worker.in_progress) == 1
            until(lambda: own_valkey.restarts == 1)
            proxy.up()
        ended = shop.job(job)
        assert (ended.applied, ended.done, shop.counts().in_flight) == (100, 100, 0)
    assert sorted(shop.catalog.get(f"p{n}").version for n in range(100)) == list(range(1, 101))


def test_a_batch_is_put_off_also_where_redis_is_killed_meanwhile(make_shop: MakeShop, own_valkey: ValkeyServer) -> None:
    def load() -> Encoder:
        if not own_valkey.restarts:
            kill(own_valkey)
            until(lambda: own_valkey.restarts == 1)
            raise WeightsUnreachable("The hub is away.")
        return Stub()

    shop = make_shop(load, url=own_valkey.url)
    job = shop.accept(shop.puts(10))
    worker = shop.worker(backoff=quick())
    finish(shop, worker, job)
    assert shop.job(job).applied == 10


def test_what_is_logged_of_a_batch_names_its_jobs_and_requests(shop: Shop, logs: list[Any]) -> None:
    """Given jobs of three requests in one batch, I expect to find the batch by any of them; of many it names some."""
    jobs = [shop.accept(shop.puts(1, n), request_id=f"req-{n}") for n in range(3)]
    shop.worker().drain()
    many = [shop.accept(shop.puts(1, n), request_id=f"req-{n}") for n in range(3, 11)]
    shop.worker().drain()
    first, second = ({**log} for log in logs if log["event"] == "batch")
    assert (first["jobs"], first["requests"]) == ([job.id for job in jobs], ["req-0", "req-1", "req-2"])
    assert (len(second["jobs"]), len(second["requests"]), second["changes"]) == (5, 5, len(many))
