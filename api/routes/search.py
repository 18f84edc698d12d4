"""Routes of search: products that look like a product, an image or a vector."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Callable
from hashlib import sha256

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
from api.requests import models, strict_json
from api.requests.body import MAX_JSON, checked, json_body, unsupported
from api.requests.images import is_picture, picture_body, picture_form
from api.responses import schemas
from api.responses.neighbors import to_schemas
from api.responses.warnings import warned
from services.catalog.catalog import Catalog
from services.descriptions import CatalogSpec
from services.errors import GenerationChanged
from services.query.query import MAX_LIMIT
from services.records import Neighbor

bp = APIBlueprint("search", __name__, url_prefix="/v1/catalogs/<segment:catalog>", tag="Search")

Options = models.NeighborsPage | models.SearchOptions
WAYS = ("product_id", "image_url", "vector")


@bp.get("/products/<segment:product_id>/neighbors")
@opened_by(Scope.SEARCH)
@bp.doc(extensions=more(404, 503))
@bp.input(models.NeighborsPage, location="query", arg_name="page")
@bp.output(schemas.Neighbors)
def neighbors(catalog: str, product_id: str, page: models.NeighborsPage) -> schemas.Neighbors:
    """Find what looks like a product

    Best first, without the product itself. `next` is null on the last page.
    """
    return _by_product(context().catalog(catalog), product_id, page)


@bp.post("/search")
@opened_by(Scope.SEARCH)
@bp.doc(
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
    )
)
@bp.input(models.NeighborsPage, location="query", arg_name="page")
@bp.output(schemas.Neighbors)
def search(catalog: str, page: models.NeighborsPage) -> schemas.Neighbors:
    """Find what looks like a product, a picture or a vector

    As JSON with one of `product_id`, `image_url` and `vector`; as a form with the part `image` and, in the part
    `query`, the same JSON without these; or with the image as the body, and then only the parameters of the URL say
    more. An image that cannot be fetched or read is a 422 whose `code` says why.
    """
    found = context().catalog(catalog)
    if is_picture(request.mimetype):
        return _by_picture(found, picture_body()[0], page)
    if request.args:
        name = next(iter(request.args))
        raise _refused(name, "parameters of the URL go with an image as the body; write it into the JSON")
    if request.mimetype == "application/json":
        return _by_json(found, json_body(models.Search))
    if request.mimetype != "multipart/form-data":
        raise unsupported("application/json", "multipart/form-data", "image/*")
    parts, _ = picture_form({"query": MAX_JSON})
    if "image" not in parts:
        raise _refused("image", "the form needs this part, with the file")
    options = checked(models.SearchOptions, strict_json.parsed(parts.get("query", b"{}"), "query"))
    return _by_picture(found, parts["image"], options)


def _by_json(catalog: Catalog, wanted: models.Search) -> schemas.Neighbors:
    if len(ways := [way for way in WAYS if getattr(wanted, way) is not None]) != 1:
        raise _refused(ways[1] if ways else WAYS[0], f"give exactly one of {', '.join(WAYS)}")
    if wanted.product_id is not None:
        return _by_product(catalog, wanted.product_id, wanted)
    if wanted.image_url is not None:
        with waiting(context(), "send the image itself, or this later"):
            picture = context().fetch(wanted.image_url)
        return _by_picture(catalog, picture, wanted)
    with np.errstate(over="ignore"):
        vector = np.array(wanted.vector, np.float32)
    return _page("vector", catalog, wanted, lambda **options: catalog.search(vector, **options))


def _by_product(catalog: Catalog, product_id: str, options: Options) -> schemas.Neighbors:
    return _page("product_id", catalog, options, lambda **those: catalog.neighbors(product_id, **those))


def _by_picture(catalog: Catalog, picture: bytes, options: Options) -> schemas.Neighbors:
    return _page("image", catalog, options, lambda **those: catalog.search_image(picture, **those))


def _page(by: str, catalog: Catalog, options: Options, find: Callable[..., list[Neighbor]]) -> schemas.Neighbors:
    """A page and the cursor of the next. Requests one neighbor more than the page has, to know if there is a next."""
    offset = _offset(options, catalog.spec)
    limit = min(options.limit + 1, MAX_LIMIT)
    with context().timers.searches.labels(by).time():
        found = find(
            limit=limit,
            offset=offset,
            filter=options.filter,
            min_score=options.min_score,
            color_weight=options.color_weight,
            rerank=options.rerank,
        )
    end = offset + options.limit
    # A later page may be empty only because the one before was the last.
    is_empty = not found and options.filter is not None and not (offset and catalog.count(options.filter))
    goes_on = len(found) >= limit and end <= models.MAX_OFFSET
    return schemas.Neighbors(
        neighbors=to_schemas(found[: options.limit]),
        next=_cursor(end, catalog.spec) if goes_on else None,
        warnings=warned(catalog, options.filter) if is_empty else [],
    )


def _offset(options: Options, spec: CatalogSpec) -> int:
    if options.cursor is None:
        return options.offset
    if options.offset:
        raise _refused("cursor", "it stands in place of offset; give one of them")
    try:
        text = urlsafe_b64decode(options.cursor.encode() + b"==").decode("ascii")
    except (Error, ValueError):
        text = ""
    found = re.fullmatch(r"o([0-9]{1,6})g([0-9a-f]{8})", text)
    if not found or (offset := int(found[1])) > models.MAX_OFFSET:
        raise _refused("cursor", "it is invalid; take `next` of the previous page")
    if found[2] != _mark(spec):
        raise GenerationChanged(
            f"Another generation of catalog {spec.name} has become the live one since the page before, and ranks "
            "products differently: begin again without a cursor."
        )
    return offset


def _cursor(offset: int, spec: CatalogSpec) -> str:
    return urlsafe_b64encode(f"o{offset}g{_mark(spec)}".encode()).decode().rstrip("=")


def _mark(spec: CatalogSpec) -> str:
    """What tells a catalog's generations apart."""
    return sha256(spec.generation.encode()).hexdigest()[:8]


def _refused(field: str, why: str) -> RequestInvalid:
    return RequestInvalid([Fault(f"{field}: {why}.", RequestInvalid.code, field)])
