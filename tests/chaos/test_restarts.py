"""Restarts are free: SIGTERM under load, again and again."""

import random
import signal
import time
from collections.abc import Callable

import pytest
from chaos import Callers, closed, differences
from harness import Pictures, StackService

pytestmark = pytest.mark.long

EXIT_SECONDS = 30.0
"""On a machine that does nothing else: the full chaos runs alone."""


def test_restarts_are_free(
    make_stack: Callable[..., StackService],
    pictures: Pictures,
    rng: random.Random,
    scale: Callable[..., int],
    record_property: Callable[[str, object], None],
) -> None:
    """API, workers, Redis and the index end soon with status 0, and nothing that was accepted is lost."""
    restarts = scale(50, 5)
    service = make_stack(2, seconds_per_batch=2.0)
    stack = service.stack
    service.start()
    service.create_catalog()
    callers = Callers(service, pictures, scale(2000, 200), rng)
    callers.start(scale(200, 20))
    seconds: list[float] = []
    ends: list[tuple[str, int]] = []
    names = ["worker-1", "worker-2", "api", "redis"]
    for number in range(restarts):
        time.sleep(rng.uniform(0.5, 3.0))
        name = names[number % len(names)]
        began = time.monotonic()
        ends.append((name, stack.stop(name, signal.SIGTERM)))
        seconds.append(round(time.monotonic() - began, 1))
        stack.start(name)
    callers.join()
    closed(service, callers.log)
    record_property("seconds to end", seconds)
    record_property("statuses", dict(callers.log.statuses))
    assert max(seconds) <= scale(EXIT_SECONDS, 120.0) and {status for _, status in ends} == {0}, ends
    assert (callers.log.unexpected, differences(service, callers.log)) == ([], [])
