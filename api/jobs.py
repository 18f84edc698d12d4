"""Jobs: what became of the changes of a request."""

import time
from datetime import UTC, datetime

from apiflask import APIBlueprint
from flask import g, url_for

from api import schemas
from api.context import context
from api.openapi import more
from services import records
from services.records import Item, State

bp = APIBlueprint("jobs", __name__, url_prefix="/v1/jobs", tag="Jobs")


@bp.get("")
@bp.doc(extensions=more(503))
@bp.input(schemas.JobsPage, location="query", arg_name="page")
@bp.output(schemas.Jobs)
def scroll(page: schemas.JobsPage) -> schemas.Jobs:
    """List jobs, newest first

    A page may be shorter than `limit`; `next` is null on the last one.
    """
    jobs, cursor = context().ledger.jobs(catalog=page.catalog, state=page.state, after=page.cursor, limit=page.limit)
    return schemas.Jobs(jobs=[shown(job) for job in jobs], next=cursor)


@bp.get("/<segment:job>")
@bp.doc(extensions=more(404, 503))
@bp.output(schemas.Job)
def read(job: str) -> schemas.Job:
    """Read a job

    `applied`, `unchanged`, `superseded`, `failed` and `canceled` grow to `total` and never go back. A job of which
    some changes failed has succeeded, with `errors: true`.
    """
    return shown(context().ledger.job(job))


@bp.get("/<segment:job>/items")
@bp.doc(extensions=more(404, 503))
@bp.input(schemas.ItemsPage, location="query", arg_name="page")
@bp.output(schemas.Items)
def items(job: str, page: schemas.ItemsPage) -> schemas.Items:
    """List the changes of a job that failed, or that have not ended

    A page may be shorter than `limit`; `next` is null on the last one.
    """
    state = State.FAILED if page.state == "failed" else None
    found, cursor = context().ledger.items(job, state=state, after=page.cursor, limit=page.limit)
    return schemas.Items(items=[_item(item) for item in found], next=cursor)


@bp.post("/<segment:job>/cancel")
@bp.doc(extensions=more(404, 503))
@bp.output(schemas.Job)
def cancel(job: str) -> schemas.Job:
    """Cancel what still waits of a job

    What a worker has in hand ends by itself. Again is harmless.
    """
    return shown(context().ledger.cancel(job))


@bp.post("/<segment:job>/retry")
@bp.doc(extensions=more(404, 409, 429, 503, headers={"Location": "The new job."}))
@bp.output(schemas.Job, status_code=202)
def retry(job: str) -> tuple[schemas.Job, int, dict[str, str]]:
    """Try again what failed of a finished job

    The answer is a new job of those changes, each at its old version: newer changes win.
    """
    here = context()
    again = here.ledger.retry(job, request_id=g.request_id)
    here.wake(again.total)
    return shown(again), 202, {"Location": url_for("jobs.read", job=again.id)}


def shown(job: records.Job) -> schemas.Job:
    """A job as the API shows it."""
    rate = _rate(job)
    left = job.total - job.done if job.finished_at is None else 0
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
        errors=job.errors,
        created_at=_written(job.created_at),
        started_at=_written(job.started_at) if job.started_at else None,
        finished_at=_written(job.finished_at) if job.finished_at else None,
        images_per_second=rate,
        eta_seconds=round(left / rate, 1) if rate and job.finished_at is None else None,
    )


def _rate(job: records.Job) -> float | None:
    if job.started_at is None or not job.done:
        return None
    # The ledger's clock counts milliseconds, and a job may be done within one.
    elapsed = max((job.finished_at or time.time()) - job.started_at, 0.001)
    return round(job.done / elapsed, 2)


def _item(item: Item) -> schemas.Item:
    return schemas.Item(
        product_id=item.product_id,
        state="failed" if item.state is State.FAILED else None,
        code=item.code,
        message=item.message,
        image=item.image,
    )


def _written(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
