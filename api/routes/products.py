"""Routes of products: put, patch and delete, one or many at a time; read and list."""

from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any

from apiflask import APIBlueprint
from flask import Response, jsonify, request

from api.access.auth import opened_by
from api.access.keys import Scope
from api.context import context
from api.errors import Fault, RequestInvalid
from api.ingest import Answer, accepted, begun, ended, idempotency_key
from api.openapi import handwritten
from api.openapi.document import more
from api.requests import browsers, csv_feed, feed, lists, models, strict_json
from api.requests.body import EXPANSION, MAX_JSON, Body, checked, json_body, unsupported
from api.requests.csv_feed import TABLES
from api.requests.images import missing
from api.requests.single_change import one_change
from api.responses import schemas
from api.responses.facets import to_schemas
from api.responses.links import Signing
from api.responses.warnings import warned
from services.catalog.removal import LINES_WITHOUT_ID, MAX_REMOVED, checked_filter
from services.kinds import Kinds
from services.ledger import Named, Refusal, Removal
from services.query.filters import written
from services.records import Change, ChangeKind, Product

bp = APIBlueprint("products", __name__, url_prefix="/v1/catalogs/<segment:catalog>/products", tag="Products")

LINES = ("application/x-ndjson", "application/jsonl", "application/ndjson")
MAX_ARRAY = 32_000_000
"""Maximum bytes of a feed that is one JSON array, since it is held in memory as a whole."""

JOB = "Accepted: the job reports the outcome."
WAITED = {200: ("With `wait`: it has ended well.", {"application/json": schemas.Job})}
LOCATION = {"Location": "The job."}


@bp.get("")
@opened_by(*Scope)
@bp.doc(operation_id="list_products", extensions=more(404, 503))
@bp.input(lists.ProductsPage, location="query", arg_name="page")
@bp.output(schemas.Products)
def scroll(catalog: str, page: lists.ProductsPage) -> schemas.Products:
    """List products, in an order of the index's own or by a number

    `next` is null on the last page. A product that is there from the first page to the last, with the same number if
    they are sorted, is shown once. A cursor of a sorted list goes with its `sort` and `filter`.
    """
    found = context().catalog(catalog)
    keys = lists.between_commas(request.args.getlist("facets"))
    products, cursor = found.scroll(after=page.cursor, limit=page.limit, filter=page.filter, sort=page.sort)
    signing = Signing(catalog, page.sign)
    # A later page is empty only because the products of the page before were the last ones.
    warnings = warned(found, page.filter) if not products and page.cursor is None else []
    if page.with_vector:
        read = found.read([product.product_id for product in products], vectors=True) if products else []
        products = [product for product in read if product]  # what was removed meanwhile is on no page
    return schemas.Products(
        products=[to_schema(product, signing) for product in products],
        next=cursor,
        total=found.count(page.filter) if page.total else None,
        facets=to_schemas(found.attribute_facets(keys, filter=page.filter)) if keys else None,
        warnings=warnings,
    )


@bp.post("")
@opened_by(Scope.INGEST)
@bp.doc(
    operation_id="feed_products",
    extensions=more(
        *(404, 409, 413, 415, 429, 503),
        body={
            LINES[0]: handwritten.FEED,
            LINES[1]: handwritten.FEED,
            "application/json": handwritten.ARRAY,
            TABLES[0]: handwritten.TABLE,
        },
        headers=LOCATION,
        accepts=True,
        curl="-H 'Content-Type: application/x-ndjson' --data-binary @feed.ndjson",
    ),
)
@bp.input(models.FeedOptions, location="query", arg_name="options")
@bp.output(schemas.Job, status_code=202, description=JOB)
def post(catalog: str, options: models.FeedOptions) -> Answer:
    """Put, patch and delete many products

    NDJSON, one change a line, is read as a stream, so millions fit, and so is CSV, one a row; a JSON array may have
    32 MB. `op` is put (the default, which needs an image), patch (`attributes`, an image or both) or delete (neither).
    The image is an `image_url`, or as `image` the hash of one that was uploaded. Changes are applied in their order. A
    put without `attributes` keeps those that are stored.

    With `mode=replace` the feed names all products: when its changes, and all accepted before, have ended, products
    that no line names are removed, unless they were changed after the request began. A line `{"product_id",
    "op": "keep"}` names one and changes nothing. `not_removed` of the job says if and why nothing was removed.

    With `duplicates=refuse` puts of images that another product shows, or an earlier line, fail as `duplicate`.
    """
    found = context().catalog(catalog)
    body = _feed_body(options)
    since = begun(found) if options.mode == "replace" else None
    changes, said = _read(body, options, found.kinds)
    with closing(changes):
        removal = None
        if since:
            most = since.most(MAX_REMOVED if options.max_removed is None else options.max_removed)
            removal = Removal(since.version, most, forgone=LINES_WITHOUT_ID if changes.nameless else None)
        wanted = partial(_wanted, changes, refuse_duplicates=options.duplicates == "refuse")
        return accepted(found, wanted, changes.total, body.digest, said=said, removal=removal)


@bp.post("/read")
@opened_by(*Scope)
@bp.doc(
    operation_id="read_products",
    extensions=more(
        *(404, 413, 415, 503),
        body={"application/json": models.ReadProducts},
        curl="""-H 'Content-Type: application/json' -d '{"ids": ["SKU-1", "SKU-2"]}'""",
    ),
)
@bp.input(browsers.Signs, location="query", arg_name="options")
@bp.output(schemas.FoundProducts)
def read_many(catalog: str, options: browsers.Signs) -> schemas.FoundProducts:
    """Read products by their IDs, up to 1,000

    An ID that is there twice is answered twice.
    """
    wanted = json_body(models.ReadProducts)
    found = context().catalog(catalog).read(wanted.ids, vectors=wanted.with_vector)
    signing = Signing(catalog, options.sign)
    return schemas.FoundProducts(
        products=[to_schema(product, signing) for product in found if product],
        missing=[id for id, product in zip(wanted.ids, found, strict=True) if product is None],
    )


@bp.post("/delete")
@opened_by(Scope.INGEST)
@bp.doc(
    operation_id="delete_products",
    extensions=more(
        *(404, 409, 413, 415, 429, 503),
        body={"application/json": models.ProductsToRemove},
        answers={200: ("With `dry_run`: what would be removed.", {"application/json": schemas.RemovedProducts})},
        headers=LOCATION,
        accepts=True,
        curl="""-H 'Content-Type: application/json' \\
  -d '{"filter": {"must": {"key": "color", "match": {"value": "red"}}}}'""",
    ),
)
@bp.output(schemas.Job, status_code=202, description=JOB)
def delete_many(catalog: str) -> Answer | Response:
    """Remove the products that match a filter

    Those that match it when everything accepted before has ended, and that were not changed after the request. A filter
    without a condition is refused; to remove all products, remove the catalog. With `dry_run` nothing is removed.
    """
    found = context().catalog(catalog)
    if request.mimetype != "application/json":
        raise unsupported("application/json")
    body = Body(MAX_JSON)
    wanted = checked(models.ProductsToRemove, strict_json.parsed(body.all()))
    filter = checked_filter(wanted.filter)
    # It says nothing to a dry run, and what is wrong with it is said before anything is removed.
    idempotency_key()
    if wanted.dry_run:
        products, _ = found.scroll(limit=10, filter=filter)
        matching = schemas.RemovedProducts(
            products=found.count(filter), examples=[product.product_id for product in products]
        )
        return jsonify(matching.model_dump())
    removal = Removal(begun(found).version, filter=written(filter))
    return accepted(found, list, 0, body.digest, removal=removal)


@bp.get("/<segment:product_id>")
@opened_by(*Scope)
@bp.doc(operation_id="get_product", extensions=more(404, 503))
@bp.input(lists.ProductOptions, location="query", arg_name="options")
@bp.output(schemas.Product)
def read(catalog: str, product_id: str, options: lists.ProductOptions) -> schemas.Product:
    """Read a product

    Its attributes, its image and its version, as they are stored now.
    """
    found = context().catalog(catalog).get(product_id, vector=options.with_vector)
    return to_schema(found, Signing(catalog, options.sign))


@bp.put("/<segment:product_id>")
@opened_by(Scope.INGEST)
@bp.doc(
    operation_id="put_product",
    extensions=more(
        *(404, 409, 413, 415, 429, 503),
        body={
            "application/json": handwritten.PUT,
            "multipart/form-data": handwritten.PUT_FORM,
            "image/*": handwritten.IMAGE,
            "application/octet-stream": handwritten.IMAGE,
        },
        answers=WAITED,
        headers=LOCATION,
        accepts=True,
        curl='-X PUT -F image=@shoe.jpg -F \'attributes={"color": "red"}\'',
        query="?wait=10",
    ),
)
@bp.input(models.PutOptions, location="query", arg_name="options")
@bp.output(schemas.Job, status_code=202, description=JOB)
def put(catalog: str, product_id: str, options: models.PutOptions) -> Answer | Response:
    """Put a product

    With the URL of its image, the hash of an uploaded one, or the image itself: as the body, or as a part of a form.
    `attributes` replace what is stored; left out they stay, and `{}` clears them. With `wait` the answer is the
    outcome: the job, or the problem that the image has (422, `code` says which; the job is in it), or 202 where it has
    not ended by then. With `duplicates=refuse` an image that another product shows, or nearly, fails as `duplicate`
    (409 with `wait`), unless it is the product's own already.
    """
    return _changed(catalog, product_id, ChangeKind.PUT, options.wait, refuse_duplicates=options.duplicates == "refuse")


@bp.patch("/<segment:product_id>")
@opened_by(Scope.INGEST)
@bp.doc(
    operation_id="patch_product",
    extensions=more(
        *(404, 409, 413, 415, 429, 503),
        body={"application/json": handwritten.PATCH, "multipart/form-data": handwritten.PATCH_FORM},
        answers=WAITED,
        headers=LOCATION,
        accepts=True,
        curl="""-X PATCH -H 'Content-Type: application/json' -d '{"attributes": {"price": 49.9}}'""",
    ),
)
@bp.input(models.Wait, location="query", arg_name="options")
@bp.output(schemas.Job, status_code=202, description=JOB)
def patch(catalog: str, product_id: str, options: models.Wait) -> Answer | Response:
    """Change a product

    `attributes` are merged into those that are stored (JSON Merge Patch: null removes a name, an object is merged).
    A product that is not there fails as `product_not_found`. `wait` is as of a put.
    """
    return _changed(catalog, product_id, ChangeKind.PATCH, options.wait)


@bp.delete("/<segment:product_id>")
@opened_by(Scope.INGEST)
@bp.doc(
    operation_id="delete_product", extensions=more(404, 409, 429, 503, answers=WAITED, headers=LOCATION, accepts=True)
)
@bp.input(models.Wait, location="query", arg_name="options")
@bp.output(schemas.Job, status_code=202, description=JOB)
def delete(catalog: str, product_id: str, options: models.Wait) -> Answer | Response:
    """Remove a product

    Changes of it that were accepted before are applied first. `wait` is as of a put.
    """
    return _changed(catalog, product_id, ChangeKind.DELETE, options.wait)


def _wanted(changes: feed.Feed, *, refuse_duplicates: bool) -> Iterable[Change | Refusal | Named]:
    """What a new request writes."""
    found = changes.of_new_request()
    return (
        replace(each, refuse_duplicates=True)
        if refuse_duplicates and isinstance(each, Change) and each.kind is ChangeKind.PUT
        else each
        for each in found
    )


def _feed_body(options: models.FeedOptions) -> Body:
    """The body of a feed, of a type that is taken. Raises `RequestError`s."""
    if options.column and request.mimetype not in TABLES:
        why = "column: it is for CSV; leave it out, or send the feed as text/csv."
        raise RequestInvalid([Fault(why, RequestInvalid.code, "column")])
    if request.mimetype == "application/json":
        advice = f"send the changes as {LINES[0]}, one a line, which may have more"
        return Body(MAX_ARRAY, advice, expansion=EXPANSION)
    if request.mimetype in (*LINES, *TABLES):
        return Body(context().settings.max_feed_bytes, "send it in parts", expansion=EXPANSION)
    raise unsupported(LINES[0], "application/json", TABLES[0])


def _read(body: Body, options: models.FeedOptions, kinds: Kinds) -> tuple[feed.Feed, dict[str, Any] | None]:
    """The changes of a feed, and what its job tells of it."""
    skip, replace = options.on_error == "skip", options.mode == "replace"
    if request.mimetype not in TABLES:
        array = request.mimetype == "application/json"
        return feed.read(body, array=array, skip=skip, kinds=kinds, missing=missing, replace=replace), None
    charset = request.mimetype_params.get("charset")
    columns = request.args.getlist("column")
    return csv_feed.read(body, skip=skip, replace=replace, kinds=kinds, columns=columns, charset=charset)


def to_schema(product: Product, signing: Signing) -> schemas.Product:
    return schemas.Product(
        product_id=product.product_id,
        attributes=dict(product.attributes),
        image=product.image,
        image_url=product.url,
        version=product.version,
        vector=None if product.vector is None else product.vector.tolist(),
        signed=signing.urls(product.product_id, product.image),
    )


def _changed(
    catalog: str, product_id: str, kind: ChangeKind, wait: float | None, *, refuse_duplicates: bool = False
) -> Answer | Response:
    found = context().catalog(catalog)
    made, digest = one_change(kind, product_id, found.kinds)

    def change() -> Change:
        return replace(made(), refuse_duplicates=refuse_duplicates)

    if wait is None:
        return accepted(found, lambda: [change()], 1, digest)
    return ended(found, change, digest, wait)
