"""The connection to a Qdrant server: transient failures are retried, errors are translated into ours."""

import ssl
import threading
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
import httpx
import stamina
from qdrant_client import QdrantClient
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from services.errors import CatalogNotFound, IndexRefused, IndexUnavailable, IndexUnsupported, LookalikeError

OLDEST = (1, 18)
WRITE_SECONDS = 60
"""Seconds that Qdrant may take for a write, which it acknowledges when the points are searchable."""

ATTEMPTS = 4
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 0.4
RECONNECT_SECONDS = 2
"""Maximum seconds between gRPC's attempts to reconnect; its default goes up to two minutes."""


class Client:
    """A client of one Qdrant server, which it connects to at the first call. Thread-safe.

    Args:
        url: The server's URL, http:// or https://.
        api_key: Its API key; empty for none.
        grpc_port: The port of its gRPC interface; 0 to use REST only.
        timeout: Seconds that it may take for anything but a write.
        ca_file: Certificates (PEM) to verify the server's against; None for those of certifi.
    """

    def __init__(
        self, url: str, *, api_key: str = "", grpc_port: int = 0, timeout: int = 2, ca_file: Path | None = None
    ) -> None:
        self.url = url
        self.timeout = timeout
        self._key = api_key
        self._grpc_port = grpc_port
        self._ca_file = ca_file
        self._lock = threading.Lock()
        self._clients: dict[int, QdrantClient] = {}
        self._checked = False

    def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Calls a method of `QdrantClient` with these arguments and returns its result.

        The call is retried if the server is busy or may not have received it, but not after a timeout; so the method
        must be idempotent.

        Raises:
            IndexUnavailable: The server does not answer, or rejects the API key.
            IndexUnsupported: The server is too old.
            IndexRefused: The server rejects the request.
            CatalogNotFound: The collection does not exist.
        """
        # With gRPC the deadline of the client applies to writes, too, whatever timeout the call passes.
        seconds = kwargs.get("timeout", self.timeout) if self._grpc_port else self.timeout
        try:
            for attempt in stamina.retry_context(
                on=_may_pass,
                attempts=ATTEMPTS,
                timeout=self.timeout,  # of all attempts together: none follows one that took this long
                wait_initial=FIRST_PAUSE,
                wait_max=LONGEST_PAUSE,
                wait_jitter=FIRST_PAUSE,
            ):
                with attempt:
                    return getattr(self._connected(seconds), method)(*args, **kwargs)
        except (UnexpectedResponse, ResponseHandlingException, ResourceExhaustedResponse, grpc.RpcError) as error:
            raise _named(error) from error
        except ValueError as error:
            # From gRPC: the channel was closed meanwhile.
            if "closed channel" not in str(error):
                raise
            raise IndexUnavailable("The connection to Qdrant was closed, because this process ends.") from error
        raise AssertionError("an attempt returns or raises")

    def close(self) -> None:
        """Closes the connections; later calls open new ones."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()

    def _connected(self, seconds: int) -> QdrantClient:
        with self._lock:
            if seconds not in self._clients:
                self._clients[seconds] = self._made(seconds)
            client = self._clients[seconds]
        if not self._checked:
            found = client.info().version
            if tuple(int(part) for part in found.split("-")[0].split(".")[:2]) < OLDEST:
                raise IndexUnsupported(
                    f"The Qdrant of LOOKALIKE_QDRANT_URL is version {found}; take {OLDEST[0]}.{OLDEST[1]} or newer."
                )
            self._checked = True
        return client

    def _made(self, seconds: int) -> QdrantClient:
        checked_by: dict[str, Any] = {"verify": str(self._ca_file)} if self._ca_file else {}
        if not checked_by and urlsplit(self.url).scheme == "http":
            # No certificate comes; to read the authorities of the system takes as long as ten requests.
            checked_by = {"verify": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)}
        grpc_options: dict[str, Any] = {"grpc.max_reconnect_backoff_ms": 1000 * RECONNECT_SECONDS}
        if self._ca_file:
            grpc_options["root_certificates"] = self._ca_file.read_bytes()
        with warnings.catch_warnings():
            # It warns about an API key over plain HTTP, which is a choice of the operator: usual inside a cluster.
            warnings.simplefilter("ignore", UserWarning)
            return QdrantClient(
                url=self.url,
                port=None,
                api_key=self._key or None,
                prefer_grpc=self._grpc_port != 0,
                grpc_port=self._grpc_port or 6334,
                grpc_options=grpc_options,
                timeout=seconds,
                check_compatibility=False,
                # By default the client opens a new connection for each request to localhost.
                limits=httpx.Limits(max_connections=100, max_keepalive_connections=100),
                trust_env=False,
                **checked_by,
            )


_STATUS = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.UNAVAILABLE: 503,
}


def _named(error: Exception) -> LookalikeError:
    """Translates an error. Callers of the API see the message, so it does not contain the server's address."""
    status = _status(error)
    if status == 404:
        return CatalogNotFound("The catalog is not in Qdrant any more: it was removed.")
    if status in (401, 403):
        return IndexUnavailable("Qdrant, which keeps the vectors, refuses the key in LOOKALIKE_QDRANT_API_KEY.")
    if status and 400 <= status < 500 and status not in (408, 429):
        return IndexRefused(f"Qdrant, which keeps the vectors, refuses the request ({_reason(error)}).")
    return IndexUnavailable(
        f"Qdrant, which keeps the vectors, does not answer ({_reason(error)}); try again in a moment."
    )


def _status(error: Exception) -> int | None:
    """The HTTP status of an answer, or gRPC's equivalent; None if there was no answer."""
    if isinstance(error, UnexpectedResponse):
        return error.status_code
    if isinstance(error, ResourceExhaustedResponse):
        return 429
    if isinstance(error, grpc.RpcError) and isinstance(error, grpc.Call):
        return _STATUS.get(error.code())
    return None


def _may_pass(error: Exception) -> bool:
    if isinstance(error, ResponseHandlingException):
        return isinstance(error.source, httpx.TransportError) and not isinstance(error.source, httpx.ReadTimeout)
    return _status(error) in (429, 500, 502, 503, 504)


def _reason(error: Exception) -> str:
    if isinstance(error, ResponseHandlingException):
        return type(error.source).__name__
    if isinstance(error, UnexpectedResponse):
        return f"{error.status_code} {error.content.decode(errors='replace')[:300]}"
    if isinstance(error, grpc.RpcError) and isinstance(error, grpc.Call):
        return f"{error.code().name}: {(error.details() or '')[:300]}"
    return str(_status(error) or type(error).__name__)
