"""Routes of directions: named axes of meaning, the catalog in their order, and paths between products."""

from apiflask import APIBlueprint
from flask import Response

from api.access.auth import opened_by
from api.access.keys import Scope
from api.context import context
from api.ingest import Answer, begun_task
from api.openapi import handwritten
from api.openapi.document import more
from api.requests import navigation
from api.requests.body import json_body, target_sha
from api.requests.query import asked, to_example
from api.responses import navigation as shown
from api.responses import schemas
from api.responses.neighbors import to_answer
from api.responses.pages import ground_of, mark_of, offset_of, page_of
from api.responses.warnings import warned
from api.routes.pictures import fetched
from services.catalog.axis import along
from services.catalog.definition import Definition, Side
from services.catalog.directions import told
from services.query.filters import written
from services.query.query import Query
from services.query.terms import DirectionTerm, Term

bp = APIBlueprint("directions", __name__, url_prefix="/v1/catalogs/<segment:catalog>", tag="Directions")


@bp.get("/directions")
@opened_by(Scope.SEARCH)
@bp.doc(operation_id="list_directions", extensions=more(404, 503))
@bp.output(shown.Directions)
def scroll(catalog: str) -> shown.Directions:
    """List the directions of a catalog

    By name, all on one page, with how good each is.
    """
    found = context().catalog(catalog).directions.all()
    return shown.Directions(directions=[shown.Direction(**told(each)) for each in found])


@bp.put("/directions/<segment:name>")
@opened_by(Scope.ADMIN)
@bp.doc(
    operation_id="put_direction",
    extensions=more(
        *(404, 409, 413, 415, 429, 503),
        body={"application/json": navigation.NewDirection},
        headers={"Location": "The job."},
        accepts=True,
        curl="-X PUT -H 'Content-Type: application/json' "
        """-d '{"toward": {"filter": {"must": [{"key": "pattern", "match": {"value": "floral"}}]}}}'""",
    ),
)
@bp.output(schemas.Job, status_code=202)
def put(catalog: str, name: str) -> Answer:
    """Learn a direction

    From two sets of products. The answer is a job that is a task; its result is the direction. It takes the place of
    one with this name. It fails as `direction_weak` where it hardly tells its own examples apart, and as
    `too_few_examples`. When the catalog has changed much it is learned anew.
    """
    digest = target_sha()
    wanted = json_body(navigation.NewDirection)
    found = context().catalog(catalog)
    definition = Definition(
        toward=_side(wanted.toward),
        away_from=None if wanted.away_from is None else _side(wanted.away_from),
        within=wanted.within,
        color_weight=wanted.color_weight,
        force=wanted.force,
    )
    definition = found.directions.checked(name, definition)
    parameters = {"name": name, "definition": definition.json()}
    digest.update(repr(parameters).encode())
    return begun_task(found, f"direction:{name}", parameters, digest.hexdigest())


@bp.get("/directions/<segment:name>")
@opened_by(Scope.SEARCH)
@bp.doc(operation_id="get_direction", extensions=more(404, 503))
@bp.output(shown.DefinedDirection)
def read(catalog: str, name: str) -> shown.DefinedDirection:
    """Read a direction, and what it is learned from

    The two sides are told as they were given.
    """
    kept, definition = context().catalog(catalog).directions.get(name)
    return shown.DefinedDirection(
        **told(kept),
        toward=shown.DirectionSide(**definition.toward.json()),
        away_from=None if definition.away_from is None else shown.DirectionSide(**definition.away_from.json()),
        within=definition.within,
    )


@bp.delete("/directions/<segment:name>")
@opened_by(Scope.ADMIN)
@bp.doc(operation_id="delete_direction", extensions=more(404, 503))
@bp.output({}, status_code=204)
def remove(catalog: str, name: str) -> Response:
    """Forget a direction

    Queries that name it are refused from now on.
    """
    context().catalog(catalog).directions.remove(name)
    return Response(status=204)


@bp.get("/directions/<segment:name>/axis")
@opened_by(Scope.SEARCH)
@bp.doc(operation_id="get_axis", extensions=more(404, 409, 503))
@bp.input(navigation.AxisPage, location="query", arg_name="page")
@bp.output(shown.Answers)
def axis(catalog: str, name: str, page: navigation.AxisPage) -> shown.Answers:
    """Order the catalog, or a part of it, along a direction

    What has most of it comes first; with `reverse` what has least. `next` is null on the last page.
    """
    found = context().catalog(catalog)
    weight = -1.0 if page.reverse else 1.0
    mark = mark_of(name, str(weight), written(page.filter) if page.filter else "")
    query = Query(
        near=(Term(DirectionTerm(name), weight),),
        filter=page.filter,
        limit=page.limit,
        offset=offset_of(page.cursor, found.spec, mark, ground_of(found, [name])),
    )
    answer, next, warnings = page_of(found, query, mark, [name])
    return to_answer(along(answer, reverse=page.reverse), next, warnings)


@bp.post("/path")
@opened_by(Scope.SEARCH)
@bp.doc(
    operation_id="find_path",
    extensions=more(
        *(404, 413, 415, 429, 503),
        body={"application/json": navigation.Path, "multipart/form-data": handwritten.PATH_FORM},
        curl="-X POST -H 'Content-Type: application/json' "
        """-d '{"start": {"product_id": "sneaker-12"}, "end": {"product_id": "boot-3"}}'""",
    ),
)
@bp.output(shown.Answers)
def path(catalog: str) -> shown.Answers:
    """Find products that lead from one look to another

    In even steps, no two the same, the ends left out. These are products, or pictures as in a query.
    """
    wanted, pictures = asked(navigation.Path)
    found = context().catalog(catalog)
    sent = fetched([wanted.start, wanted.end])
    ends = [to_example(name, getattr(wanted, name), pictures, sent) for name in ("start", "end")]
    with context().timers.searches.labels("path").time():
        answer = found.path(*(ends[0], ends[1], wanted.steps), filter=wanted.filter, color_weight=wanted.color_weight)
    return to_answer(answer, None, [] if answer.neighbors else warned(found, wanted.filter))


def _side(wanted: navigation.Side) -> Side:
    return Side(wanted.filter, tuple(wanted.product_ids or ()))
