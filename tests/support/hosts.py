"""Small hosts on loopback that say exactly what a test wants, and a fetcher that may ask them."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any, Self

import httpcore2

from services.outbound.addresses import Address
from services.outbound.fetcher import Fetcher

IMAGE = b"\xff\xd8\xffthe bytes of an image"
PUBLIC = ip_address("93.184.215.14")

Talk = Callable[[socket.socket], None]


class Server:
    """A server on loopback; the first connection gets the first answer, those after the last one get the last."""

    def __init__(self, *answers: bytes | Talk, tls: ssl.SSLContext | None = None) -> None:
        self._answers = answers
        self._tls = tls
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self.port: int = self._socket.getsockname()[1]
        self.connections = 0
        self.requests: list[bytes] = []
        self.over = threading.Event()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/image.jpg"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._socket.close()

    def _start(self, function: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=function, args=args)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            answer = self._answers[min(self.connections, len(self._answers) - 1)]
            self.connections += 1
            self._start(self._serve, connection, answer)

    def _serve(self, connection: socket.socket, answer: bytes | Talk) -> None:
        with connection:
            connection.settimeout(5)
            try:
                if self._tls:
                    connection = self._tls.wrap_socket(connection, server_side=True)
                with connection:
                    if callable(answer):
                        answer(connection)
                    elif self.read_request(connection):
                        connection.sendall(answer)
            except OSError:
                return

    def read_request(self, connection: socket.socket) -> bytes:
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            data = connection.recv(65_536)
            if not data:
                return b""
            request += data
        self.requests.append(request)
        return request

    def dripping(self, start: bytes, drop: bytes, seconds: float = 0.02) -> Talk:
        """Sends `start`, then a drop again and again until the other side has had enough."""

        def talk(connection: socket.socket) -> None:
            self.read_request(connection)
            connection.sendall(start)
            while not self.over.wait(seconds):
                connection.sendall(drop)

        return talk

    def answers(self, *answers: bytes | Talk) -> None:
        self._answers = answers


class Elsewhere(httpcore2.NetworkBackend):
    """Notes what is connected to, and connects to a port of loopback instead; the other side is said to be `peer`."""

    def __init__(self, port: int | None = None, peer: str | None = None) -> None:
        self.hosts: list[str] = []
        self._port = port
        self._peer = peer

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        self.hosts.append(host)
        if self._port is None:
            raise httpcore2.ConnectError("there is no network")
        stream = httpcore2.SyncBackend().connect_tcp("127.0.0.1", self._port, timeout)
        return Disguised(stream, self._peer or host)


class Disguised(httpcore2.NetworkStream):
    def __init__(self, stream: httpcore2.NetworkStream, peer: str) -> None:
        self.read, self.write, self.close = stream.read, stream.write, stream.close  # type: ignore[method-assign]
        self.start_tls = stream.start_tls  # type: ignore[method-assign]
        self._stream = stream
        self._peer = peer

    def get_extra_info(self, info: str) -> Any:
        return (self._peer, 80) if info == "server_addr" else self._stream.get_extra_info(info)


@contextmanager
def fetching(**options: Any) -> Iterator[Fetcher]:
    defaults: dict[str, Any] = {
        "max_bytes": 100_000,
        "allow": "127.0.0.1",
        "connect_seconds": 0.3,
        "total_seconds": 5.0,
        "attempts": 1,
    }
    fetcher = Fetcher(**defaults | options)
    try:
        yield fetcher
    finally:
        fetcher.close()


def fetch(url: str, **options: Any) -> bytes:
    with fetching(**options) as fetcher:
        return fetcher.fetch(url)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    start = time.monotonic()
    yield
    assert time.monotonic() - start < seconds


def reply(body: bytes = IMAGE, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def redirect(location: str, status: str = "302 Found") -> bytes:
    return reply(b"", f"Location: {location}", status=status)


def resolving(*answers: list[Address]) -> Callable[[str, int], list[Address]]:
    """The first look-up gets the first answer, those after the last one get the last."""
    rest = list(answers)
    return lambda host, port: rest.pop(0) if len(rest) > 1 else rest[0]
