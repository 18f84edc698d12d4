"""Fetching images from untrusted URLs, guarded against SSRF, slow and huge responses."""

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
from services.errors import FetchError, FetchFailed, FetchNotFound, FetchRefused, ImageUnsupported
from services.outbound.addresses import Allowed
from services.outbound.connections import SLOW_SECONDS, GuardedNetwork, Resolve, TooSlow, resolve
from services.outbound.cookies import Cookies
from services.outbound.failures import FAILURES, failure
from services.outbound.headers import HostHeaders
from services.outbound.hosts import Hosts
from services.outbound.packing import too_large, unpacked
from services.outbound.urls import display, parsed, redirected
from services.signatures import READ, description, media_type

MAX_REDIRECTS = 5
CONNECTIONS = 64
# So a slow host leaves half of the connections to other hosts.
OF_ONE_HOST = CONNECTIONS // 2
# What is read. A host that chooses by this sends one of the first, which decode fastest.
ACCEPT = (
    "image/jpeg, image/png, image/webp, image/gif, image/bmp, image/tiff, "
    "image/avif;q=0.9, image/heic;q=0.8, image/heif;q=0.8, */*;q=0.1"
)


class Fetcher:
    """Fetches images from untrusted URLs: only from public addresses and from those in `allow`.

    `allow` is LOOKALIKE_FETCH_ALLOW; a malformed one raises `InvalidSetting`. Proxies of the environment and netrc are
    ignored, and nothing of a fetch but its connections is kept. Thread-safe; use one per process.
    """

    def __init__(
        self,
        *,
        max_bytes: int,
        allow: str = "",
        headers: HostHeaders | None = None,
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
        self._headers = headers or HostHeaders()
        self._hosts = Hosts(of_one_host)
        self._pool = httpcore2.ConnectionPool(
            # Honors SSL_CERT_FILE and SSL_CERT_DIR, which take the place of the system's CAs.
            ssl_context=httpx2.create_ssl_context(),
            max_connections=CONNECTIONS,
            max_keepalive_connections=CONNECTIONS // 2,
            keepalive_expiry=5.0,
            network_backend=GuardedNetwork(Allowed(allow), connect_seconds, slow_seconds, resolve, network),
        )

    def fetch(self, url: str) -> bytes:
        """Returns the image at the URL: at most `max_bytes`, decompressed if sent as gzip or deflate.

        Follows up to five redirects and retries transient errors, all within `total_seconds`; cookies that a host sets
        meanwhile are sent back to it. A response slower than `BYTES_A_SECOND` for `slow_seconds` is aborted and not
        retried. At most `of_one_host` requests to one host run at the same time.

        Raises:
            FetchError: One of its subclasses says why.
            ImageUnsupported: The answer is something else, such as a page that asks for a login.
        """
        visit = _Visit(self._pool, self._hosts, self._headers, url, self._max_bytes, self._total_seconds)
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
        """Closes the connections. Call it only when no fetch is in progress."""
        self._pool.close()


class _Visit:
    """One call of `fetch`: its URL, its deadline, its cookies, and the server's Retry-After."""

    def __init__(
        self,
        pool: httpcore2.ConnectionPool,
        hosts: Hosts,
        headers: HostHeaders,
        url: str,
        max_bytes: int,
        seconds: float,
    ) -> None:
        self._deadline = monotonic() + seconds
        self._pool = pool
        self._hosts = hosts
        self._headers = headers
        self._cookies = Cookies()
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._name = display(url.strip())
        self._url = parsed(url, self._name)
        self._retry_after = 0.0
        self._slow = False
        self._pauses = pauses(0.03 * seconds, seconds, jitter=1 / 3)

    def pause(self) -> float | None:
        """Seconds to wait before the next attempt; None if too little time is left or the host was too slow."""
        # Not stamina: it checks its time limit before a pause without counting the pause, and so overruns the deadline.
        seconds = max(next(self._pauses), self._retry_after)
        self._retry_after = 0.0
        if self._slow:
            return None
        return seconds if monotonic() + seconds < self._deadline else None

    def attempt(self) -> bytes:
        # Messages do not show the URL of a redirect: that of an internal host may be confidential.
        url, what = self._url, self._name
        for _ in range(MAX_REDIRECTS + 1):
            with self._answer(url, what) as answer:
                self._cookies.keep(url, answer.headers)
                headers = httpx2.Headers(answer.headers)
                if answer.status not in (301, 302, 303, 307, 308) or "location" not in headers:
                    return self._image(answer, headers, what)
            what = f"The redirect of {self._name}"
            url = redirected(url, headers["location"], what)
        raise FetchRefused(f"{self._name} redirects more than {MAX_REDIRECTS} times; give the URL of the image itself.")

    @contextmanager
    def _answer(self, url: httpx2.URL, what: str) -> Iterator[httpcore2.Response]:
        """Yields the head of the response; the body can be read within the block. Errors become `FetchError`s."""
        try:
            with (
                self._hosts.visit(url.host, self._deadline),
                closing(self._pool.handle_request(self._request(url))) as answer,
            ):
                yield answer
        except FAILURES as error:
            self._slow = isinstance(error, TooSlow)
            raise failure(error, what, self._seconds, is_late=monotonic() >= self._deadline) from error

    def _request(self, url: httpx2.URL) -> httpcore2.Request:
        headers = httpx2.Headers({"Host": url.netloc.decode("ascii"), "User-Agent": _user_agent(), "Accept": ACCEPT})
        headers["Accept-Encoding"] = "identity"
        # Those of this very host, also after a redirect: nothing of the request before goes along.
        headers.update(self._headers.of(url))
        if cookies := "; ".join(filter(None, (headers.get("Cookie"), self._cookies.header(url)))):
            headers["Cookie"] = cookies
        return httpcore2.Request(
            b"GET",
            httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=headers.raw,
            # `services.outbound.connections` expects a point in time, the pool itself seconds.
            extensions={
                "timeout": dict.fromkeys(("connect", "read", "write"), self._deadline)
                | {"pool": max(self._deadline - monotonic(), 0.0)}
            },
        )

    def _image(self, answer: httpcore2.Response, headers: httpx2.Headers, what: str) -> bytes:
        if answer.status in (408, 429) or 500 <= answer.status <= 599:
            self._retry_after = _seconds_until(headers.get("retry-after", ""))
            raise FetchFailed(f"{what} is answered with status {answer.status}; try again later.")
        if answer.status in (401, 403, 407):
            raise FetchNotFound(
                f"{what} is answered with status {answer.status}: its host wants a key or login, or does "
                "not serve us; give a URL that needs none, or set its headers in LOOKALIKE_FETCH_HEADERS_FILE."
            )
        if answer.status not in (200, 203):
            raise FetchNotFound(f"{what} is answered with status {answer.status} and no image; check the URL.")
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
            raise FetchNotFound(f"{what} is answered with no bytes; check the URL.")
        if media_type(image) is None:
            found = description(image) or "something else"
            raise ImageUnsupported(
                f"{what} is answered with {found} ({_content_type(headers)}), not with an image of a format that is "
                f"read ({READ}); check that the URL needs no login and leads to the image itself."
            )
        return image


@cache
def _user_agent() -> str:
    return f"lookalike/{version('lookalike')}"


def _content_type(headers: httpx2.Headers) -> str:
    """What the host calls its answer; shortened, and only what a media type consists of."""
    told = "".join(each for each in headers.get("content-type", "") if each.isascii() and each.isprintable())
    return f"as {told[:80]}" if told else "without a content type"


def _seconds_until(retry_after: str) -> float:
    """Parses Retry-After, which is seconds or a date, to seconds from now; 0.0 if it is missing or malformed."""
    if retry_after.isdecimal():
        return float(retry_after)
    try:
        return (parsedate_to_datetime(retry_after).astimezone(UTC) - datetime.now(UTC)).total_seconds()
    except (ValueError, OverflowError):
        return 0.0
