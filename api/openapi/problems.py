"""The answers of OpenAPI to what went wrong, one for each status, which all operations share."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from api.openapi.references import reference
from api.responses.problems import MEDIA_TYPE, RETRY_AFTER, is_retryable, titled

PREFIX = "#/components/responses/"
REQUEST_ID = {
    "X-Request-Id": {"description": "Names the request in the logs.", "schema": {"type": "string"}},
}


@dataclass(frozen=True, slots=True)
class Kind:
    """The problems of one status: the name of the answer, what it says, and the code and detail of one of them."""

    name: str
    description: str
    code: str
    detail: str


KINDS = {
    400: Kind(
        "Malformed", "The request cannot be read.", "request_malformed", "body: this is not JSON: Expecting value."
    ),
    401: Kind("Unauthorized", "It needs an API key.", "unauthorized", "Send a key as `Authorization: Bearer KEY`."),
    403: Kind(
        "Forbidden", "The key, or this address, does not open it.", "forbidden", "This key is not for catalog 'shoes'."
    ),
    404: Kind(
        "NotFound",
        "There is no such thing.",
        "product_not_found",
        "There is no product 'sneaker-13' in catalog 'shoes'.",
    ),
    409: Kind(
        "Conflict", "It does not go with what is there.", "encoder_mismatch", "Catalog 'shoes' has another encoder."
    ),
    413: Kind(
        "TooLarge",
        "It has too many bytes.",
        "body_too_large",
        "The body has more than the 1,048,576 bytes that are allowed here.",
    ),
    415: Kind(
        "MediaTypeUnsupported",
        "The body is of a type that is not taken here.",
        "media_type_unsupported",
        "The content type 'text/plain' is not taken here: send application/json.",
    ),
    422: Kind(
        "Invalid",
        "The request says what cannot be, or its image cannot be used.",
        "invalid_input",
        "limit: must be a whole number.",
    ),
    429: Kind(
        "Busy", "There is too much to do just now.", "busy", "As many changes wait as may wait; send this later."
    ),
    500: Kind(
        "Failed",
        "Something went wrong that should not.",
        "internal_error",
        "Something went wrong here; the log tells under this instance.",
    ),
    503: Kind(
        "Unavailable",
        "Something that is needed is away.",
        "ledger_unavailable",
        "Redis does not answer; send this later.",
    ),
}
"""By status."""


def answer(status: int) -> dict[str, str]:
    """A response of an operation: that of all problems of the status."""
    return {"$ref": PREFIX + KINDS[status].name}


def answers(statuses: Collection[int]) -> dict[str, Any]:
    """Those of these statuses, by name."""
    return {kind.name: _answer(status, kind) for status, kind in KINDS.items() if status in statuses}


def _answer(status: int, kind: Kind) -> dict[str, Any]:
    headers = dict(REQUEST_ID)
    if status in RETRY_AFTER:
        headers["Retry-After"] = _header("Seconds.")
    if status == 415:
        headers["Accept-Encoding"] = _header("Those that are taken, where it is the content coding that is not.")
    if status == 401:
        headers["WWW-Authenticate"] = _header("Bearer")
    example = {
        "type": f"/problems/{kind.code}",
        "title": titled(kind.code),
        "status": status,
        "detail": kind.detail,
        "code": kind.code,
        "retryable": is_retryable(kind.code),
        "instance": "5b0e2f1c8d7a4e21",
    }
    return {
        "description": kind.description,
        "headers": headers,
        "content": {MEDIA_TYPE: {"schema": reference("Problem"), "example": example}},
    }


def _header(description: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}}
