"""What both clients make of httpx2: connections, bodies and what goes wrong with them."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import IO, Any, TypedDict

import httpx2

from lookalike.errors import Unanswered
from lookalike.steps import Body, Request, Response

API_KEY = "LOOKALIKE_API_KEY"
CONNECT_SECONDS = 5.0
CHUNK = 1 << 16
AT_ONCE = 8
"""Requests of one `Together` at a time."""


class Connection(TypedDict):
    """What an `httpx2.Client` or `httpx2.AsyncClient` is made of."""

    base_url: str
    headers: dict[str, str]
    limits: httpx2.Limits
    trust_env: bool
    verify: bool
    follow_redirects: bool


def connection(url: str, api_key: str | None) -> Connection:
    """Raises `ValueError` where this is no URL, or no key, which it does not tell."""
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{url!r} is no URL of a service: write it as http://127.0.0.1:8080")
    key = (os.environ.get(API_KEY, "") if api_key is None else api_key).strip()
    if not all("!" <= character <= "~" for character in key):
        raise ValueError("the API key holds characters that no key has; copy it as `lookalike keys create` printed it")
    return Connection(
        base_url=url.rstrip("/"),
        headers={"Authorization": f"Bearer {key}"} if key else {},
        limits=httpx2.Limits(max_connections=None, max_keepalive_connections=None),
        # On this machine no proxy has a say. Reading certificates takes longer than most answers.
        trust_env=not _is_here(httpx2.URL(url).host),
        verify=url.startswith("https:"),
        follow_redirects=False,
    )


class Sending(TypedDict):
    """What one request of httpx2 is made of."""

    method: str
    url: str
    params: dict[str, str] | None
    headers: dict[str, str]
    content: Any
    timeout: httpx2.Timeout


@contextmanager
def sending(request: Request, *, is_async: bool) -> Iterator[Sending]:
    """A request as httpx2 takes it, while its body is open. Raises `OSError` where that cannot be read."""
    headers = dict(request.headers)
    with _opened(request.body) as body:
        content: Any = body
        if body is not None and not isinstance(body, bytes):
            headers["Content-Length"] = str(body.seek(0, os.SEEK_END))
            body.seek(0)
            content = _async_pieces(body) if is_async else _pieces(body)
        yield Sending(
            method=request.method,
            url=request.path,
            params=dict(request.params) or None,
            headers=headers,
            content=content,
            timeout=httpx2.Timeout(request.seconds, connect=CONNECT_SECONDS, pool=None),
        )


def answer_of(response: httpx2.Response) -> Response:
    return Response(
        response.status_code, {name.lower(): value for name, value in response.headers.items()}, response.content
    )


def unanswered(url: str, error: httpx2.RequestError, *, was_there: bool) -> Unanswered:
    """That there is no answer. What httpx2 says may hold what was sent, the key included, so it is not told."""
    match error:
        case httpx2.ConnectError() | httpx2.ConnectTimeout():
            why = f"The service at {url} cannot be reached: is it running?"
            return Unanswered(why, never_sent=True, was_there=was_there)
        case httpx2.TimeoutException():
            return Unanswered(f"The service at {url} does not answer in time.")
        case _:
            return Unanswered(f"The connection to the service at {url} broke off.")


@contextmanager
def _opened(body: Body | None) -> Iterator[bytes | IO[bytes] | None]:
    if isinstance(body, Path):
        with body.open("rb") as file:
            yield file
    else:
        yield body


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(CHUNK):
        yield piece


async def _async_pieces(file: IO[bytes]) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(file.read, CHUNK):
        yield piece


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
