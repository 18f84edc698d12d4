"""Routes of jobs, which report the outcomes of the changes of a request."""

from apiflask import APIBlueprint
from flask import Response, request
from werkzeug.http import quote_etag

from api.access.auth import asking, check_catalog, opened_by
from api.access.keys import Scope
from api.context import context
from api.ingest import Answer, awaited, retried
from api.openapi import handwritten
from api.openapi.document import more
from api.requests import models
from api.requests.body import target_sha
from api.responses import schemas
from api.responses.jobs import etag, to_schema
from services.errors import JobNotFound
from services.records import Item, State

bp = APIBlueprint("jobs", __name__, url_prefix="/v1/jobs", tag="Jobs")


@bp.get("")
@opened_by(Scope.INGEST)
@bp.doc(operation_id="list_jobs", extensions=more(503))
@bp.input(models.JobsPage, location="query", arg_name="page")
@bp.output(schemas.Jobs)
def scroll(page: models.JobsPage) -> schemas.Jobs:
    """List jobs, newest first

    A page may be shorter than `limit`; `next` is null on the last one.
    """
    if page.catalog is not None:
        check_catalog(page.catalog)
    since = page.since.timestamp() if page.since else 0.0
    jobs, cursor = context().ledger.jobs(
        catalog=page.catalog, state=page.state, since=since, after=page.cursor, limit=page.limit
    )
    return schemas.Jobs(jobs=[to_schema(job) for job in jobs if asking().reaches(job.catalog)], next=cursor)


@bp.get("/<segment:job>")
@opened_by(Scope.INGEST)
@bp.doc(
    operation_id="get_job",
    extensions=more(404, 429, 503, answers={304: handwritten.SEEN}, headers={"ETag": "Of its state, without rates."}),
)
@bp.input(models.JobWait, location="query", arg_name="asked")
@bp.output(schemas.Job)
def read(job: str, asked: models.JobWait) -> tuple[schemas.Job, int, dict[str, str]] | Response:
    """Read a job

    `applied`, `unchanged`, `superseded`, `failed` and `canceled` grow to `total` and never go back. A job of which
    some changes failed has succeeded, with `errors: true`.

    To follow one, send the `ETag` of the last answer as `If-None-Match`, with `wait`: the answer comes when the job
    differs, or is 304 where it does not until then.
    """
    _check(job)
    found = awaited(context(), job, request.if_none_match, asked.wait or 0.0)
    tag = etag(found)
    headers = {"ETag": quote_etag(tag, weak=True), "Cache-Control": "private, no-cache"}
    if request.if_none_match.contains_weak(tag):
        return Response(status=304, headers=headers)
    return to_schema(found), 200, headers


@bp.get("/<segment:job>/items")
@opened_by(Scope.INGEST)
@bp.doc(operation_id="list_items", extensions=more(404, 503))
@bp.input(models.ItemsPage, location="query", arg_name="page")
@bp.output(schemas.Items)
def items(job: str, page: models.ItemsPage) -> schemas.Items:
    """List the changes of a job that failed, or that have not ended

    A page may be shorter than `limit`; `next` is null on the last one.
    """
    _check(job)
    state = State.FAILED if page.state == "failed" else None
    found, cursor = context().ledger.items(job, state=state, after=page.cursor, limit=page.limit)
    return schemas.Items(items=[_item(item) for item in found], next=cursor)


@bp.post("/<segment:job>/cancel")
@opened_by(Scope.INGEST)
@bp.doc(operation_id="cancel_job", extensions=more(404, 503))
@bp.output(schemas.Job)
def cancel(job: str) -> schemas.Job:
    """Cancel the waiting changes of a job

    Changes that a worker is processing are finished. Repeating the request is harmless.
    """
    _check(job)
    return to_schema(context().ledger.cancel(job))


@bp.post("/<segment:job>/retry")
@opened_by(Scope.INGEST)
@bp.doc(
    operation_id="retry_job", extensions=more(404, 409, 429, 503, headers={"Location": "The new job."}, accepts=True)
)
@bp.output(schemas.Job, status_code=202)
def retry(job: str) -> Answer:
    """Retry the failed changes of a finished job

    The answer is a new job of those changes, each at its old version: newer changes win.
    """
    _check(job)
    return retried(job, target_sha().hexdigest())


def _check(id: str) -> None:
    """Raises `JobNotFound`, as for a missing job, if the caller's key does not cover the job's catalog."""
    if asking().catalogs is None:
        return
    try:
        reaches = asking().reaches(context().ledger.job(id).catalog)
    except JobNotFound:
        reaches = False
    if not reaches:
        raise JobNotFound(f"There is no job {id[:40]!r} of a catalog that this key is for.")


def _item(item: Item) -> schemas.Item:
    return schemas.Item(
        product_id=item.product_id,
        state="failed" if item.state is State.FAILED else None,
        code=item.code,
        message=item.message,
        image=item.image,
        line=item.line,
    )
