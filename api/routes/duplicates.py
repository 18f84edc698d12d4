"""Routes of duplicates: looking for them, the groups, and what is decided about each."""

from apiflask import APIBlueprint
from flask import Response

from api.access.auth import opened_by
from api.access.keys import Scope
from api.context import context
from api.ingest import Answer, begun_task
from api.openapi.document import more
from api.requests.body import json_body, target_sha
from api.requests.duplicates import DuplicatesDecision, DuplicatesPage
from api.responses import duplicates as shown
from api.responses import schemas
from services.explore.duplicate_groups import Groups, told

bp = APIBlueprint("duplicates", __name__, url_prefix="/v1/catalogs/<segment:catalog>", tag="Duplicates")


@bp.put("/duplicates")
@opened_by(Scope.ADMIN)
@bp.doc(
    operation_id="find_duplicates",
    extensions=more(404, 409, 429, 503, headers={"Location": "The job."}, accepts=True, curl="-X PUT"),
)
@bp.output(schemas.Job, status_code=202)
def put(catalog: str) -> Answer:
    """Look for duplicates

    Through the whole catalog the first time, and from then on for what is new. The answer is a job that is a task. Its
    result says how many groups there are; the list shows them while it goes on.
    """
    return begun_task(context().catalog(catalog), "duplicates", {}, target_sha().hexdigest())


@bp.get("/duplicates")
@opened_by(Scope.SEARCH)
@bp.doc(operation_id="list_duplicates", extensions=more(404, 503))
@bp.input(DuplicatesPage, location="query", arg_name="page")
@bp.output(shown.DuplicateGroups)
def scroll(catalog: str, page: DuplicatesPage) -> shown.DuplicateGroups:
    """List groups of duplicates

    Placeholders come first, then what is surest. They are what the last scan found, of the products as they are now.
    """
    found = (
        context()
        .catalog(catalog)
        .duplicates.page(
            decision=None if page.decision == "none" else page.decision,
            kind=page.kind,
            placeholder=page.placeholder,
            limit=page.limit,
            cursor=page.cursor,
        )
    )
    return _to_schema(found)


@bp.post("/duplicates/<segment:group>/decision")
@opened_by(Scope.ADMIN)
@bp.doc(
    operation_id="decide_duplicates",
    extensions=more(
        *(404, 413, 415, 429, 503),
        body={"application/json": DuplicatesDecision},
        curl="""-X POST -H 'Content-Type: application/json' -d '{"decision": "distinct"}'""",
    ),
)
@bp.output(shown.DuplicateGroup)
def decide(catalog: str, group: str) -> shown.DuplicateGroup:
    """Decide about a group of duplicates

    It is listed as open no more, as long as its products have these pictures and none comes that is a duplicate of one.
    No product is removed: `to_remove` says which are to go. Where the group has changed since it was listed, the answer
    is 404.
    """
    wanted = json_body(DuplicatesDecision)
    found = context().catalog(catalog).duplicates.decide(group, wanted.decision, wanted.keep)
    return shown.DuplicateGroup(**told(found))


@bp.delete("/duplicates/<segment:group>/decision")
@opened_by(Scope.ADMIN)
@bp.doc(operation_id="undo_decision", extensions=more(404, 503))
@bp.output({}, status_code=204)
def undo(catalog: str, group: str) -> Response:
    """Forget what was decided about a group of duplicates

    It is listed as open again.
    """
    context().catalog(catalog).duplicates.undo(group)
    return Response(status=204)


@bp.delete("/duplicates/decisions")
@opened_by(Scope.ADMIN)
@bp.doc(operation_id="forget_decisions", extensions=more(404, 409, 503))
@bp.output({}, status_code=204)
def forget(catalog: str) -> Response:
    """Forget all decisions where they have been lost

    It is the way out of a `decisions_not_found` where there is no backup. Decisions that are there are a 409.
    """
    context().catalog(catalog).duplicates.forget_decisions()
    return Response(status=204)


@bp.get("/products/<segment:product_id>/duplicates")
@opened_by(Scope.SEARCH)
@bp.doc(operation_id="list_product_duplicates", extensions=more(404, 503))
@bp.output(shown.Duplicates)
def of(catalog: str, product_id: str) -> shown.Duplicates:
    """List the duplicates of a product

    As they are at this moment, among its nearest products: no scan is needed.
    """
    found = context().catalog(catalog).duplicates.of(product_id)
    return shown.Duplicates(duplicates=[shown.Duplicate(**told(each)) for each in found])


def _to_schema(page: Groups) -> shown.DuplicateGroups:
    return shown.DuplicateGroups(
        groups=[shown.DuplicateGroup(**told(each)) for each in page.groups],
        total=page.total,
        next=page.next,
        products=page.products,
        found_at=page.found_at,
        complete=page.complete,
        stale=page.stale,
    )
