"""Jobs: how far they are, which of their changes failed, and waiting for them."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from lookalike.records import ENDS, Item, Job, job_of, of
from lookalike.retries import asked, pauses
from lookalike.steps import Pause, Request, Steps
from lookalike.wire import keyed, read, segment

FIRST_POLL = 0.05
LONGEST_POLL = 1.0


@dataclass(frozen=True, slots=True)
class Failure:
    """A change that was not sent: its picture cannot be read, or the service refuses it."""

    product_id: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Sent:
    """What has become of many changes: the jobs of those that were accepted, in their order.

    Attributes:
        jobs: As they were when they were accepted, or last waited for.
        key: Sent again with this key within a day, the same changes are these jobs.
        not_sent: How many changes were not sent.
        failures: The first 1,000 of them.
    """

    jobs: Sequence[Job]
    key: str
    not_sent: int = 0
    failures: Sequence[Failure] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the jobs are that are waited for: `done` of `total` changes have ended, as the other counts say. None of
    these ever goes back. `jobs` are those that have not finished."""

    total: int
    done: int
    applied: int
    unchanged: int
    superseded: int
    failed: int
    canceled: int
    jobs: Sequence[Job]


Watch: TypeAlias = Callable[[Progress], object]


class Jobs:
    """Asks for jobs; each method makes the steps of a question.

    Args:
        patience: Seconds in which a request is sent again.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience

    def get(self, job: str) -> Steps[Job]:
        return job_of((yield from asked(read(_path(job)), self._patience)))

    def page(self, cursor: str | None, catalog: str | None, state: str | None) -> Steps[Any]:
        return (
            yield from asked(read("/v1/jobs", {"cursor": cursor, "catalog": catalog, "state": state}), self._patience)
        )

    def items(self, job: str, cursor: str | None, state: str) -> Steps[Any]:
        params = {"state": state, "limit": 1000, "cursor": cursor}
        return (yield from asked(read(f"{_path(job)}/items", params), self._patience))

    def cancel(self, job: str) -> Steps[Job]:
        # Sent twice, it finds nothing more to cancel.
        request = Request("POST", f"{_path(job)}/cancel", is_safe=True)
        return job_of((yield from asked(request, self._patience)))

    def retry(self, job: str) -> Steps[Job]:
        request = Request("POST", f"{_path(job)}/retry", headers=keyed(None), is_safe=True)
        return job_of((yield from asked(request, self._patience)))

    def finished(self, begun: Sequence[Job | str], watch: Watch | None, timeout: float | None) -> Steps[list[Job]]:
        """Waits until all have finished. Raises `TimeoutError`; that, and what interrupts it, says where they stand."""
        until = None if timeout is None else time.monotonic() + timeout
        now: list[Job] = []
        try:
            for each in begun:
                now.append(each if isinstance(each, Job) else (yield from self.get(each)))
            for at in range(len(now)):
                for pause in pauses(FIRST_POLL, LONGEST_POLL):
                    if watch:
                        watch(progress_of(now))
                    if now[at].is_finished:
                        break
                    if until is not None and time.monotonic() + pause > until:
                        raise TimeoutError(f"After {timeout:g} s not all has ended.")
                    yield Pause(pause)
                    now[at] = yield from self.get(now[at].id)
        except BaseException as interruption:
            for line in standing(now):
                interruption.add_note(line)
            raise
        return now


def jobs_of(begun: Job | str | Sent) -> Sequence[Job | str]:
    """The jobs that are meant."""
    return begun.jobs if isinstance(begun, Sent) else [begun]


def ended(begun: Job | str | Sent, jobs: Sequence[Job]) -> Job | Sent:
    """The same as they have ended."""
    return replace(begun, jobs=tuple(jobs)) if isinstance(begun, Sent) else jobs[0]


def progress_of(jobs: Sequence[Job]) -> Progress:
    counts = {name: sum(getattr(job, name) for job in jobs) for name in ENDS}
    return Progress(
        total=sum((job.task.total or 0) if job.task else job.total for job in jobs),
        done=sum(job.done for job in jobs),
        jobs=[job for job in jobs if not job.is_finished],
        **counts,
    )


def standing(jobs: Iterable[Job]) -> list[str]:
    """Where jobs stand that go on without us, a line each."""
    return [
        f"Job {job.id} goes on in the service: {job.done:,} of {job.total:,} changes have ended. wait({job.id!r}) "
        f"waits again, cancel({job.id!r}) ends it."
        for job in jobs
        if not job.is_finished
    ][:10]


def item_of(json: Any) -> Item:
    return of(Item, json)


def _path(job: str) -> str:
    return f"/v1/jobs/{segment(job)}"
