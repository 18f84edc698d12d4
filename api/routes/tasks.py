"""Routes that begin tasks: jobs that are no changes."""

from apiflask import APIBlueprint

from api.access.auth import opened_by
from api.access.keys import Scope
from api.context import context
from api.ingest import Answer, begun_task
from api.openapi.document import more
from api.requests.body import target_sha
from api.responses import schemas

bp = APIBlueprint("tasks", __name__, url_prefix="/v1/catalogs", tag="Tasks")


@bp.post("/<segment:catalog>/optimize")
@opened_by(Scope.ADMIN)
@bp.doc(
    operation_id="optimize",
    extensions=more(404, 409, 429, 503, headers={"Location": "The job."}, accepts=True, curl="-X POST"),
)
@bp.output(schemas.Job, status_code=202)
def optimize(catalog: str) -> Answer:
    """Build the search graph

    The answer is a job that is a task; `result` of its `task` says whether there was anything to build. Searches and
    changes go on meanwhile. While a graph of the catalog is being built, the answer is that job. A Qdrant server builds
    its graph by itself.
    """
    return begun_task(context().catalog(catalog), "graph", {}, target_sha().hexdigest())
