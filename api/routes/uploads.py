"""Routes of uploaded images, which changes then name by their hash."""

from apiflask import APIBlueprint
from flask import request

from api.access.auth import opened_by
from api.access.keys import Scope
from api.context import context
from api.openapi import handwritten
from api.openapi.document import more
from api.requests import images, models
from api.requests.body import json_body, unsupported
from api.responses import schemas

bp = APIBlueprint("uploads", __name__, url_prefix="/v1/catalogs/<segment:catalog>/images", tag="Products")

PICTURES = ("image/*", "application/octet-stream")


@bp.post("")
@opened_by(Scope.INGEST)
@bp.doc(
    operation_id="upload_image",
    extensions=more(
        *(404, 413, 415, 503),
        body=dict.fromkeys(PICTURES, handwritten.IMAGE),
        curl="-H 'Content-Type: image/jpeg' --data-binary @shoe.jpg",
    ),
)
@bp.output(schemas.Uploaded)
def post(catalog: str) -> schemas.Uploaded:
    """Upload an image

    Changes name it then as `image`, by its SHA-256. An image that no change names is kept for two days at least. To
    upload one again is harmless.
    """
    context().catalog(catalog)
    if not images.is_picture(request.mimetype):
        raise unsupported(*PICTURES)
    images.check_kept()
    image, _ = images.picture_body()
    return schemas.Uploaded(image=images.store(image))


@bp.post("/missing")
@opened_by(Scope.INGEST)
@bp.doc(
    operation_id="list_missing_images",
    extensions=more(404, 413, 415, 503, body={"application/json": models.ImageHashes}),
)
@bp.output(schemas.MissingImages)
def missing(catalog: str) -> schemas.MissingImages:
    """Find out which images have to be uploaded

    The others are kept for two days at least from now on.
    """
    context().catalog(catalog)
    asked = json_body(models.ImageHashes)
    images.check_kept()
    return schemas.MissingImages(missing=images.missing(asked.images))
