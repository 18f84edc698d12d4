"""Killed in the middle of a job, the service and its Valkey, again and again: it goes on where it was."""

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
from harness import Pictures, Service, answer, assert_gone, children, picture
from waiting import until

FULL = (1000, {"service": (100, 260, 420, 580, 740), "valkey": (340, 860)})
SHORT = (300, {"service": (40, 160), "valkey": (100,)})
"""How many changes a job has, and how many of them are done when each is killed."""
ANSWER_SECONDS = 5.0
"""From a start to the first answer, on a machine that does nothing else: the full chaos runs alone."""

pytestmark = pytest.mark.long


def wait_for(service: Service, job: str, least: int) -> int:
    until(lambda: service.done(job) >= least, why=lambda: f"{service.done(job)} of {least}\n{service.log[-3000:]}")
    return service.done(job)


def test_a_job_is_whole_after_kills_of_the_service_and_of_its_valkey(
    service: Service,
    pictures: Pictures,
    scale: Callable[..., Any],
    record_property: Callable[[str, object], None],
) -> None:
    products, kills = scale(FULL, SHORT)
    for n in range(products):
        pictures.answers[f"/{n}.jpg"] = answer(picture(n))
    service.start()
    service.create_catalog()
    job = service.feed({"product_id": f"p{n}", "image_url": f"{pictures.url}/{n}.jpg"} for n in range(products))
    restarts, reached = [], 0
    for at, what in sorted((at, what) for what, ats in kills.items() for at in ats):
        reached = max(reached, wait_for(service, job, at))
        if what == "valkey":
            os.kill(service.valkey, signal.SIGKILL)
            continue
        assert service.process is not None
        family = children(service.process.pid)
        assert service.end(signal.SIGKILL) == -signal.SIGKILL
        assert_gone(family)
        started = time.monotonic()
        service.start()
        assert wait_for(service, job, 0) >= reached
        restarts.append(round(time.monotonic() - started, 2))
    record_property("restart to first answer, seconds", restarts)
    ended = service.finished(job)
    assert (ended["total"], ended["applied"], ended["failed"]) == (products, products, 0), ended
    assert max(restarts) <= scale(ANSWER_SECONDS, 300.0), restarts
    assert service.get("/catalogs/products")["products"] == products
    assert service.process is not None
    family = children(service.process.pid)
    assert service.end() == 0
    assert_gone(family)
