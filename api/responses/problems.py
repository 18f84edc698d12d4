"""What went wrong, as an answer: problem+json (RFC 9457) for every error there is, its status in one table."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from http import HTTPStatus
from typing import Any

import structlog
from apiflask import HTTPError
from flask import Flask, Response, current_app, g, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from api.errors import BodyTooLarge, Fault, FeedInvalid, Malformed, RequestError, RequestInvalid, said
from services import errors
from services.errors import LookalikeError
from services.feeds.changes import WrongChange
from services.records import Item

MEDIA_TYPE = "application/problem+json"

STATUS: Mapping[type[LookalikeError], int] = {
    errors.InvalidInput: 422,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.ImageTooLarge: 413,
    errors.ImageError: 422,
    errors.FetchError: 422,
    errors.EncoderUnknown: 422,
    errors.EncoderError: 503,
    errors.DataCorrupt: 500,
    errors.DataError: 503,
    errors.FormatTooNew: 500,
    errors.Busy: 429,
    errors.Closed: 503,
    errors.WorkerCrashed: 422,
    errors.DecodingUnavailable: 503,
    errors.LedgerUnavailable: 503,
    errors.IndexUnavailable: 503,
    errors.IndexRefused: 500,
    errors.GraphNotBuilt: 503,
    LookalikeError: 500,
}
"""The status of each class of errors, and so of what derives from it and has none of its own."""

FIELDS: Mapping[type[LookalikeError], str] = {
    errors.InvalidProductID: "product_id",
    errors.InvalidAttributes: "attributes",
    errors.AttributeNotIndexed: "attribute",
    errors.NotSortable: "sort",
    errors.InvalidFilter: "filter",
    errors.InvalidVector: "vector",
    errors.InvalidCatalog: "catalog",
    errors.EncoderUnknown: "encoder",
    errors.ImageError: "image",
    errors.FetchError: "image_url",
    errors.IdempotencyConflict: "Idempotency-Key",
}
"""The field of the request that an error of the domain is about."""

ROUTING = {
    404: ("route_not_found", "There is nothing here: GET /docs tells what there is."),
    405: ("method_not_allowed", "This takes other methods: the header Allow names them."),
}
RETRY_AFTER = {429: "5", 503: "2"}
"""Seconds: a queue drains slowly, a Redis comes back soon."""


def register(app: Flask) -> None:
    """Every error of the app becomes a problem."""
    app.register_error_handler(LookalikeError, problem)
    app.register_error_handler(WrongChange, _wrong_change)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(HTTPError, _invalid)
    app.register_error_handler(Exception, _unexpected)


def problem(error: LookalikeError, faults: Sequence[Fault] = ()) -> Response:
    """The answer to an error; `faults` say more than the error does by itself."""
    status = status_of(error)
    more: dict[str, Any] = {}
    headers = error.headers if isinstance(error, RequestError) else {}
    if status >= 500:
        structlog.get_logger("api").warning("failed", code=error.code, detail=str(error))
    if faults := faults or _faults(error):
        more["errors"] = [{key: value for key, value in asdict(each).items() if value is not None} for each in faults]
    if isinstance(error, FeedInvalid):
        more["error_count"] = error.count
    retryable = error.retryable or (isinstance(error, errors.IdempotencyConflict) and error.in_flight)
    return answer(status, error.code, str(error), retryable=retryable, headers=headers, **more)


def problem_of_item(item: Item, headers: Mapping[str, str], job: Mapping[str, Any]) -> Response:
    """The answer that says why the change of a job failed."""
    kind = _by_code().get(item.code or "", LookalikeError)
    status = next(STATUS[each] for each in kind.__mro__ if each in STATUS)
    # The change was taken and has ended: that is no fault of this service now.
    status = status if status < 500 else 422
    code, detail = item.code or "error", item.message or "The change failed."
    return answer(status, code, detail, retryable=kind.retryable, headers=headers, job=job)


def status_of(error: LookalikeError) -> int:
    if isinstance(error, RequestError):
        return error.status
    if isinstance(error, errors.IdempotencyConflict):
        return 409 if error.in_flight else 422
    return next(STATUS[each] for each in type(error).__mro__ if each in STATUS)


def answer(
    status: int,
    code: str,
    detail: str,
    *,
    retryable: bool = False,
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> Response:
    """A problem."""
    body = {
        "type": f"{request.script_root}/problems/{code}",
        "title": titled(code),
        "status": status,
        "detail": _text(detail),
        "code": code,
    }
    body |= {"retryable": retryable, "instance": g.get("request_id", "")}
    response = Response(current_app.json.dumps(body | more), status, content_type=MEDIA_TYPE)
    if status in RETRY_AFTER:
        response.headers["Retry-After"] = RETRY_AFTER[status]
    response.headers.update(headers or {})
    return response


def titled(code: str) -> str:
    """The code in words."""
    return code.replace("_", " ").capitalize()


def _faults(error: LookalikeError) -> Sequence[Fault]:
    if isinstance(error, RequestError):
        return error.faults
    fields = (FIELDS[each] for each in type(error).__mro__ if each in FIELDS)
    return [Fault(_text(str(error)), error.code, field) for field in fields][:1]


def _wrong_change(wrong: WrongChange) -> Response:
    field = _text(wrong.field) if wrong.field else "body"
    return problem(wrong.error, [Fault(_text(str(wrong)), wrong.error.code, field)])


def _http(error: HTTPException) -> Response:
    """What Flask and Werkzeug refuse by themselves."""
    if isinstance(cause := error.__cause__, LookalikeError):
        return problem(cause)
    if isinstance(error, RequestEntityTooLarge):
        return problem(BodyTooLarge("The body is larger than this route takes."))
    if error.code is None or error.code < 400:
        return _unexpected(error)
    status = HTTPStatus(error.code)
    code, detail = ROUTING.get(status, (Malformed.code if status == 400 else status.name.lower(), f"{status.phrase}."))
    headers = {name: value for name, value in error.get_headers() if name == "Allow"}
    return answer(status, code, detail, headers=headers)


def _invalid(error: HTTPError) -> Response:
    """What APIFlask finds wrong with the parameters of a query."""
    found = [
        Fault(f"{field}: {said(message)}.", RequestInvalid.code, field)
        for fields in error.detail.values()
        for field, messages in fields.items()
        for message in messages
    ]
    return problem(RequestInvalid(found))


def _unexpected(error: Exception) -> Response:
    structlog.get_logger("api").error("unexpected", exc_info=error)
    return answer(
        500, "internal_error", "Something went wrong here that should not; the log tells under this instance."
    )


def _text(detail: str) -> str:
    """Without lone surrogates, which UTF-8 cannot encode."""
    return detail.encode(errors="backslashreplace").decode()


def is_retryable(code: str) -> bool:
    """Whether the same request can succeed later, after most problems of this code."""
    kind = _by_code().get(code)
    return kind is not None and kind.retryable


def statuses() -> dict[str, int]:
    """The status of every code of a problem."""
    found = {code: next(STATUS[each] for each in kind.__mro__ if each in STATUS) for code, kind in _by_code().items()}
    found |= {kind.code: kind.status for kind in _by_code().values() if issubclass(kind, RequestError)}
    return found | {code: status for status, (code, _) in ROUTING.items()} | {"internal_error": 500}


def _by_code() -> dict[str, type[LookalikeError]]:
    found: dict[str, type[LookalikeError]] = {}
    kinds = [LookalikeError]
    while kinds:
        kind = kinds.pop()
        found[kind.code] = kind
        kinds += kind.__subclasses__()
    return found
