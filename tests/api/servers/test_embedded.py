"""The server of `lookalike up`: it listens at once, answers in a thread, and hangs up on everybody."""

import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from api.servers.embedded import EmbeddedServer
from services import settings
from services.errors import InvalidSetting

Make = Callable[[str], EmbeddedServer]


def hello(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[EmbeddedServer] = []

    def make(host: str) -> EmbeddedServer:
        made.append(EmbeddedServer(hello, host, 0, settings.load(data=tmp_path), None))
        return made[-1]

    yield make
    for server in made:
        server.hang_up()


def port(server: EmbeddedServer) -> int:
    return int(server.url.rpartition(":")[2])


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost"])
def test_it_answers_at_its_url(make: Make, host: str) -> None:
    server = make(host)
    server.start()
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=10)
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"hello"
    connection.close()


def test_hanging_up_ends_every_connection_and_the_thread(make: Make) -> None:
    before = set(threading.enumerate())
    server = make("127.0.0.1")
    server.start()
    [thread] = [each for each in set(threading.enumerate()) - before if each.name == "http"]
    with socket.create_connection(("127.0.0.1", port(server)), timeout=10) as line:
        line.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = http.client.HTTPResponse(line)
        answer.begin()
        assert (answer.status, answer.read()) == (200, b"hello")
        assert not server.hung_up
        server.hang_up()
        assert server.hung_up and line.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port(server)), timeout=10)
    assert not thread.is_alive()
    server.hang_up()


def test_hanging_up_before_the_start_frees_the_port(make: Make) -> None:
    server = make("127.0.0.1")
    server.hang_up()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port(server)), timeout=10)


def test_a_port_that_is_taken_is_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(InvalidSetting, match="cannot be listened on"):
        EmbeddedServer(hello, "127.0.0.1", taken.getsockname()[1], settings.load(data=tmp_path), None)
