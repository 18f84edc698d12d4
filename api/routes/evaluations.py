"""The route that evaluates a catalog."""

from apiflask import APIBlueprint

from api.access.auth import opened_by
from api.access.keys import Scope
from api.context import context
from api.ingest import Answer, begun_task
from api.openapi.document import more
from api.requests import models
from api.requests.body import json_body, target_sha
from api.responses import schemas
from services.catalog.question import Question

bp = APIBlueprint("evaluations", __name__, url_prefix="/v1/catalogs/<segment:catalog>", tag="Generations")


@bp.post("/evaluate")
@opened_by(Scope.ADMIN)
@bp.doc(
    operation_id="evaluate",
    extensions=more(
        *(404, 409, 413, 415, 429, 503),
        body={"application/json": models.Evaluation},
        headers={"Location": "The job."},
        accepts=True,
        curl="""-X POST -H 'Content-Type: application/json' -d '{"labels": ["category"]}'""",
    ),
)
@bp.output(schemas.Job, status_code=202)
def post(catalog: str) -> Answer:
    """Evaluate generations, or a recipe, against labels

    The answer is a job that is a task. Its result has precision@1 (the accuracy of 1-NN), precision@5, precision@10 and
    mean average precision of each generation with 95% intervals, the differences to the live one, paired by query, also
    by value of the label, and the queries that got worse. Nothing is changed or stored.
    """
    digest = target_sha()
    question = _question(json_body(models.Evaluation))
    asked = question.parameters()
    digest.update(repr(sorted(asked.items())).encode())
    found = context().catalog(catalog)
    return begun_task(
        *(found, "evaluate", asked, digest.hexdigest()),
        check=lambda: question.check(context().catalogs.renewed(catalog)),
    )


def _question(wanted: models.Evaluation) -> Question:
    recipe = wanted.model_dump(include={"encoder", "weights", "resample", "features"}, exclude_none=True)
    return Question(
        labels=tuple(wanted.labels),
        group=wanted.group,
        generations=tuple(wanted.generations),
        recipe=recipe or None,
        sample=wanted.sample,
    ).checked()
