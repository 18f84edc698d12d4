"""The route of queries: what is near several things at once, and away from others."""

from collections.abc import Mapping

from apiflask import APIBlueprint

from api.access.auth import opened_by
from api.access.keys import Scope
from api.context import context
from api.openapi import handwritten
from api.openapi.document import more
from api.requests import browsers, navigation
from api.requests.query import asked, refused, to_query
from api.responses import navigation as shown
from api.responses.links import Signing
from api.responses.neighbors import to_answer
from api.responses.pages import ground_of, mark_of, offset_of, page_of
from api.routes.pictures import fetched
from services.hashes import sha256_of
from services.query.filters import written

bp = APIBlueprint("queries", __name__, url_prefix="/v1/catalogs/<segment:catalog>", tag="Search")


@bp.post("/query")
@opened_by(Scope.SEARCH)
@bp.doc(
    operation_id="query",
    extensions=more(
        *(404, 409, 413, 415, 429, 503),
        body={"application/json": navigation.Query, "multipart/form-data": handwritten.QUERY_FORM},
        curl="-X POST -H 'Content-Type: application/json' "
        """-d '{"near": [{"product_id": "sneaker-12"}, {"product_id": "mug-3", "weight": -1}]}'""",
    ),
)
@bp.input(browsers.Signs, location="query", arg_name="options")
@bp.output(shown.Answers)
def query(catalog: str, options: browsers.Signs) -> shown.Answers:
    """Find what is near several things at once, and away from others

    Terms are products, pictures, vectors and directions that the catalog has learned. `like` and `unlike` take
    examples; `near` takes terms with weights, of either sign. Products that are terms are no answers. Pictures are at
    URLs, or are parts of a form beside the part `query`.
    """
    wanted, pictures = asked(navigation.Query)
    if wanted.cursor is not None:
        for name in ("offset", "group_by", "diversity"):
            if getattr(wanted, name):
                raise refused("cursor", f"it goes with no {name}; leave one of them out")
    found = context().catalog(catalog)
    mark = _mark(wanted, pictures)
    directions = [each.direction for each in wanted.near if each.direction is not None]
    offset = wanted.offset or offset_of(wanted.cursor, found.spec, mark, ground_of(found, directions))
    # What is wrong with it is said before anything is fetched.
    to_query(wanted, pictures, None, offset).checked()
    question = to_query(wanted, pictures, fetched([*wanted.near, *wanted.like, *wanted.unlike]), offset)
    with context().timers.searches.labels("query").time():
        page = page_of(found, question, mark, directions)
    return to_answer(*page, Signing(catalog, options.sign))


def _mark(wanted: navigation.Query, pictures: Mapping[str, bytes]) -> str:
    """What tells this query from others, whichever page of it is asked for."""
    rest = wanted.model_dump_json(exclude={"cursor", "limit", "offset", "filter"})
    filter = written(wanted.filter) if wanted.filter else ""
    return mark_of(rest, filter, *(sha256_of(pictures[name]) for name in sorted(pictures)))
