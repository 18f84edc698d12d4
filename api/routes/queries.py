"""The route of queries: what is near several things at once, and away from others."""

from apiflask import APIBlueprint

from api.access.auth import opened_by
from api.access.keys import Scope
from api.context import context
from api.ingest import waiting
from api.openapi import handwritten
from api.openapi.document import more
from api.requests import navigation
from api.requests.query import asked, refused, to_query, urls_of
from api.responses import navigation as shown
from api.responses.neighbors import to_answer
from api.responses.pages import mark_of, offset_of, page_of
from services.hashes import sha256_of
from services.query.filters import written

bp = APIBlueprint("queries", __name__, url_prefix="/v1/catalogs/<segment:catalog>", tag="Search")


@bp.post("/query")
@opened_by(Scope.SEARCH)
@bp.doc(
    extensions=more(
        *(404, 409, 413, 415, 429, 503),
        body={"application/json": navigation.Query, "multipart/form-data": handwritten.QUERY_FORM},
        curl="-X POST -H 'Content-Type: application/json' "
        """-d '{"near": [{"product_id": "sneaker-12"}, {"product_id": "mug-3", "weight": -1}]}'""",
    )
)
@bp.output(shown.Answers)
def query(catalog: str) -> shown.Answers:
    """Find what is near several things at once, and away from others

    Terms are products, pictures, vectors and directions that the catalog has learned. `like` and `unlike` take
    examples; `near` takes terms with weights, of either sign. Products that are terms are no answers. Pictures are at
    URLs, or are parts of a form beside the part `query`.
    """
    wanted, pictures = asked(navigation.Query)
    if wanted.cursor is not None and wanted.offset:
        raise refused("cursor", "it stands in place of offset; give one of them")
    found = context().catalog(catalog)
    rest = wanted.model_dump_json(exclude={"cursor", "limit", "offset", "filter"})
    only = written(wanted.filter) if wanted.filter else ""
    mark = mark_of(rest, only, *(sha256_of(pictures[name]) for name in sorted(pictures)))
    offset = wanted.offset or offset_of(wanted.cursor, found.spec, mark)
    fetched: dict[str, bytes] = {}
    if urls := urls_of([*wanted.near, *wanted.like, *wanted.unlike]):
        with waiting(context(), "send the images themselves, or this later"):
            fetched = {url: context().fetch(url) for url in urls}
    question = to_query(wanted, pictures, fetched, offset)
    with context().timers.searches.labels("query").time():
        page = page_of(found, question, mark)
    return to_answer(*page)
