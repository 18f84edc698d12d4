"""The body of a request: read once, as a stream, within a limit."""

import hashlib
from collections.abc import Iterator
from typing import TypeVar

from flask import request
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import RequestEntityTooLarge

from api.errors import BodyTooLarge, Fault, Malformed, MediaTypeUnsupported, RequestInvalid, said
from api.requests import codings, strict_json

CHUNK = 1 << 16
MAX_JSON = 1 << 20
"""Bytes of a JSON body that is not a feed."""

Model = TypeVar("Model", bound=BaseModel)


EXPANSION = 200
"""How many times as large as it was sent a feed may become; feeds of shops become 5 to 50 times as large."""
EXPANDED = 8 << 20
"""Decoded bytes from which on that is judged."""


class Body:
    """The bytes of the current request's body without its content coding, at most `limit` as sent and as decoded.

    `advice` ends the sentence that refuses more. With `expansion` it may not become more than so many times as large:
    each line takes time, and 64 KB that become a gigabyte of lines would occupy the process for minutes.
    """

    def __init__(self, limit: int, advice: str = "send less", *, expansion: int | None = None) -> None:
        self._limit = limit
        self._advice = advice
        self._expansion = expansion
        self._sent = 0
        self._decoded = 0
        self._sha = target_sha()
        self._decode = codings.reader(request.headers.get("Content-Encoding", ""), self._as_sent)

    @property
    def digest(self) -> str:
        """What distinguishes this request from others, once it is read: SHA-256 over method, path, query and body.

        Of the decoded body: repeated with another content coding, it is the same request.
        """
        return self._sha.hexdigest()

    def chunks(self) -> Iterator[bytes]:
        """Raises `BodyTooLarge`, and `Malformed` where the body breaks off."""
        while chunk := self.read(CHUNK):
            yield chunk

    def all(self) -> bytes:
        """Raises as `chunks` does."""
        return b"".join(self.chunks())

    def read(self, size: int) -> bytes:
        """The next bytes, none at the end. Raises as `chunks` does."""
        chunk = self._decode(size)
        self._decoded += len(chunk)
        if self._decoded > self._limit:
            raise self._too_large()
        if self._expansion and self._decoded > max(EXPANDED, self._expansion * self._sent):
            raise BodyTooLarge(
                f"The body becomes more than {self._expansion} times as large when it is decoded; send it without "
                "Content-Encoding.",
                "body",
            )
        self._sha.update(chunk)
        return chunk

    def _as_sent(self, size: int) -> bytes:
        try:
            request.max_content_length = self._limit
            chunk = request.stream.read(size)
        except RequestEntityTooLarge:
            raise self._too_large() from None
        except Exception as error:
            # Each server has exceptions of its own for a body that is none.
            raise _broken() from error
        self._sent += len(chunk)
        # A server that ends the stream itself does not tell an end from a broken connection.
        if not chunk and self._sent < (request.content_length or 0):
            raise _broken()
        return chunk

    def _too_large(self) -> BodyTooLarge:
        return BodyTooLarge(
            f"The body has more than the {self._limit:,} bytes that are allowed here; {self._advice}.", "body"
        )


def target_sha() -> "hashlib._Hash":
    """A SHA-256 over the request's method and target."""
    return hashlib.sha256(b"\0".join([request.method.encode(), request.path.encode(), request.query_string, b""]))


def json_body(model: type[Model]) -> Model:
    """The request's body as a model. Raises `RequestError`s."""
    if request.mimetype != "application/json":
        raise unsupported("application/json")
    return checked(model, strict_json.parsed(Body(MAX_JSON).all()))


def checked(model: type[Model], value: object) -> Model:
    """A value of JSON as a model. Raises `RequestInvalid`, which names every field that is wrong."""
    if not isinstance(value, dict):
        raise RequestInvalid([_fault("body", "must be a JSON object")])
    known = ", ".join(model.model_fields)
    faults = [_fault(name, f"unknown field; there are {known}") for name in value if name not in model.model_fields]
    faults += [_fault(name, "null is no value; leave it out") for name, each in value.items() if each is None]
    if faults:
        raise RequestInvalid(faults)
    try:
        return model.model_validate(value)
    except ValidationError as error:
        found = [(".".join(map(str, each["loc"])), said(each["msg"])) for each in error.errors()]
        raise RequestInvalid([_fault(field or "body", message) for field, message in found]) from None


def _broken() -> Malformed:
    return Malformed("The body broke off, or is not what its headers say; send the request again.", "body")


def unsupported(*takes: str) -> MediaTypeUnsupported:
    """The refusal of the request's content type."""
    sent = request.mimetype or "none"
    return MediaTypeUnsupported(
        f"The content type {sent[:80]!a} is not taken here: send {' or '.join(takes)}.", "Content-Type"
    )


def _fault(field: str, message: str) -> Fault:
    field = field[:120].encode(errors="backslashreplace").decode()
    return Fault(f"{field}: {message}.", RequestInvalid.code, field)
