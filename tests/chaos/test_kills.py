"""A 202 is never lost, whatever is killed."""

import random
import signal
import time
from collections.abc import Callable

import numpy as np
import pytest
from chaos import Callers, Supervisor, closed, differences, open_jobs, really_encoded
from harness import Pictures, StackService
from waiting import PATIENCE, until

pytestmark = pytest.mark.long

OPEN_SECONDS = 120.0
"""After the last fault, until no job is open, on a machine that does nothing else: the full chaos runs alone."""


def test_nothing_accepted_is_lost_while_workers_broker_and_api_are_killed(
    make_stack: Callable[..., StackService],
    pictures: Pictures,
    rng: random.Random,
    scale: Callable[..., int],
    record_property: Callable[[str, object], None],
) -> None:
    """A random worker every few seconds, the broker and the API twice each."""
    products, kills, seconds = scale(10_000, 500), scale(64, 10), scale(320, 20)
    service = make_stack()
    service.start()
    service.create_catalog()
    stack, callers = service.stack, Callers(service, pictures, products, rng)
    victims = [f"worker-{rng.randint(1, 3)}" for _ in range(kills - 4)]
    for victim in ("redis", "api", "redis", "api"):
        victims.insert(rng.randrange(len(victims) + 1), victim)
    with Supervisor(service) as supervisor:
        callers.start(seconds)
        for victim in victims:
            time.sleep(seconds / kills * rng.uniform(0.5, 1.5))
            until(lambda victim=victim: stack.processes[victim].poll() is None)  # type: ignore[misc]
            assert stack.stop(victim, signal.SIGKILL) == -signal.SIGKILL
        last = time.monotonic()
        callers.join(900)
        closed(service, callers.log, max(1.0, scale(OPEN_SECONDS, PATIENCE) - (time.monotonic() - last)))
        record_property("seconds until no job was open after the last kill", round(time.monotonic() - last, 1))
        restarted = sum(supervisor.restarts.values())
    record_property("kills", dict(supervisor.restarts))
    record_property("statuses", dict(callers.log.statuses))
    assert (callers.log.unexpected, differences(service, callers.log)) == ([], [])
    assert restarted >= kills and len(callers.log.expected) == products // 4 * 4


def test_nothing_is_lost_with_the_real_encoder(
    make_stack: Callable[..., StackService], pictures: Pictures, rng: random.Random, scale: Callable[..., int]
) -> None:
    """Workers are killed while they load TensorFlow, or encode; vectors are those of one picture at a time."""
    kills = scale(20, 3)
    service = make_stack(2, worker=None)
    service.start()
    service.create_catalog(weights="random:1")
    callers = Callers(service, pictures, scale(2000, 160), rng)
    with Supervisor(service) as supervisor:
        callers.start(10 * kills)
        for _ in range(kills):
            time.sleep(10 * rng.uniform(0.5, 1.5))
            victim = f"worker-{rng.randint(1, 2)}"
            until(lambda victim=victim: service.stack.processes[victim].poll() is None)  # type: ignore[misc]
            assert service.stack.stop(victim, signal.SIGKILL) == -signal.SIGKILL
        callers.join()
        closed(service, callers.log)
        assert sum(supervisor.restarts.values()) >= kills
    vectors = really_encoded(seed for seed in callers.log.expected.values() if seed is not None)
    one, other, *_ = vectors.values()
    assert np.abs(one - other).max() > 1e-3  # what it tells apart is more than what it lets pass
    assert (callers.log.unexpected, differences(service, callers.log, vectors.__getitem__)) == ([], [])


def test_the_checker_sees_what_is_lost_wrong_or_there_too_often(
    make_stack: Callable[..., StackService], pictures: Pictures, rng: random.Random
) -> None:
    """The control: without faults there are no differences, and each that is made by hand is found."""
    service = make_stack(1)
    service.start()
    service.create_catalog()
    # Sixteen tens, each of which has a product deleted or not: one of them will.
    callers = Callers(service, pictures, 160, rng)
    callers.start()
    callers.join()
    closed(service, callers.log)
    log = callers.log
    assert differences(service, log) == []
    [there, gone] = [
        next(name for name, seed in log.expected.items() if (seed is None) is is_gone) for is_gone in (False, True)
    ]
    kept = dict(log.expected)
    for change, name in (
        ({"new": 1}, "new"),
        ({there: None}, there),
        ({there: 1}, there),
        ({gone: 1}, gone),
    ):
        log.expected = kept | change
        assert [each.partition(":")[0] for each in differences(service, log)] == [name]
    log.expected = {name: seed for name, seed in kept.items() if name != there}
    assert differences(service, log) == [f"{there}: in the index, and nobody has put it"]
    job = next(iter(log.jobs))
    log.jobs[job] += 1
    assert [each.partition(":")[0] for each in open_jobs(service, log)] == [job]
