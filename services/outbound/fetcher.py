"""URLs that strangers name -> the bytes of their images, guarded against SSRF, slow and huge answers."""

import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from importlib.metadata import version
from itertools import count
from time import monotonic, sleep

import httpcore2
import httpx2

from services.backoff import pauses
from services.errors import (
    FetchError,
    FetchFailed,
    FetchNotFound,
    FetchRefused,
    FetchTimeout,
    FetchTooLarge,
    FetchUnreachable,
)
from services.outbound.addresses import Allowed
from services.outbound.connections import (
    BYTES_A_SECOND,
    HEAD_BYTES,
    SLOW_SECONDS,
    GuardedNetwork,
    HeadTooLarge,
    NotPermitted,
    Resolve,
    TooSlow,
    resolve,
)
from services.outbound.hosts import Hosts
from services.outbound.packing import too_large, unpacked
from services.outbound.urls import display, parsed, redirected

MAX_REDIRECTS = 3
CONNECTIONS = 64
# So a slow host leaves half of the connections to the others.
OF_ONE_HOST = CONNECTIONS // 2


class Fetcher:
    """Fetches images that strangers name: from public addresses and those that `allow` names, and nowhere else.

    `allow` is LOOKALIKE_FETCH_ALLOW; a malformed one raises `InvalidSetting`. The environment's proxies and netrc
    have no say, and nothing is kept of an answer but its connection. Safe to use from many threads; one per process.
    """

    def __init__(
        self,
        *,
        max_bytes: int,
        allow: str = "",
        connect_seconds: float = 3.0,
        total_seconds: float = 15.0,
        slow_seconds: float = SLOW_SECONDS,
        of_one_host: int = OF_ONE_HOST,
        attempts: int = 3,
        resolve: Resolve = resolve,
        network: httpcore2.NetworkBackend | None = None,
    ) -> None:
        self._max_bytes = max_bytes
        self._total_seconds = total_seconds
        self._attempts = attempts
        self._hosts = Hosts(of_one_host)
        self._pool = httpcore2.ConnectionPool(
            # SSL_CERT_FILE and SSL_CERT_DIR hold: they are how an operator adds the authority of internal hosts.
            ssl_context=httpx2.create_ssl_context(),
            max_connections=CONNECTIONS,
            max_keepalive_connections=CONNECTIONS // 2,
            keepalive_expiry=5.0,
            network_backend=GuardedNetwork(Allowed(allow), connect_seconds, slow_seconds, resolve, network),
        )

    def fetch(self, url: str) -> bytes:
        """The bytes at the URL: at least one, at most `max_bytes`, unpacked where they came as gzip or deflate.

        Follows up to three redirects and tries again what may pass, all within `total_seconds`. An answer that keeps
        below `BYTES_A_SECOND` for `slow_seconds` is cut, and not tried again; `of_one_host` are asked of one host at a
        time. Raises a `FetchError`.
        """
        visit = _Visit(self._pool, self._hosts, url, self._max_bytes, self._total_seconds)
        for attempts in count(1):
            try:
                return visit.attempt()
            except FetchError as error:
                pause = visit.pause()
                if attempts >= self._attempts or not error.retryable or pause is None:
                    raise
                sleep(pause)
        raise AssertionError("counting does not end")

    def close(self) -> None:
        """Closes the connections, when nothing is fetched any more."""
        self._pool.close()


class _Visit:
    """One `fetch`: its URL, its deadline, and what the server said about coming again."""

    def __init__(self, pool: httpcore2.ConnectionPool, hosts: Hosts, url: str, max_bytes: int, seconds: float) -> None:
        self._deadline = monotonic() + seconds
        self._pool = pool
        self._hosts = hosts
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._name = display(url)
        self._url = parsed(url, self._name)
        self._retry_after = 0.0
        self._slow = False
        self._pauses = pauses(0.03 * seconds, seconds, jitter=1 / 3)

    def pause(self) -> float | None:
        """Seconds until another attempt; None where no time is left for it, or the host has had its time."""
        # Not stamina: its limit of time is asked before a pause, not for after it, so it would sleep past the deadline.
        seconds = max(next(self._pauses), self._retry_after)
        self._retry_after = 0.0
        if self._slow:
            return None
        return seconds if monotonic() + seconds < self._deadline else None

    def attempt(self) -> bytes:
        # A redirect is not named: one of an internal host may hold what is no stranger's business.
        url, what = self._url, self._name
        for _ in range(MAX_REDIRECTS + 1):
            with self._answer(url, what) as answer:
                headers = httpx2.Headers(answer.headers)
                if answer.status not in (301, 302, 303, 307, 308) or "location" not in headers:
                    return self._image(answer, headers, what)
            what = f"The redirect of {self._name}"
            url = redirected(url, headers["location"], what)
        raise FetchRefused(f"{self._name} redirects more than {MAX_REDIRECTS} times; give the URL it ends at.")

    @contextmanager
    def _answer(self, url: httpx2.URL, what: str) -> Iterator[httpcore2.Response]:
        """The head of the answer; the body may be read within. Whatever goes wrong within becomes a `FetchError`."""
        try:
            with (
                self._hosts.visit(url.host, self._deadline),
                closing(self._pool.handle_request(self._request(url))) as answer,
            ):
                yield answer
        except NotPermitted as error:
            raise FetchRefused(
                f"{what} leads to an address that is not public; "
                "if images may come from there, add its host to LOOKALIKE_FETCH_ALLOW."
            ) from error
        except HeadTooLarge as error:
            raise FetchTooLarge(
                f"{what} is answered with a head of more than {HEAD_BYTES:,} bytes; give another URL."
            ) from error
        except TooSlow as error:
            self._slow = True
            raise FetchTimeout(
                f"{what} is answered with fewer than {BYTES_A_SECOND:,} bytes a second; try again later."
            ) from error
        except httpcore2.TimeoutException as error:
            if isinstance(error, httpcore2.ConnectTimeout) and monotonic() < self._deadline:
                raise FetchTimeout(f"{what} accepts no connection; check its host and try again later.") from error
            raise FetchTimeout(f"{what} took more than {self._seconds:g} seconds; try again later.") from error
        except httpcore2.ConnectError as error:
            raise FetchUnreachable(
                f"{what} cannot be reached ({_reason(error)}); check its host and try again later."
            ) from error
        except (httpcore2.NetworkError, httpcore2.ProtocolError) as error:
            raise FetchUnreachable(f"{what} broke off or is no valid HTTP; try again later.") from error

    def _request(self, url: httpx2.URL) -> httpcore2.Request:
        return httpcore2.Request(
            b"GET",
            httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=[
                (b"Host", url.netloc),
                (b"User-Agent", _user_agent()),
                (b"Accept", b"*/*"),
                (b"Accept-Encoding", b"identity"),
            ],
            # `services.outbound.connections` takes a point in time, the pool itself seconds.
            extensions={
                "timeout": dict.fromkeys(("connect", "read", "write"), self._deadline)
                | {"pool": max(self._deadline - monotonic(), 0.0)}
            },
        )

    def _image(self, answer: httpcore2.Response, headers: httpx2.Headers, what: str) -> bytes:
        if answer.status in (408, 429) or 500 <= answer.status <= 599:
            self._retry_after = _seconds_until(headers.get("retry-after", ""))
            raise FetchFailed(f"{what} is answered with status {answer.status}; try again later.")
        if answer.status not in (200, 203):
            raise FetchNotFound(
                f"{what} is answered with status {answer.status} and no image; "
                "check the URL, and that it needs no login."
            )
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._max_bytes:
            raise too_large(what, self._max_bytes)
        answer.extensions["network_stream"].head_ended()
        data = bytearray()
        for part in answer.iter_stream():
            data += part
            if len(data) > self._max_bytes:
                raise too_large(what, self._max_bytes)
        image = unpacked(bytes(data), headers.get("content-encoding", ""), self._max_bytes, what)
        if not image:
            raise FetchNotFound(f"{what} is answered with no bytes; check that it is an image.")
        return image


@cache
def _user_agent() -> bytes:
    return f"lookalike/{version('lookalike')}".encode()


def _reason(error: httpcore2.ConnectError) -> str:
    cause = error.args[0] if error.args else None
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"certificate refused: {cause.verify_message}".rstrip(".")
    return cause.strerror if isinstance(cause, OSError) and cause.strerror else "no connection"


def _seconds_until(retry_after: str) -> float:
    """What Retry-After says, in seconds or as a date; 0.0 where it says nothing."""
    if retry_after.isdecimal():
        return float(retry_after)
    try:
        return (parsedate_to_datetime(retry_after).astimezone(UTC) - datetime.now(UTC)).total_seconds()
    except (ValueError, OverflowError):
        return 0.0
