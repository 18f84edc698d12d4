"""Progress is exact: while workers and broker are killed, each count of a job only grows, and the sum is the total."""

import random
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
from chaos import Supervisor, grid
from harness import ENDS, Pictures, StackService, answer
from threads import Meanwhile
from waiting import until, until_stalled

pytestmark = pytest.mark.long

JOB = 100_000
PUTS_EVERY = 20
STALLED_SECONDS = 120


def line(number: int, url: str) -> dict[str, Any]:
    """One put of a picture in twenty changes; the others need none: half are removals of what is not there, which end
    well, and half are patches of what is not there, which fail."""
    change: dict[str, Any] = {"product_id": f"p{number}"}
    if number % PUTS_EVERY == 0:
        change["image_url"] = url
    elif number % 2:
        change["op"] = "delete"
    else:
        change |= {"op": "patch", "attributes": {"n": number}}
    return change


def failing(numbers: range) -> int:
    return sum(number % 2 == 0 and number % PUTS_EVERY != 0 for number in numbers)


class Watcher(Meanwhile):
    """Asks for the jobs all the time, and keeps what should not have been told."""

    def __init__(self, service: StackService, jobs: dict[str, int]) -> None:
        self.wrong: list[str] = []
        self.looks = 0
        self._service = service
        self._jobs = jobs
        self._before: dict[str, dict[str, Any]] = {}
        super().__init__(self._watch)

    def _watch(self) -> None:
        while not self.ended.wait(0.02):
            for job in list(self._jobs):
                if now := self._service.job(job):
                    self.look(job, now)

    def look(self, job: str, now: dict[str, Any]) -> None:
        """Judges what is told of a job now."""
        before = self._before.get(job, dict.fromkeys(ENDS, 0) | {"finished_at": None})
        ended = sum(now[name] for name in ENDS)
        if any(now[name] < before[name] for name in ENDS):
            self.wrong.append(f"{before} went back to {now}")
        if now["total"] != self._jobs[job] or ended > now["total"]:
            self.wrong.append(f"another sum: {now}")
        if (now["finished_at"] is not None) != (ended == now["total"]):
            self.wrong.append(f"finished, or not: {now}")
        if before["finished_at"] and now != before:
            self.wrong.append(f"changed after its end: {now}")
        self._before[job] = now
        self.looks += 1


def test_progress_is_exact(
    make_stack: Callable[..., StackService],
    pictures: Pictures,
    rng: random.Random,
    scale: Callable[..., int],
    record_property: Callable[[str, object], None],
) -> None:
    items, kills = scale(1_000_000, 10_000), scale(60, 5)
    service = make_stack(LOOKALIKE_LEASE_SECONDS="3")
    service.start()
    stack = service.stack
    pictures.answers["/1.png"] = answer(grid(1))
    jobs: dict[str, int] = {}
    numbers: dict[str, range] = {}
    service.create_catalog()
    began = time.monotonic()
    with Supervisor(service) as supervisor, Watcher(service, jobs) as watcher:
        for start in range(0, items, JOB):
            part = range(start, min(start + JOB, items))
            job = service.feed(line(number, f"{pictures.url}/1.png") for number in part)
            numbers[job], jobs[job] = part, len(part)
        for number in range(kills):
            time.sleep(scale(15, 2) * rng.uniform(0.5, 1.5))
            victim = "redis" if number % 10 == 2 else f"worker-{rng.randint(1, 3)}"
            until(lambda victim=victim: stack.processes[victim].poll() is None)  # type: ignore[misc]
            assert stack.stop(victim, signal.SIGKILL) == -signal.SIGKILL
            until(stack.is_ready)
        left = service.get("/stats")["waiting"]
        until_stalled(
            lambda: all((service.job(job) or {}).get("finished_at") for job in jobs),
            lambda: sum(service.done(job) for job in jobs),
            STALLED_SECONDS,
        )
        seconds = time.monotonic() - began
    told = {job: service.get(f"/jobs/{job}") for job in jobs}
    record_property("kills", dict(supervisor.restarts))
    record_property("looks, items a second", (watcher.looks, round(items / seconds)))
    assert watcher.wrong == []
    for job, part in numbers.items():
        found = told[job]
        assert (found["total"], found["failed"]) == (len(part), failing(part))
        assert found["applied"] + found["unchanged"] == len(part) - failing(part)
    assert sum(supervisor.restarts.values()) >= kills and left > 0 and watcher.looks > 50


def test_the_watcher_sees_what_goes_back_or_is_too_much(make_stack: Callable[..., StackService]) -> None:
    """The control."""
    told = dict.fromkeys(ENDS, 0) | {"total": 10, "finished_at": None}
    done = told | {"applied": 10, "finished_at": "now"}
    for steps, word in (
        ([told | {"applied": 5}, told | {"applied": 4, "failed": 1}], "back"),
        ([told | {"applied": 6, "failed": 5}], "sum"),
        ([told | {"total": 9}], "sum"),
        ([told | {"applied": 10}], "finished"),
        ([told | {"applied": 9, "finished_at": "now"}], "finished"),
        ([done, done | {"finished_at": "later"}], "changed"),
    ):
        watcher = Watcher(make_stack(), {"1": 10})
        for step in steps:
            watcher.look("1", step)
        assert len(watcher.wrong) == 1 and word in watcher.wrong[0], (steps, watcher.wrong)
    watcher = Watcher(make_stack(), {"1": 10})
    for step in (told, told | {"applied": 4}, told | {"applied": 4, "failed": 1}, done | {"applied": 9, "failed": 1}):
        watcher.look("1", step)
    assert watcher.wrong == []
