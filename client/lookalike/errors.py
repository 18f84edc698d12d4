"""The errors that this package raises: what a service answered as a problem (RFC 9457), or that it did not answer."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from lookalike.steps import Request, Response


class LookalikeError(Exception):
    """What a service refused, and why.

    Attributes:
        code: What went wrong, stable and for programs, such as `product_not_found`.
        detail: The same as a sentence for people, with the way out; `str()` of the error is this.
        status: That of HTTP; 0 where there was no answer.
        retryable: Whether the same request can succeed later.
        instance: The ID of the request, to find it in the service's log.
        errors: The fields and lines of the request that are wrong, where it names them.
        problem: All that it said.
    """

    default_code: ClassVar[str] = "error"

    def __init__(self, detail: str, *, status: int = 0, problem: Mapping[str, Any] | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status
        self.problem: Mapping[str, Any] = problem or {}
        self.code = str(self.problem.get("code", self.default_code))
        self.retryable = self.problem.get("retryable", status in (429, 503)) is True
        self.instance = str(self.problem.get("instance", ""))
        self.errors: Sequence[Mapping[str, Any]] = self.problem.get("errors", ())

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (type(self), self.detail, self.status, self.problem)


class InvalidRequest(LookalikeError):
    """The request is wrong; nothing was done. `errors` names fields and lines."""


class Unauthorized(LookalikeError):
    """The service answers only to a key that it knows."""


class Forbidden(LookalikeError):
    """The key does not open this; `detail` names the scope that does."""


class NotFound(LookalikeError):
    """There is no such catalog, product or job."""


class Conflict(LookalikeError):
    """The request is valid, but not for what is there now."""


class Busy(LookalikeError):
    """Too much at once, also after some patience: the queue is full, or a rate is limited."""


class ServiceError(LookalikeError):
    """The service failed; its log tells more under `instance`."""


class Unavailable(ServiceError):
    """The service, or what it stands on, cannot answer now, also after some patience."""


class Unanswered(Unavailable):
    """There was no answer at all. `never_sent`: no connection was made, so nothing was done. `was_there`: others were
    answered before."""

    default_code = "unanswered"

    def __init__(
        self,
        detail: str,
        *,
        status: int = 0,
        problem: Mapping[str, Any] | None = None,
        never_sent: bool = False,
        was_there: bool = False,
    ) -> None:
        super().__init__(detail, status=status, problem=problem)
        self.never_sent = never_sent
        self.was_there = was_there
        self.retryable = True


class ChangeFailed(LookalikeError):
    """A change was accepted, and has ended as failed: of its picture, mostly. `problem["job"]` is its job."""


KINDS: Mapping[int, type[LookalikeError]] = {
    400: InvalidRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    405: InvalidRequest,
    409: Conflict,
    413: InvalidRequest,
    415: InvalidRequest,
    422: InvalidRequest,
    429: Busy,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


def error_of(request: Request, response: Response) -> LookalikeError:
    """The error of an answer whose status is 400 or more."""
    problem = problem_of(response)
    kind = ChangeFailed if "job" in problem else KINDS.get(response.status, ServiceError)
    detail = str(problem.get("detail") or f"{request.method} {request.path} was answered with {response.status}.")
    return kind(detail, status=response.status, problem=problem)


def problem_of(response: Response) -> Mapping[str, Any]:
    """What a problem+json says; empty where it is none."""
    try:
        body = json.loads(response.body)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _again(kind: type[LookalikeError], detail: str, status: int, problem: Mapping[str, Any]) -> LookalikeError:
    return kind(detail, status=status, problem=problem)
