"""Routes of search: products that look like a product, an image or a vector."""

from typing import TypeVar

import numpy as np
from apiflask import APIBlueprint
from flask import request

from api.access.auth import opened_by
from api.access.keys import Scope
from api.context import context
from api.errors import Fault, RequestInvalid
from api.ingest import waiting
from api.openapi import handwritten
from api.openapi.document import more
from api.requests import browsers, models, strict_json
from api.requests.body import MAX_JSON, checked, json_body, unsupported
from api.requests.images import is_picture, picture_body, picture_form
from api.responses import schemas
from api.responses.links import Signing
from api.responses.neighbors import to_schemas
from api.responses.pages import offset_of, page_of
from services.catalog.catalog import Catalog
from services.query.query import Query
from services.query.terms import ImageTerm, Operand, ProductTerm, Term, VectorTerm

bp = APIBlueprint("search", __name__, url_prefix="/v1/catalogs/<segment:catalog>", tag="Search")

Options = models.NeighborsPage | models.SearchOptions
SearchJson = TypeVar("SearchJson", bound=models.SearchOptions)
WAYS = ("product_id", "image_url", "vector")


@bp.get("/products/<segment:product_id>/neighbors")
@opened_by(Scope.SEARCH)
@bp.doc(operation_id="get_neighbors", extensions=more(404, 503))
@bp.input(browsers.SignedNeighborsPage, location="query", arg_name="page")
@bp.output(schemas.Neighbors)
def neighbors(catalog: str, product_id: str, page: browsers.SignedNeighborsPage) -> schemas.Neighbors:
    """Find what looks like a product

    Best first, without the product itself. `next` is null on the last page.
    """
    return _page("product_id", context().catalog(catalog), page, ProductTerm(product_id), page.sign)


@bp.post("/search")
@opened_by(Scope.SEARCH)
@bp.doc(
    operation_id="search",
    extensions=more(
        *(404, 413, 415, 429, 503),
        body={
            "application/json": models.Search,
            "multipart/form-data": handwritten.SEARCH_FORM,
            "image/*": handwritten.IMAGE,
            "application/octet-stream": handwritten.IMAGE,
        },
        models=(models.SearchOptions,),
        curl="-H 'Content-Type: image/jpeg' --data-binary @shoe.jpg",
        query="?limit=5",
    ),
)
@bp.input(browsers.SignedNeighborsPage, location="query", arg_name="page")
@bp.output(schemas.Neighbors)
def search(catalog: str, page: browsers.SignedNeighborsPage) -> schemas.Neighbors:
    """Find what looks like a product, a picture or a vector

    As JSON with one of `product_id`, `image_url` and `vector`; as a form with the part `image` and, in the part
    `query`, the same JSON without these; or with the image as the body. Parameters of the URL say the rest, with each
    of these; what the JSON says already, they may not say. An image that cannot be fetched or read is a 422 whose
    `code` says why.
    """
    found = context().catalog(catalog)
    if is_picture(request.mimetype):
        return _page("image", found, page, ImageTerm(picture_body()[0]), page.sign)
    if request.mimetype == "application/json":
        return _by_json(found, _with(page, json_body(models.Search)), page.sign)
    if request.mimetype != "multipart/form-data":
        raise unsupported("application/json", "multipart/form-data", "image/*")
    parts, _ = picture_form({"query": MAX_JSON})
    if "image" not in parts:
        raise _refused("image", "the form needs this part, with the file")
    options = checked(models.SearchOptions, strict_json.parsed(parts.get("query", b"{}"), "query"))
    return _page("image", found, _with(page, options), ImageTerm(parts["image"]), page.sign)


def _with(page: models.NeighborsPage, options: SearchJson) -> SearchJson:
    """The options with those of the URL. Raises `RequestInvalid` for one that both have."""
    given = page.model_fields_set - {"sign"}
    for name in sorted(given & options.model_fields_set):
        raise _refused(name, "it is in the URL and in the JSON; leave one of them out")
    return options.model_copy(update={name: getattr(page, name) for name in given})


def _by_json(catalog: Catalog, wanted: models.Search, sign: int | None) -> schemas.Neighbors:
    if len(ways := [way for way in WAYS if getattr(wanted, way) is not None]) != 1:
        raise _refused(ways[1] if ways else WAYS[0], f"give exactly one of {', '.join(WAYS)}")
    if wanted.product_id is not None:
        return _page("product_id", catalog, wanted, ProductTerm(wanted.product_id), sign)
    if wanted.image_url is not None:
        with waiting(context(), "send the image itself, or this later"):
            picture = context().fetch(wanted.image_url)
        return _page("image", catalog, wanted, ImageTerm(picture), sign)
    with np.errstate(over="ignore"):
        vector = np.array(wanted.vector, np.float32)
    return _page("vector", catalog, wanted, VectorTerm(vector), sign)


def _page(by: str, catalog: Catalog, options: Options, operand: Operand, sign: int | None) -> schemas.Neighbors:
    """What is near a product, a picture or a vector; `by` says which, for the metrics."""
    if options.cursor is not None and options.offset:
        raise _refused("cursor", "it stands in place of offset; give one of them")
    query = Query(
        near=(Term(operand),),
        limit=options.limit,
        offset=options.offset or offset_of(options.cursor, catalog.spec),
        filter=options.filter,
        min_score=options.min_score,
        color_weight=options.color_weight,
        rerank=options.rerank,
    )
    with context().timers.searches.labels(by).time():
        answer, next, warnings = page_of(catalog, query)
    shown = to_schemas(answer.neighbors, Signing(catalog.spec.name, sign))
    return schemas.Neighbors(neighbors=shown, good=answer.good, next=next, warnings=warnings)


def _refused(field: str, why: str) -> RequestInvalid:
    return RequestInvalid([Fault(f"{field}: {why}.", RequestInvalid.code, field)])
