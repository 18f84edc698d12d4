"""Requests to a running service: repeated where it asks for that; what it refuses is raised as its own error."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import Any

import httpx2

from services.backoff import pauses
from services.errors import InvalidSetting, LookalikeError, ServiceUnavailable

ANSWER_SECONDS = 60.0
CONNECT_SECONDS = 3.0
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0
AWAY_SECONDS = 60.0
"""How long a service that does not answer at all is waited for."""


class Client:
    """A connection to the service at `url`, for many threads at a time.

    Once `hurry` is set nothing is sent a second time.
    """

    def __init__(self, url: str, api_key: str = "", away_seconds: float = AWAY_SECONDS) -> None:
        """
        Args:
            url: Where the service answers.
            api_key: The key to send; none where it is empty.
            away_seconds: How long a service that does not answer at all is waited for.

        Raises:
            InvalidSetting: This is no key.
        """
        self.url = url
        self._away_seconds = away_seconds
        self.hurry = threading.Event()
        self._http = httpx2.Client(
            base_url=url,
            headers=_authorization(api_key.strip()),
            timeout=_timeout(ANSWER_SECONDS),
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=None),
            # The service is near: no proxy has a say. Reading certificates takes longer than most answers.
            trust_env=False,
            verify=url.startswith("https:"),
        )

    def close(self) -> None:
        self.hurry.set()
        self._http.close()

    def json(self, method: str, path: str, **options: Any) -> Any:
        """What `ask` is answered, as JSON."""
        try:
            return self.ask(method, path, **options).json()
        except ValueError as error:
            raise ServiceUnavailable(f"What answers at {self.url} is no Lookalike: see `lookalike doctor`.") from error

    def ask(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """The answer to a request that succeeds. Raises the error of the answer, `ServiceUnavailable`."""
        response = self.send(method, path, **options)
        if response.status_code >= 400:
            raise self.error(response)
        return response

    def send(
        self, method: str, path: str, *, patience: float = 0.0, seconds: float = ANSWER_SECONDS, **options: Any
    ) -> httpx2.Response:
        """The answer, whatever its status.

        Args:
            method: The method of HTTP.
            path: The path under `url`.
            patience: Seconds in which the request is repeated where that can help, after the pause that Retry-After
                names. A service that does not answer at all is waited for no longer than `away_seconds`.
            seconds: How long one answer may take.
            options: Of the request: its body, parameters and headers.

        Raises:
            ServiceUnavailable: There is no answer.
        """
        # Not stamina: waiting for the next attempt must end when the command does.
        until = time.monotonic() + patience
        back_until: float | None = None
        for pause in pauses(FIRST_PAUSE, LONGEST_PAUSE, jitter=0.5):
            answer = self._attempt(method, path, timeout=_timeout(seconds), **options)
            now = time.monotonic()
            if isinstance(answer, httpx2.Response):
                if not _may_succeed_later(answer):
                    return answer
                pause += _retry_after(answer)
                back_until = None
            else:
                back_until = back_until or min(until, now + self._away_seconds)
            if now + pause > (back_until or until) or self.hurry.wait(pause):
                break
        if isinstance(answer, httpx2.Response):
            return answer
        raise answer

    @contextmanager
    def stream(self, method: str, path: str) -> Iterator[Iterator[bytes]]:
        """The bytes of an answer that is long. Raises the error of the answer, `ServiceUnavailable`."""
        try:
            with self._http.stream(method, path, timeout=_timeout(ANSWER_SECONDS)) as response:
                if response.status_code >= 400:
                    response.read()
                    raise self.error(response)
                yield response.iter_bytes()
        except httpx2.RequestError as error:
            raise self._unavailable(error) from None

    def error(self, response: httpx2.Response) -> LookalikeError:
        """The error of an answer whose status is 400 or more."""
        refusal = problem(response)
        code, detail = str(refusal.get("code")), str(refusal.get("detail"))
        if response.status_code == 401:
            detail = (
                f"The service at {self.url} answers only to a key that it knows: put one into LOOKALIKE_API_KEY "
                "(`lookalike keys create` makes them)."
            )
        if kind := kind_of(code):
            return kind(detail)
        why = f": {detail}" if "detail" in refusal else "."
        return ServiceUnavailable(f"The service at {self.url} answers {response.status_code}{why}")

    def _attempt(self, method: str, path: str, **options: Any) -> httpx2.Response | ServiceUnavailable:
        try:
            return self._http.request(method, path, **options)
        except httpx2.RequestError as error:
            return self._unavailable(error)

    def _unavailable(self, error: httpx2.RequestError) -> ServiceUnavailable:
        # What httpx2 says may hold what was sent, the key included.
        match error:
            case httpx2.TimeoutException():
                why = "does not answer in time"
            case httpx2.ConnectError():
                why = "cannot be reached"
            case _:
                why = "broke off"
        return ServiceUnavailable(
            f"The service at {self.url} {why}: see with `lookalike doctor` whether it runs, and try again."
        )


def problem(response: httpx2.Response) -> dict[str, Any]:
    """What a problem+json says; empty where it is none."""
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def kind_of(code: str) -> type[LookalikeError] | None:
    """The class of errors with this code."""
    return _kinds().get(code)


@cache
def _kinds() -> dict[str, type[LookalikeError]]:
    """By code, all that are made of a sentence: the domain's, and those of requests."""
    import_module("api.errors")
    found: dict[str, type[LookalikeError]] = {}
    kinds = [LookalikeError]
    while kinds:
        kind = kinds.pop(0)
        if "__init__" not in vars(kind):
            found.setdefault(kind.code, kind)
        kinds += kind.__subclasses__()
    return found


def _authorization(api_key: str) -> dict[str, str]:
    if not all("!" <= character <= "~" for character in api_key):
        raise InvalidSetting(
            "LOOKALIKE_API_KEY holds characters that no key has; copy it as `lookalike keys create` printed it."
        )
    return {"Authorization": f"Bearer {api_key}"} if api_key else {}


def _timeout(seconds: float) -> httpx2.Timeout:
    return httpx2.Timeout(seconds, connect=CONNECT_SECONDS, pool=None)


def _may_succeed_later(response: httpx2.Response) -> bool:
    """Whether repeating the request can help. It cannot where a change was accepted and has failed."""
    if response.status_code < 400:
        return False
    refusal = problem(response)
    return "job" not in refusal and refusal.get("retryable", response.status_code in (429, 503)) is True


def _retry_after(response: httpx2.Response) -> float:
    seconds = response.headers.get("Retry-After", "")
    return float(seconds) if seconds.isdecimal() and len(seconds) < 6 else 0.0
