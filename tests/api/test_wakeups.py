"""Messages to workers: as many as they could use, and whoever accepts changes does not wait for them."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from redis import Redis
from structlog.testing import capture_logs
from waiting import until

from api.wakeups import Wakeups
from services.errors import LedgerUnavailable
from services.ledger import Claims, Ledger, Store
from services.queue.broker import QUEUE
from services.records import Change, ChangeKind, Lane


class Idle(Claims):
    """Tells what a test wants of who is idle."""

    def __init__(self, redis: "Redis[bytes]") -> None:
        super().__init__(Store(redis))
        self.answer: Callable[[], int] = lambda: 1
        self.asked = 0

    def spare_drains(self, batch: int) -> int:
        self.asked += 1
        return self.answer()


@pytest.fixture
def claims(redis: "Redis[bytes]") -> Idle:
    return Idle(redis)


@pytest.fixture
def wakeups(claims: Idle, valkey_url: str) -> Iterator[Wakeups]:
    wakeups = Wakeups(valkey_url, claims, 64)
    yield wakeups
    wakeups.close()


def test_as_many_as_workers_could_use(redis: "Redis[bytes]", valkey_url: str) -> None:
    ledger, claims = Ledger(Store(redis)), Claims(Store(redis))
    claims.register("somewhere", 4, 30)
    wakeups = Wakeups(valkey_url, claims, 64)
    changes = [Change(f"p{n}", ChangeKind.DELETE) for n in range(200)]
    ledger.accept("c" * 32, "shoes", changes, lane=Lane.BULK, max_version=lambda: 0)
    wakeups(200)
    until(lambda: redis.llen(QUEUE) == 4)
    wakeups.close()
    assert redis.llen(QUEUE) == 4


def test_nothing_came_in(wakeups: Wakeups, claims: Idle) -> None:
    wakeups(0)
    time.sleep(0.1)
    assert claims.asked == 0


def test_nobody_waits_for_a_broker_that_hangs(wakeups: Wakeups, claims: Idle, redis: "Redis[bytes]") -> None:
    hanging = threading.Event()

    def hang() -> int:
        assert hanging.wait(60)
        return 1

    claims.answer = hang
    started = time.monotonic()
    for _ in range(50):
        wakeups(1)
    assert time.monotonic() - started < 30
    hanging.set()
    until(lambda: redis.llen(QUEUE) >= 1)
    assert claims.asked <= 2


@pytest.mark.parametrize("error", [LedgerUnavailable("Redis is away."), RuntimeError("a mistake")])
def test_a_failure_is_said_and_the_next_is_sent(
    wakeups: Wakeups, claims: Idle, redis: "Redis[bytes]", error: Exception
) -> None:
    def fail() -> int:
        raise error

    claims.answer = fail
    with capture_logs() as logs:
        wakeups(1)
        until(lambda: logs)
        assert logs[0]["event"] == "the workers could not be woken"
        claims.answer = lambda: 1
        wakeups(1)
        until(lambda: redis.llen(QUEUE) == 1)
