"""The route of facets: what the products that pass a filter have for attributes."""

from apiflask import APIBlueprint

from api.access.auth import opened_by
from api.access.keys import Scope
from api.context import context
from api.openapi.document import more
from api.requests import lists
from api.requests.body import json_body
from api.responses import schemas
from api.responses.facets import to_schemas
from api.responses.warnings import warned

bp = APIBlueprint("facets", __name__, url_prefix="/v1/catalogs/<segment:catalog>", tag="Products")


@bp.post("/facets")
@opened_by(*Scope)
@bp.doc(
    operation_id="count_facets",
    extensions=more(
        *(404, 413, 415, 503),
        body={"application/json": lists.FacetsQuestion},
        curl="""-H 'Content-Type: application/json' -d '{"attributes": ["color", "price"]}'""",
    ),
)
@bp.output(schemas.Facets)
def post(catalog: str) -> schemas.Facets:
    """Count products by their attributes

    Of those that pass the filter: the most frequent values of keywords, integers and bools; of integers and floats the
    smallest and largest number and a histogram.
    """
    question = json_body(lists.FacetsQuestion)
    found = context().catalog(catalog)
    facets = found.attribute_facets(question.attributes, limit=question.limit, filter=question.filter)
    is_empty = all(each.is_empty for each in facets)
    return schemas.Facets(facets=to_schemas(facets), warnings=warned(found, question.filter) if is_empty else [])
