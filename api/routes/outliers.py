"""Routes of outliers: products that are unlike their own label, and products that nothing is alike."""

from apiflask import APIBlueprint

from api.access.auth import opened_by
from api.access.keys import Scope
from api.context import context
from api.ingest import Answer, begun_task
from api.openapi.document import more
from api.requests.body import json_body, target_sha
from api.requests.outliers import OutliersPage, WantedOutliers
from api.responses import outliers as shown
from api.responses import schemas
from services.errors import InvalidInput

bp = APIBlueprint("outliers", __name__, url_prefix="/v1/catalogs/<segment:catalog>", tag="Findings")


@bp.put("/outliers")
@opened_by(Scope.ADMIN)
@bp.doc(
    operation_id="find_outliers",
    extensions=more(
        *(404, 409, 413, 415, 429, 503),
        body={"application/json": WantedOutliers},
        headers={"Location": "The job."},
        accepts=True,
        curl="""-X PUT -H 'Content-Type: application/json' -d '{"label": "category"}'""",
    ),
)
@bp.output(schemas.Job, status_code=202)
def put(catalog: str) -> Answer:
    """Look through the catalog for outliers

    Products that are unlike their own label, or isolated ones, which nothing in the catalog is alike. The answer is a
    job that is a task; `GET` shows what it found, which takes the place of the list before.
    """
    digest = target_sha()
    wanted = json_body(WantedOutliers)
    digest.update(repr(wanted.label).encode())
    found = context().catalog(catalog)
    kind = "outliers" if wanted.label is None else f"outliers:{wanted.label}"
    return begun_task(
        *(found, kind, {"label": wanted.label}, digest.hexdigest()),
        check=lambda: found.outliers.check(wanted.label),
    )


@bp.get("/outliers")
@opened_by(Scope.SEARCH)
@bp.doc(operation_id="get_outliers", extensions=more(404, 409, 503))
@bp.input(OutliersPage, location="query", arg_name="page")
@bp.output(shown.Outliers)
def read(catalog: str, page: OutliersPage) -> shown.Outliers:
    """List the outliers that were found

    The most unusual first, without products that have gone since, or that have another label or picture now. `next` is
    null on the last page.
    """
    if (page.label is None) is not page.isolated:
        raise InvalidInput("label: give exactly one of label, isolated.")
    found = context().catalog(catalog).outliers.page(page.label, value=page.value, limit=page.limit, cursor=page.cursor)
    return shown.Outliers(**{**found, "outliers": [shown.Outlier(**each) for each in found["outliers"]]})
