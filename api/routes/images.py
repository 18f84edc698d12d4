"""The images of products, served with headers that keep a browser from executing them."""

from collections.abc import Callable

from apiflask import APIBlueprint
from flask import Response, request

from api.access.auth import opened_by, opened_for
from api.access.keys import Scope
from api.context import context
from api.openapi import handwritten
from api.openapi.document import more
from api.requests import browsers
from services.errors import MediaNotFound
from services.records import Product
from services.signatures import media_type

bp = APIBlueprint("images", __name__, url_prefix="/v1/catalogs/<segment:catalog>/products", tag="Products")


@bp.get("/<segment:product_id>/image")
@opened_by(*Scope, signed=True)
@bp.doc(
    operation_id="get_image",
    extensions=more(403, 404, 503, answers=handwritten.PICTURES, headers={"ETag": "Names the bytes."}),
)
@bp.input(browsers.Picture, location="query", arg_name="wanted")
def image(catalog: str, product_id: str, wanted: browsers.Picture) -> Response:
    """Read the original image of a product

    The bytes as they were sent or fetched, where originals are kept.
    """
    found = _image(context().catalog(catalog).get(product_id), wanted)
    return _served(found, lambda: context().media.get(found))


@bp.get("/<segment:product_id>/thumbnail")
@opened_by(*Scope, signed=True)
@bp.doc(
    operation_id="get_thumbnail",
    extensions=more(403, 404, 503, answers=handwritten.THUMBNAIL, headers={"ETag": "Names the bytes."}),
)
@bp.input(browsers.Picture, location="query", arg_name="wanted")
def thumbnail(catalog: str, product_id: str, wanted: browsers.Picture) -> Response:
    """Read the image of a product as a WebP whose longer side has 320 pixels

    It is made when it is first asked for, and kept.
    """
    here = context().catalog(catalog)
    found = _image(here.get(product_id), wanted)
    return _served(f"{found}-320", lambda: context().media.thumbnail(found, here.thumbnail_of))


def _served(tag: str, read: Callable[[], bytes]) -> Response:
    """Responds with the image, or with 304 if the caller has it already; `tag` becomes the ETag."""
    if request.if_none_match.contains_weak(tag):
        response = Response(status=304)
    else:
        data = read()
        response = Response(data, content_type=media_type(data) or "application/octet-stream")
        response.headers["Content-Disposition"] = "inline"
    response.set_etag(tag)
    left = opened_for()
    response.headers["Cache-Control"] = "private, no-cache" if left is None else f"public, max-age={left}, immutable"
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response


def _image(product: Product, wanted: browsers.Picture) -> str:
    if product.image is None:
        raise MediaNotFound(f"Product {product.product_id!r} was imported without its image; put it with one.")
    if wanted.v not in (None, product.image):
        raise MediaNotFound(
            f"The picture that this URL names is no longer that of product {product.product_id!r}: read the product."
        )
    return product.image
