"""What is to be done, apart from how: operations are generators of effects that `Client` and `AsyncClient` carry out.

    def name_of(job: str) -> Steps[str]:
        response = yield Request("GET", f"/v1/jobs/{job}")
        return response.json()["catalog"]

So each operation is written once, whether callers wait or await.
"""

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeAlias, TypeVar

T = TypeVar("T")

ANSWER_SECONDS = 60.0

Body: TypeAlias = bytes | Path | IO[bytes]
"""Bytes, a file, or a file that is open: the latter two are sent from their start, in pieces, each time again."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request, answered by a `Response` whatever its status, or by the error `Unanswered`, as values.

    Attributes:
        method: The method of HTTP.
        path: The path under the URL of the service, encoded.
        params: The parameters of the URL.
        headers: More headers.
        body: What is sent.
        is_safe: Whether to send it twice does no harm.
        seconds: How long the answer may take.
    """

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None
    is_safe: bool = False
    seconds: float = ANSWER_SECONDS


@dataclass(frozen=True, slots=True)
class Response:
    """An answer; the names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Raises `ValueError` where it is no JSON."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait for so many seconds; answered by None."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Call:
    """Call what may read or write files; answered by what it returns."""

    function: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Together:
    """Carry out several, some at a time; answered by their results in order. The first that fails fails all."""

    steps: Sequence["Steps[Any]"]


Effect: TypeAlias = Request | Pause | Call | Together
Steps: TypeAlias = Generator[Effect, Any, T]
