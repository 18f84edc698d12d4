"""At whatever point of the work a process dies, or the work raises, what was accepted converges."""

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from chaos import Callers, Log, Supervisor, closed, differences, ordered, under_orders
from harness import Pictures, StackService
from waiting import until

from services.failpoints import POINTS

pytestmark = pytest.mark.long


def test_every_crash_point_is_safe(
    make_stack: Callable[..., StackService],
    pictures: Pictures,
    rng: random.Random,
    scale: Callable[..., int],
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """Whichever process comes first to the point is killed there, under load."""
    times = scale(5, 1)
    service, orders = make_stack(2), tmp_path / "orders"
    under_orders(service, orders)
    service.start()
    service.create_catalog()
    # Those of removals are for test_sync_kills.py: these callers remove nothing together.
    plan = [point for point in POINTS if point not in ("decide", "remove", "removed", "end_removal")] * times
    rng.shuffle(plan)
    rounds, log, ended = [], Log(), threading.Event()

    def load() -> None:
        """Goes on until every point was reached. Who asked a process that died may have to repeat for half a minute,
        and the others do not wait for that."""
        while not ended.wait(0.5):
            if sum(not each.done for each in rounds) < 8:
                rounds.append(Callers(service, pictures, 40, rng, prefix=f"{len(rounds)}-", log=log))
                rounds[-1].start(30)

    with Supervisor(service) as supervisor:
        thread = threading.Thread(target=load, daemon=True)
        thread.start()
        for point in plan:
            time.sleep(rng.uniform(0, 0.3))
            ordered(orders, point)
            until(lambda: not orders.exists())
        ended.set()
        thread.join()
        for each in rounds:
            each.join()
        # What died with two workers runs alone, and after sixty kills that is nearly all there is.
        closed(service, log)
    killed = len(list(tmp_path.glob("orders.*")))
    record_property("kills", dict(supervisor.restarts))
    record_property("statuses", dict(log.statuses))
    assert (log.unexpected, differences(service, log), killed) == ([], [], len(plan))
