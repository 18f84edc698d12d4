"""A worker whose images are late: it goes on with other work, and ends what is late when it is here."""

import threading
from collections.abc import Callable, Iterator

import pytest
from workshop import Shop, Stub, draining, until

from services.records import Change, RemoteImage
from services.testing import picture

MakeShop = Callable[..., Shop]


class Gate:
    """Fetches a picture; from the host "slow" when it is open."""

    def __init__(self) -> None:
        self.open = threading.Event()

    def fetch(self, url: str) -> bytes:
        assert not url.startswith("https://slow") or self.open.wait(30)
        return picture((200, 30, 30), int(url.rpartition("/")[2]))

    def close(self) -> None:
        self.open.set()


@pytest.fixture
def gate(make_shop: MakeShop, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """Closed; the decoder is awake, for what takes long is late."""
    gate = Gate()
    other = make_shop()
    other.catalog.apply(other.puts(12))
    monkeypatch.setattr(other.catalogs.intake, "fetcher", gate)
    monkeypatch.setattr(other.catalogs.intake, "quiet_seconds", 0.6)
    yield gate
    gate.close()


def puts(host: str, count: int) -> list[Change]:
    return [Change(f"{host}{n}", image=RemoteImage(f"https://{host}/{n}"), attributes={}) for n in range(count)]


def test_a_slot_does_not_wait_for_what_is_late(shop: Shop, gate: Gate) -> None:
    late = shop.accept(puts("slow", 3))
    worker = shop.worker()
    with draining(worker) as [drain]:
        until(lambda: len(worker.in_progress) == 1)
        jobs = [shop.accept(puts("fast", count)) for count in (70, 2)]
        until(lambda: all(shop.job(job).finished_at for job in jobs))
        # A claim leaves the hand a moment after its last outcome is recorded.
        until(lambda: [len(each.claim.changes) for each in worker.in_progress] == [3])
        assert shop.job(late).finished_at is None and drain.is_alive()
        more = shop.accept(puts("later", 1))
        until(lambda: shop.job(more).finished_at is not None)
        gate.open.set()
        until(lambda: shop.job(late).finished_at is not None)
        drain.join(10)
        assert (drain.is_alive(), worker.in_progress, shop.job(late).applied) == (False, [], 3)


def test_the_others_of_a_batch_end_before_what_is_late(shop: Shop, gate: Gate) -> None:
    job = shop.accept([*puts("slow", 2), *puts("fast", 5)])
    worker = shop.worker()
    with draining(worker):
        until(lambda: shop.job(job).applied == 5)
        assert shop.counts().in_flight == 2
        gate.open.set()
        until(lambda: shop.job(job).applied == 7)


def test_what_is_late_is_finished_by_a_worker_that_stops(shop: Shop, gate: Gate) -> None:
    job = shop.accept(puts("slow", 2))
    worker = shop.worker()
    with draining(worker) as [drain]:
        until(lambda: len(worker.in_progress) == 1)
        worker.stop()
        drain.join(1.0)
        assert drain.is_alive()
        gate.open.set()
        drain.join(20)
        assert (drain.is_alive(), shop.job(job).applied) == (False, 2)


def test_what_is_late_is_anothers_when_it_is_given_back(shop: Shop, gate: Gate) -> None:
    job = shop.accept([*puts("slow", 2), *puts("fast", 1)])
    worker = shop.worker()
    with draining(worker):
        until(lambda: shop.job(job).applied == 1)
        worker.stop()
        worker.give_back()
        other = shop.worker()
        with draining(other):
            until(lambda: len(other.in_progress) == 1)
            gate.open.set()
            until(lambda: shop.job(job).finished_at is not None)
            assert (shop.job(job).applied, shop.job(job).failed, shop.catalog.count()) == (3, 0, 3)


def test_a_suspect_waits_until_nothing_is_late(make_shop: MakeShop, gate: Gate) -> None:
    encoder = Stub()
    shop = make_shop(lambda: encoder)
    together: list[tuple[bool, int]] = []
    worker = shop.worker()
    encode = encoder.encode
    encoder.encode = lambda pixels: (  # type: ignore[method-assign]
        together.append((worker.in_progress[-1].claim.alone, len(worker.in_progress))),
        encode(pixels),
    )[1]
    job = shop.accept_suspects(puts("fast", 1))
    late = shop.accept(puts("slow", 1))
    with draining(worker):
        until(lambda: len(worker.in_progress) == 1)
        threading.Event().wait(1.0)
        assert (together, shop.job(job).finished_at) == ([], None)
        gate.open.set()
        until(lambda: shop.job(job).finished_at is not None and shop.job(late).finished_at is not None)
        assert sorted(together) == [(False, 1), (True, 1)]
