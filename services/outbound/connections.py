"""Network connections for untrusted URLs: to permitted addresses only, and never past a deadline.

This is a network backend for the connection pool of httpcore2, which passes the timeouts of a request on unchanged. So
a `timeout` here is a deadline: a value of `time.monotonic()` that applies to the whole request.
"""

import socket
import ssl
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from ipaddress import ip_address
from threading import Thread
from time import monotonic
from typing import Any

import httpcore2

from services.outbound.addresses import Address, Allowed

Resolve = Callable[[str, int], list[Address]]
"""Resolves host and port to addresses, preferred ones first. Raises `OSError` if there are none."""

# h11 alone would accept 100 KB, and any number of interim responses (1xx) before.
HEAD_BYTES = 64 * 1024

# A response may stall for this long in total; every so many bytes received add one second.
SLOW_SECONDS = 5.0
BYTES_A_SECOND = 10_000


class NotPermitted(Exception):
    """The host has an address that may not be connected to."""


class Diverted(Exception):
    """Something below this process connected to another address than the one that was asked for."""


class HeadTooLarge(Exception):
    """More than `HEAD_BYTES` were received before the body."""


class TooSlow(Exception):
    """The response was slower than `BYTES_A_SECOND` for longer than `slow_seconds`."""


def resolve(host: str, port: int) -> list[Address]:
    """Resolves a host with the system's resolver. Raises `OSError` if it has no address."""
    # As bytes, since Python's own IDNA codec raises `UnicodeError` for labels that are too long.
    found = socket.getaddrinfo(host.encode("ascii"), port, type=socket.SOCK_STREAM)
    return [ip_address(entry[4][0]) for entry in found]


class GuardedNetwork(httpcore2.NetworkBackend):
    """Resolves a host once, checks every address, and connects to these addresses instead of the name.

    This prevents DNS rebinding: a name that resolves differently after the check has no effect. A host is refused if
    any of its addresses is not permitted. Each address has `connect_seconds` to accept the connection, and as long
    again for TLS. A response may be slower than `BYTES_A_SECOND` for `slow_seconds`.
    """

    def __init__(
        self,
        allowed: Allowed,
        connect_seconds: float,
        slow_seconds: float = SLOW_SECONDS,
        resolve: Resolve = resolve,
        network: httpcore2.NetworkBackend | None = None,
    ) -> None:
        self._allowed = allowed
        self._connect_seconds = connect_seconds
        self._slow_seconds = slow_seconds
        self._resolve = resolve
        self._network = network or httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        """Raises `NotPermitted`, `Diverted` and the errors of httpcore2."""
        addresses = self._look_up(host, port, timeout)
        for address in addresses:
            if not self._allowed.permits(host, address):
                raise NotPermitted(f"{host} is at {address}")
        failure: Exception = httpcore2.ConnectError("the host has no address")
        for address in addresses:
            seconds = min(self._connect_seconds, _left(timeout, httpcore2.ConnectTimeout))
            try:
                stream = self._network.connect_tcp(str(address), port, seconds, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
                continue
            try:
                peer = ip_address(stream.get_extra_info("server_addr")[0])
            except OSError as error:
                stream.close()
                failure = httpcore2.ConnectError(error)
                continue
            if peer != address:
                stream.close()
                raise Diverted(f"{host} is at {address}, and {peer} accepted")
            return GuardedStream(stream, self._connect_seconds, self._slow_seconds)
        raise failure

    def _look_up(self, host: str, port: int, deadline: float | None) -> list[Address]:
        """Resolves a host in a thread, which is abandoned at the deadline: `getaddrinfo` has no timeout.

        Each look-up has a daemon thread of its own, so hung ones delay neither others nor the end of the process. The
        system gives up within a minute, so there are never more than a few for each fetching thread.
        """
        answer: Future[list[Address]] = Future()

        def look_up() -> None:
            try:
                answer.set_result(self._resolve(host, port))
            except OSError as error:
                answer.set_exception(error)

        Thread(target=look_up, name="look-up", daemon=True).start()
        try:
            return answer.result(_left(deadline, httpcore2.ConnectTimeout))
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout("looking up the host took too long") from error
        except OSError as error:
            raise httpcore2.ConnectError(error) from error


class GuardedStream(httpcore2.NetworkStream):
    """A connection whose reads and writes end at the deadline; limits the size of heads and the rate of responses.

    Writing starts a request; `head_ended` must be called before the body of the response is read.
    """

    def __init__(self, stream: httpcore2.NetworkStream, connect_seconds: float, slow_seconds: float) -> None:
        self._stream = stream
        self._connect_seconds = connect_seconds
        self._slow_seconds = slow_seconds
        self._readable = HEAD_BYTES
        self._slow_at = 0.0

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Raises `HeadTooLarge`, `TooSlow` and the errors of httpcore2."""
        if not self._readable:
            raise HeadTooLarge
        seconds = _left(timeout, httpcore2.ReadTimeout)
        patience = self._slow_at - monotonic()
        if patience <= 0:
            raise TooSlow
        try:
            data = self._stream.read(min(max_bytes, self._readable), min(seconds, patience))
        except httpcore2.ReadTimeout as error:
            if patience < seconds:
                raise TooSlow from error
            raise
        self._readable -= len(data)
        self._slow_at += len(data) / BYTES_A_SECOND
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._readable = HEAD_BYTES
        self._slow_at = monotonic() + self._slow_seconds
        self._stream.write(buffer, _left(timeout, httpcore2.WriteTimeout))

    def head_ended(self) -> None:
        self._readable = sys.maxsize

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        seconds = min(self._connect_seconds, _left(timeout, httpcore2.ConnectTimeout))
        secure = self._stream.start_tls(ssl_context, server_hostname, seconds)
        return GuardedStream(secure, self._connect_seconds, self._slow_seconds)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(deadline: float | None, late: type[httpcore2.TimeoutException]) -> float:
    """Seconds until the deadline. Raises `late` if it has passed, or if there is none."""
    seconds = (deadline or 0.0) - monotonic()
    if seconds <= 0:
        raise late("no time is left")
    return seconds
