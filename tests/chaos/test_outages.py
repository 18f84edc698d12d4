"""Redis and the index go away in every way a network knows: callers are told soon, nothing is lost, work goes on."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import httpx2
import pytest
from chaos import Callers, closed, differences
from harness import CATALOG, Pictures, StackService
from proxy import Proxy
from threads import Meanwhile
from waiting import PATIENCE, until

pytestmark = pytest.mark.long

FULL = (2.0, (1.0, 4.0), 3.0)
SHORT = (8.0, (12.0, 14.0), 12.0)
"""Within how many seconds callers are told, how many an outage takes, and an answer that is slow. The full chaos runs
alone. On a machine that others share all of it takes longer, and callers who wait for the outage to end still wait
longer than is allowed."""
CONSUMING_SECONDS = 45.0
WAYS = ("down", "slow", "reset", "half-open")


@contextmanager
def fault(proxy: Proxy, way: str, delay: float) -> Iterator[None]:
    """What is behind the proxy is away in this way while the block runs; so many seconds, where that is to be slow."""
    match way:
        case "down":
            proxy.down()
        case "slow":
            proxy.delay = delay
        case "reset":
            proxy.reset()
        case "half-open":
            proxy.silent = True
    try:
        yield
    finally:
        proxy.delay, proxy.silent = 0.0, False
        proxy.up()
        proxy.reset()  # connections of the time before are as dead as after a real outage


class Asking(Meanwhile):
    """Callers that ask all the time.

    `slowest` are the seconds of the slowest answer, `idle` those of the slowest answer that needs neither Redis nor the
    index: so long the machine lets a caller wait who waits for nothing else.
    """

    def __init__(self, service: StackService) -> None:
        self.slowest = 0.0
        self.idle = 0.0
        self.statuses: dict[int, int] = {}
        self._service = service
        super().__init__(*(partial(self._ask, n) for n in range(2)), self._ask_for_nothing)

    def _ask(self, number: int) -> None:
        with self._service.client() as client:
            while not self.ended.wait(0.05):
                began = time.monotonic()
                try:
                    if number:
                        told = client.get(f"/catalogs/{CATALOG}/products/c0-0/neighbors")
                    else:
                        told = client.patch(f"/catalogs/{CATALOG}/products/c0-0", json={"attributes": {"n": 1}})
                except httpx2.TransportError:
                    self.statuses[0] = self.statuses.get(0, 0) + 1
                    continue
                self.statuses[told.status_code] = self.statuses.get(told.status_code, 0) + 1
                self.slowest = max(self.slowest, time.monotonic() - began)

    def _ask_for_nothing(self) -> None:
        with self._service.client() as client:
            while not self.ended.wait(0.05):
                began = time.monotonic()
                client.get(f"{self._service.url}/livez").raise_for_status()
                self.idle = max(self.idle, time.monotonic() - began)


def test_outages_pass(
    make_stack: Callable[..., StackService],
    pictures: Pictures,
    rng: random.Random,
    scale: Callable[..., Any],
    record_property: Callable[[str, object], None],
) -> None:
    faults = [(where, way) for where in ("redis", "index") for way in WAYS]
    rng.shuffle(faults)
    faults = (faults * 3)[: scale(20, 4)]
    told_seconds, outage, delay = scale(FULL, SHORT)
    # The longest wait for the index: at its default of two seconds an answer takes these and a few milliseconds.
    service = make_stack(2, LOOKALIKE_QDRANT_TIMEOUT="1")
    stack = service.stack
    with ExitStack() as stacked:
        redis = stacked.enter_context(Proxy(("127.0.0.1", stack.redis_port)))
        index = stacked.enter_context(Proxy(("127.0.0.1", stack.qdrant_port)))
        url = f"redis://127.0.0.1:{redis.port}/0"
        stack.environment |= {
            "LOOKALIKE_REDIS_URL": url,
            "LOOKALIKE_QDRANT_URL": f"http://127.0.0.1:{index.port}",
        }
        stack.commands["worker"][2] = url
        service.start()
        service.create_catalog()
        callers = Callers(service, pictures, scale(2000, 400), rng)
        consuming: list[float] = []
        callers.start(scale(300, 60))
        until(lambda: bool(callers.log.jobs))
        with Asking(service) as asking:
            for where, way in faults:
                time.sleep(rng.uniform(0.5, 1.5))
                with fault(redis if where == "redis" else index, way, delay):
                    time.sleep(rng.uniform(*outage))
                over, before = time.monotonic(), set(callers.log.jobs)

                def goes_on(before: set[str] = before) -> bool:
                    new = set(callers.log.jobs) - before
                    told = [service.job(job) for job in list(new)[-3:]]
                    return callers.done or any(now and now["finished_at"] for now in told)

                until(goes_on, scale(CONSUMING_SECONDS, PATIENCE))
                consuming.append(round(time.monotonic() - over, 1))
        callers.join()
        closed(service, callers.log)
        record_property("faults", faults)
        record_property("seconds until a new change was done", consuming)
        record_property("slowest answer and slowest without waiting, seconds", (asking.slowest, asking.idle))
        record_property("statuses", {"callers": dict(callers.log.statuses), "asking": asking.statuses})
        assert (callers.log.unexpected, differences(service, callers.log)) == ([], [])
        assert set(asking.statuses) <= {0, 200, 202, 404, 429, 503}
        assert asking.idle <= told_seconds and asking.slowest <= told_seconds + asking.idle
