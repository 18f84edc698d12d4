"""A job as the API shows it."""

import time
from datetime import UTC, datetime
from hashlib import sha256

from api.responses import schemas
from services import records


def to_schema(job: records.Job) -> schemas.Job:
    """A job as the API shows it."""
    return schemas.Job(
        id=job.id,
        catalog=job.catalog,
        state=job.state,
        total=job.total,
        applied=job.applied,
        unchanged=job.unchanged,
        superseded=job.superseded,
        failed=job.failed,
        canceled=job.canceled,
        removed=job.removed,
        not_removed=job.not_removed,
        errors=job.errors,
        created_at=_written(job.created_at),
        started_at=_written(job.started_at) if job.started_at else None,
        finished_at=_written(job.finished_at) if job.finished_at else None,
        images_per_second=_rate(job, job.images),
        eta_seconds=_left(job, _rate(job, job.done - job.canceled)),
        columns=job.said.get("columns"),
        notes=job.said.get("notes"),
        task=_task(job.task) if job.task else None,
        waiting_for=waiting(job.waiting_for) if job.waiting_for else None,
    )


def etag(job: records.Job) -> str:
    """What differs where the job does, but for what time alone changes: rates, and what is left."""
    return sha256(repr(job).encode()).hexdigest()[:32]


def waiting(found: records.Waiting) -> schemas.Waiting:
    return schemas.Waiting(code=found.code, message=found.message, since=_written(found.since))


def _rate(job: records.Job, count: int) -> float | None:
    """So many a second since it was begun; None where there are none."""
    if job.started_at is None or not count:
        return None
    # The ledger's clock counts milliseconds, and a job may be done within one.
    elapsed = max((job.finished_at or time.time()) - job.started_at, 0.001)
    return round(count / elapsed, 2)


def _left(job: records.Job, rate: float | None) -> float | None:
    """Seconds until it is done; None where that is not known, or it is."""
    if job.finished_at is not None:
        return None
    if job.task:
        task = job.task
        if job.started_at is None or not task.done or task.total is None:
            return None
        return round((time.time() - job.started_at) / task.done * (task.total - task.done), 1)
    return round((job.total - job.done) / rate, 1) if rate else None


def _task(task: records.Task) -> schemas.Task:
    return schemas.Task(
        kind=task.kind,
        parameters=dict(task.parameters),
        done=task.done,
        total=task.total,
        result=None if task.result is None else dict(task.result),
        code=task.code,
        message=task.message,
    )


def _written(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
