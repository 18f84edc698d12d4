"""Schemas of OpenAPI that are written by hand: what is no model, or is judged elsewhere."""

from typing import Any

from api.requests import navigation
from api.requests.codings import DECODERS
from services.hashes import SHA256
from services.names import MAX_PRODUCT_ID_BYTES
from services.outbound.urls import MAX_URL
from services.query.filters import MAX_IDS

_REF = "#/components/schemas/"
_NAME = r'([\w-]+|"[^"\\]*")(\[[0-9]{0,9}\])*'
_KEY = {"type": "string", "maxLength": 256, "pattern": rf"^{_NAME}(\.{_NAME})*$", "examples": ["color", "size.width"]}
_INT64 = {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}
_VALUES = {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "array", "items": _INT64}]}

PRODUCT_ID = {"type": "string", "minLength": 1, "maxLength": MAX_PRODUCT_ID_BYTES}
URL = {"type": "string", "format": "iri", "maxLength": MAX_URL, "pattern": "^https?://"}
HASH = {"type": "string", "pattern": f"^{SHA256.pattern}$", "description": "SHA-256 of an uploaded image."}
ATTRIBUTES = {"type": "object", "additionalProperties": True, "examples": [{"color": "red", "price": 19.9}]}

PATH: dict[str, dict[str, Any]] = {
    "catalog": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,63}$"},
    "product_id": PRODUCT_ID,
    "job": {"type": "string", "pattern": "^[0-9]{1,18}$"},
    "generation": {"type": "string", "pattern": "^[0-9a-f]{1,64}$"},
    "name": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
    "group": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
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


def _object(*required: str, **properties: Any) -> dict[str, Any]:
    found = {"type": "object", "properties": properties, "additionalProperties": False}
    return found | {"required": list(required)} if required else found


def _conditions() -> dict[str, Any]:
    one = {"$ref": f"{_REF}Condition"}
    return {"anyOf": [one, {"type": "array", "items": one}]}


_IMAGES = {"image_url": URL, "image": HASH}
CHANGE = _object(
    "product_id",
    product_id=PRODUCT_ID,
    image_url=URL,
    image=HASH,
    attributes=ATTRIBUTES,
    op={"enum": ["put", "patch", "delete", "keep"], "default": "put", "description": "keep: with mode=replace."},
)
PUT = {"oneOf": [_object(name, **{name: image}, attributes=ATTRIBUTES) for name, image in _IMAGES.items()]}
PATCH = {
    "anyOf": [_object(**{name: image}, attributes=ATTRIBUTES) | {"minProperties": 1} for name, image in _IMAGES.items()]
}
IMAGE = {"type": "string", "format": "binary"}
PUT_FORM = _object("image", image=IMAGE, attributes=ATTRIBUTES)
PATCH_FORM = _object(image=IMAGE, attributes=ATTRIBUTES) | {"minProperties": 1}
QUERY_FORM = _object("query", query={"$ref": f"{_REF}Query"}, **dict.fromkeys(navigation.PICTURES, IMAGE))
PATH_FORM = _object("query", query={"$ref": f"{_REF}Path"}, **dict.fromkeys(navigation.PICTURES, IMAGE))
SEARCH_FORM = _object("image", image=IMAGE, query={"$ref": f"{_REF}SearchOptions"})

FEED = {"type": "string", "contentMediaType": "application/x-ndjson", "description": "one Change a line."}
TABLE = {
    "type": "string",
    "contentMediaType": "text/csv",
    "description": "product_id, image_url, and a column for each attribute; `op` says patch or delete.",
}
ARRAY = {"type": "array", "items": {"$ref": f"{_REF}Change"}, "minItems": 1}
SEEN: tuple[str, dict[str, Any]] = ("The caller has it.", {})
PICTURES = {200: ("The file as it was sent.", {"image/*": IMAGE, "application/octet-stream": IMAGE}), 304: SEEN}
MAP_BYTES = {200: ("The arrays: docs/api.md describes them.", {"application/octet-stream": IMAGE}), 304: SEEN}
THUMBNAIL = {200: ("The thumbnail.", {"image/webp": IMAGE}), 304: SEEN}

COMPONENTS: dict[str, dict[str, Any]] = {
    "Problem": _object(
        "type",
        "title",
        "status",
        "detail",
        "code",
        "retryable",
        "instance",
        type={"type": "string", "description": "The path of its page: /problems/ and the code; stable."},
        title={"type": "string"},
        status={"type": "integer"},
        detail={"type": "string", "description": "What is wrong and the way out, in a sentence."},
        code={"type": "string"},
        retryable={"type": "boolean", "description": "Whether the same request can succeed later."},
        instance={"type": "string", "description": "The ID of the request."},
        errors={"type": "array", "items": {"$ref": f"{_REF}Fault"}, "description": "Which fields, or lines of a feed."},
        error_count={"type": "integer", "description": "How many lines of the feed are wrong; errors names the first."},
        job={"$ref": f"{_REF}Job", "description": "The job whose change failed."},
    ),
    "Fault": _object(
        "detail",
        "code",
        detail={"type": "string"},
        code={"type": "string"},
        field={"type": "string"},
        line={"type": "integer", "minimum": 1, "description": "The line of the feed, or the place in the array."},
    ),
    "Change": CHANGE,
    "Filter": _object(must=_conditions(), must_not=_conditions(), should=_conditions())
    | {"description": "Which products: all of must, none of must_not, one or more of should. Up to 8 deep."},
    "Condition": {
        "anyOf": [
            {"$ref": f"{_REF}Filter"},
            _object("key", "match", key=_KEY, match={"$ref": f"{_REF}Match"}),
            _object("key", "range", key=_KEY, range={"$ref": f"{_REF}Range"}),
            _object("is_empty", is_empty=_object("key", key=_KEY)),
            _object("has_id", has_id={"type": "array", "items": {"type": "string"}, "maxItems": MAX_IDS}),
        ]
    },
    "Match": {
        "anyOf": [
            _object("value", value={"anyOf": [{"type": "string"}, _INT64, {"type": "boolean"}]}),
            _object("any", any=_VALUES),
            _object("except", **{"except": _VALUES}),
        ]
    },
    "Range": _object(**{bound: {"type": "number"} for bound in ("gt", "gte", "lt", "lte")}) | {"minProperties": 1},
}
"""By name."""
