"""What can be wrong with a request as such, whatever it is about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from services.errors import Busy, LookalikeError


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a request: where, and what. `line` counts the changes of a feed from 1."""

    detail: str
    code: str
    field: str | None = None
    line: int | None = None


class RequestError(LookalikeError):
    """The root: each has a status and names what it is about."""

    code = "request_error"
    status: ClassVar[int] = 400

    def __init__(self, detail: str, field: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.faults: Sequence[Fault] = [Fault(detail, self.code, field)] if field else []
        self.headers = headers or {}


class Malformed(RequestError):
    """It cannot be read: bytes, encodings and syntax."""

    code = "request_malformed"


class Unauthorized(RequestError):
    code = "unauthorized"
    status = 401


class Forbidden(RequestError):
    code = "forbidden"
    status = 403


class OriginRefused(Forbidden):
    """A page of another site sent it."""

    code = "origin_refused"


class SignatureRefused(Forbidden):
    """A URL that is not signed, or no longer."""

    code = "signature_refused"


class BodyTooLarge(RequestError):
    code = "body_too_large"
    status = 413


class MediaTypeUnsupported(RequestError):
    code = "media_type_unsupported"
    status = 415


class RequestInvalid(RequestError):
    """It can be read, but fields of it are not what they may be."""

    code = "invalid_input"
    status = 422

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(faults[0].detail)
        self.faults = faults


class FeedInvalid(RequestError):
    """A feed of which some lines are no changes; nothing of it was accepted."""

    code = "feed_invalid"
    status = 422

    def __init__(self, faults: Sequence[Fault], count: int) -> None:
        some = f" (the first {len(faults)} are named)" if count > len(faults) else ""
        super().__init__(
            f"{count:,} of the changes {'is' if count == 1 else 'are'} wrong{some} and nothing was accepted: correct "
            "them, or send on_error=skip."
        )
        self.faults = faults
        self.count = count


class RateLimited(RequestError):
    code = "rate_limited"
    status = 429
    retryable = True


class TooManyWaits(Busy):
    code = "too_many_waits"


def said(message: str) -> str:
    """What Pydantic says of a field, without how it found out."""
    return message.removeprefix("Value error, ")
