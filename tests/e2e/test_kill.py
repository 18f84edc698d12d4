"""Killed in the middle of a job, the service and its Valkey, again and again: it goes on where it was."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import Pictures, Service, answer, children, picture

PRODUCTS = 1000
KILLS = {"service": (100, 260, 420, 580, 740), "valkey": (340, 860)}

pytestmark = pytest.mark.long


def done(service: Service, job: str) -> int:
    """How many changes of the job have ended, as the service tells; -1 while it does not."""
    now = service.job(job)
    if now is None:
        return -1
    return int(sum(now[name] for name in ("applied", "unchanged", "superseded", "failed", "canceled")))


def wait_for(service: Service, job: str, least: int, deadline: float = 60) -> int:
    until = time.monotonic() + deadline
    while (now := done(service, job)) < least:
        assert time.monotonic() < until, f"{now} of {least}\n{service.log[-3000:]}"
        time.sleep(0.02)
    return now


def assert_gone(pids: list[int], deadline: float = 5) -> None:
    until = time.monotonic() + deadline
    while left := [pid for pid in pids if alive(pid)]:
        assert time.monotonic() < until, [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in left]
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_job_of_1000_is_whole_after_five_kills_of_the_service_and_two_of_its_valkey(
    service: Service, pictures: Pictures, record_property: Callable[[str, object], None]
) -> None:
    for n in range(PRODUCTS):
        pictures.answers[f"/{n}.jpg"] = answer(picture(n))
    lines = [json.dumps({"product_id": f"p{n}", "image_url": f"{pictures.url}/{n}.jpg"}) for n in range(PRODUCTS)]
    service.start()
    with service.client() as client:
        assert client.put("/catalogs/products", json={"encoder": "efficientnet_lite0"}).status_code == 201
        accepted = client.post(
            "/catalogs/products/products",
            content="\n".join(lines),
            headers={"Content-Type": "application/x-ndjson"},
        )
    assert accepted.status_code == 202, accepted.text
    job = accepted.json()["id"]
    kills = sorted((at, what) for what, ats in KILLS.items() for at in ats)
    restarts, reached = [], 0
    for at, what in kills:
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
        assert wait_for(service, job, 0, 5) >= reached
        restarts.append(round(time.monotonic() - started, 2))
    record_property("restart to first answer, seconds", restarts)
    ended = service.finished(job)
    assert (ended["total"], ended["applied"], ended["failed"]) == (PRODUCTS, PRODUCTS, 0), ended
    assert max(restarts) <= 5, restarts
    assert service.get("/catalogs/products")["products"] == PRODUCTS
    assert service.process is not None
    family = children(service.process.pid)
    assert service.end() == 0
    assert_gone(family)
