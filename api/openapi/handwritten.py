"""Schemas of OpenAPI that are written by hand: what is no model, or is judged elsewhere."""

from collections.abc import Iterable
from typing import Any, get_args

from api.openapi.filters import FILTERS
from api.openapi.references import object_of, reference
from api.requests import navigation
from api.requests.codings import DECODERS
from services import descriptions
from services.hashes import SHA256
from services.names import MAX_PRODUCT_ID_BYTES
from services.outbound.urls import MAX_URL

PRODUCT_ID = {"type": "string", "minLength": 1, "maxLength": MAX_PRODUCT_ID_BYTES}
URL = {
    "type": "string",
    "format": "iri",
    "maxLength": MAX_URL,
    "pattern": "^https?://",
    "description": "Where the image is fetched from.",
}
HASH = {"type": "string", "pattern": f"^{SHA256.pattern}$", "description": "SHA-256 of an uploaded image."}
ATTRIBUTES = reference("Attributes")
BYTES = {"type": "string", "format": "binary"}
IMAGE = BYTES | {"description": "The file: JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, HEIC."}

PATH: dict[str, dict[str, Any]] = {
    "catalog": {
        "type": "string",
        "pattern": "^[a-z0-9][a-z0-9_-]{0,63}$",
        "description": "The name of the catalog.",
    },
    "product_id": PRODUCT_ID | {"description": "The ID of the product; a slash in it is written %2F."},
    "job": {"type": "string", "pattern": "^[0-9]{1,18}$", "description": "The `id` of the job."},
    "generation": {"type": "string", "pattern": "^[0-9a-f]{1,64}$", "description": "The `id` of the generation."},
    "name": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$", "description": "Of the key, or of the direction."},
    "group": {"type": "string", "pattern": "^[0-9a-f]{16}$", "description": "The `id` of the group."},
    "code": {"type": "string", "minLength": 1, "description": "The `code` of a problem."},
    "key": {"type": "string", "minLength": 1, "description": "An attribute, as in filters, such as color."},
}

IDEMPOTENCY_KEY: dict[str, Any] = {
    "in": "header",
    "name": "Idempotency-Key",
    "description": "Repeating a request with its key gives the same job again, for a day.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
}

CONTENT_ENCODING: dict[str, Any] = {
    "in": "header",
    "name": "Content-Encoding",
    "description": "How the body is compressed; limits count its bytes as sent and as decoded.",
    "schema": {"type": "string", "enum": ["", "identity", *DECODERS]},
}

PUT = reference("NewProduct")
PATCH = reference("ProductPatch")
PUT_FORM = reference("NewProductForm")
PATCH_FORM = reference("ProductPatchForm")
QUERY_FORM = reference("QueryForm")
PATH_FORM = reference("PathForm")
SEARCH_FORM = reference("SearchForm")

FEED = {"type": "string", "contentMediaType": "application/x-ndjson", "description": "One Change a line."}
TABLE = {
    "type": "string",
    "contentMediaType": "text/csv",
    "description": "product_id, image_url, and a column for each attribute; `op` says patch or delete.",
}
ARRAY = {"type": "array", "items": reference("Change"), "minItems": 1}
SEEN: tuple[str, dict[str, Any]] = ("The caller has it.", {})
PICTURES = {200: ("The file as it was sent.", {"image/*": BYTES, "application/octet-stream": BYTES}), 304: SEEN}
MAP_BYTES = {200: ("The arrays: docs/api.md describes them.", {"application/octet-stream": BYTES}), 304: SEEN}
THUMBNAIL = {200: ("The thumbnail.", {"image/webp": BYTES}), 304: SEEN}

_PARTS = dict.fromkeys(navigation.PICTURES, IMAGE)
_OP = {
    "enum": ["put", "patch", "delete", "keep"],
    "type": "string",
    "description": "What to do with the product; put if left out. keep: with mode=replace.",
}


def _one_of(values: Iterable[str], description: str) -> dict[str, Any]:
    return {"type": "string", "enum": [str(each) for each in values], "description": description}


COMPONENTS: dict[str, dict[str, Any]] = {
    "Attributes": {
        "type": "object",
        "additionalProperties": True,
        "description": "Whatever is known of the product, as JSON.",
        "examples": [{"color": "red", "price": 19.9}],
    },
    "Resample": _one_of(get_args(descriptions.Resample), "How an image is brought to the size that the encoder takes."),
    "Features": _one_of(get_args(descriptions.Features), "Which layers of the encoder the vectors are made of."),
    "Quantization": _one_of(get_args(descriptions.Quantization), "How vectors are compressed beside the whole ones."),
    "AttributeKind": _one_of(list(descriptions.AttributeKind), "What an indexed attribute holds."),
    "Problem": object_of(
        *("type", "title", "status", "detail", "code", "retryable", "instance"),
        type={"type": "string", "description": "The path of its page: /problems/ and the code; stable."},
        title={"type": "string", "description": "The code in words."},
        status={"type": "integer", "description": "The status of the answer."},
        detail={"type": "string", "description": "What is wrong and the way out, in a sentence."},
        code={"type": "string", "description": "What programs tell it by; stable."},
        retryable={"type": "boolean", "description": "Whether the same request can succeed later."},
        instance={"type": "string", "description": "The ID of the request."},
        errors={"type": "array", "items": reference("Fault"), "description": "Which fields, or lines of a feed."},
        error_count={"type": "integer", "description": "How many lines of the feed are wrong; errors names the first."},
        job=reference("Job") | {"description": "The job whose change failed."},
    )
    | {"description": "What went wrong, and the way out (RFC 9457)."},
    "Fault": object_of(
        *("detail", "code"),
        detail={"type": "string", "description": "What is wrong and the way out, in a sentence."},
        code={"type": "string", "description": "What programs tell it by; stable."},
        field={"type": "string", "description": "Which field, parameter or header of the request."},
        line={"type": "integer", "minimum": 1, "description": "The line of the feed, or the place in the array."},
    )
    | {"description": "One thing that is wrong with a request."},
    "Change": object_of("product_id", product_id=PRODUCT_ID, image_url=URL, image=HASH, attributes=ATTRIBUTES, op=_OP)
    | {"description": "One change of a feed: a put needs an image, by URL or by the hash of an uploaded one."},
    "NewProduct": {
        "description": "A product with its image, by URL or by the hash of an uploaded one.",
        "oneOf": [reference("NewProductOfUrl"), reference("NewProductOfImage")],
    },
    "NewProductOfUrl": object_of("image_url", image_url=URL, attributes=ATTRIBUTES)
    | {"description": "A product whose image is fetched."},
    "NewProductOfImage": object_of("image", image=HASH, attributes=ATTRIBUTES)
    | {"description": "A product whose image was uploaded."},
    "NewProductForm": object_of("image", image=IMAGE, attributes=ATTRIBUTES)
    | {"description": "A product with its image as a file."},
    "ProductPatch": {
        "description": "What is different: attributes, an image, or both.",
        "anyOf": [reference("ProductPatchOfUrl"), reference("ProductPatchOfImage")],
    },
    "ProductPatchOfUrl": object_of(image_url=URL, attributes=ATTRIBUTES)
    | {"minProperties": 1, "description": "Attributes, an image that is fetched, or both."},
    "ProductPatchOfImage": object_of(image=HASH, attributes=ATTRIBUTES)
    | {"minProperties": 1, "description": "Attributes, an image that was uploaded, or both."},
    "ProductPatchForm": object_of(image=IMAGE, attributes=ATTRIBUTES)
    | {"minProperties": 1, "description": "Attributes, an image as a file, or both."},
    "QueryForm": object_of("query", query=reference("Query"), **_PARTS)
    | {"description": "A query, and the pictures that its terms name."},
    "PathForm": object_of("query", query=reference("Path"), **_PARTS)
    | {"description": "A path, and the pictures that its ends name."},
    "SearchForm": object_of("image", image=IMAGE, query=reference("SearchOptions"))
    | {"description": "A picture to look for, and how much of what is near."},
    **FILTERS,
}
"""By name."""
