"""What a server refuses before the app sees it is a problem as any other."""

import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from key_files import write

from api.access.keyring import Keyring
from api.access.keys import hashed
from api.servers.embedded import EmbeddedServer
from services import settings

Address = tuple[str, int]

SEEN = "https://shop.example/lookalike"
HEAD = b"POST /v1/catalogs/shoes/products HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
LINE = b'{"product_id": "a", "image_url": "https://images.example.com/1.jpg"}\n'

UNREADABLE = {
    "a length that is none": (HEAD + b"Content-Length: x\r\n\r\n" + LINE, {400}),
    "a length below nothing": (HEAD + b"Content-Length: -1\r\n\r\n" + LINE, {400}),
    "a header without a colon": (HEAD + b"nonsense\r\n\r\n", {400}),
    "a header's name with a space": (HEAD + b"a b: c\r\n\r\n", {400}),
    "a chunk that is none": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + LINE, {400}),
    "a coding that nobody knows": (HEAD + b"Transfer-Encoding: gzip\r\n\r\n" + LINE, {400, 501}),
    "no request line": (b"hello\r\n\r\n", {400}),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_what_is_no_request_is_a_problem(server: Any, case: str) -> None:
    request, expected = UNREADABLE[case]
    before = server.send("GET", "/v1/jobs")[2]["jobs"]
    status, headers, answer = server.ask(request, cut=True)
    assert status in expected and headers["Content-Type"] == "application/problem+json"
    told = json.loads(answer)
    assert set(told) - {"errors"} == {"type", "title", "status", "detail", "code", "retryable", "instance"}
    assert told["status"] == status and told["type"] == f"/problems/{told['code']}"
    assert told["code"] == ("not_implemented" if status == 501 else "request_malformed")
    assert told["detail"].endswith(".") and "Traceback" not in told["detail"]
    assert server.send("GET", "/v1/jobs")[2]["jobs"] == before, "nothing was accepted"
    assert server.send("GET", "/livez")[0] == 200


@pytest.fixture
def locked(make_service: Any, tmp_path: Path) -> Iterator[Address]:
    """A service with the keys `right`, to ingest, and `root` behind waitress as `up` has it."""
    lines = f"shop:ingest:*:{hashed('right')}", f"root:{hashed('root')}"
    ring = Keyring.load(write(tmp_path / "keys", *lines))
    service = make_service(keyring=ring, public_url=SEEN)
    given = settings.load(data=tmp_path, public_url=SEEN)
    server = EmbeddedServer(service.app, "127.0.0.1", 0, given, ring)
    server.start()
    yield "127.0.0.1", int(server.url.rpartition(":")[2])
    server.hang_up()


@pytest.mark.parametrize("length", ["Content-Length: 900000000", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("more", ["", "Expect: 100-continue\r\n"])
@pytest.mark.parametrize("key", ["", "Authorization: Bearer wrong\r\n"])
def test_who_has_no_key_is_told_so_before_the_body(locked: Address, length: str, more: str, key: str) -> None:
    """Else anybody could fill the disk with what the server keeps of bodies until they are whole."""
    with socket.create_connection(locked, timeout=120) as line:
        line.sendall(HEAD + f"{key}{more}{length}\r\n\r\n".encode())
        answer = b"".join(iter(lambda: line.recv(1 << 16), b""))
    assert answer.startswith(b"HTTP/1.1 401 ") and answer.count(b"HTTP/1.1") == 1
    assert b"\r\nConnection: close\r\n" in answer


def test_what_follows_a_head_without_a_key_is_no_request(locked: Address) -> None:
    """It would be one that a proxy in between has not seen."""
    hidden = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.create_connection(locked, timeout=120) as line:
        line.sendall(HEAD + f"Content-Length: {len(hidden)}\r\n\r\n".encode() + hidden)
        answer = b""
        with suppress(ConnectionResetError):
            while piece := line.recv(1 << 16):
                answer += piece
    assert answer.count(b"HTTP/1.1 ") == 1 and answer.startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("path", ["/v1/session", "/lookalike/v1/session"])
def test_who_logs_in_is_heard_and_then_known_by_the_cookie(locked: Address, path: str) -> None:
    def ask(head: str, body: bytes) -> bytes:
        with socket.create_connection(locked, timeout=120) as line:
            line.sendall(f"{head}\r\nHost: localhost\r\n".encode() + b"Connection: close\r\n\r\n" + body)
            return b"".join(iter(lambda: line.recv(1 << 16), b""))

    key = b'{"key": "root"}'
    json = "Content-Type: application/json\r\n"
    begun = ask(f"POST {path} HTTP/1.1\r\n{json}Content-Length: {len(key)}", key)
    assert begun.startswith(b"HTTP/1.1 200 ")
    cookie = begun.partition(b"Set-Cookie: ")[2].partition(b";")[0].decode()
    made = f"PUT /v1/catalogs/bags HTTP/1.1\r\n{json}Origin: https://shop.example\r\nContent-Length: 2\r\nCookie: "
    assert ask(made + cookie[:-1], b"{}").startswith(b"HTTP/1.1 401 ")
    assert ask(made + cookie, b"{}").startswith(b"HTTP/1.1 201 "), "its body was read"
    # What is no log-in is not kept of those who are not known, however it says its size.
    assert ask(f"POST {path} HTTP/1.1\r\n{json}Content-Length: 5000", b"").startswith(b"HTTP/1.1 4")
    assert ask(f"POST {path} HTTP/1.1\r\n{json}Transfer-Encoding: chunked", b"").startswith(b"HTTP/1.1 4")


def test_who_has_a_key_is_heard(locked: Address) -> None:
    with socket.create_connection(locked, timeout=120) as line:
        line.sendall(HEAD + f"Authorization: Bearer right\r\nContent-Length: {len(LINE)}\r\n\r\n".encode() + LINE)
        assert line.recv(1 << 16).startswith(b"HTTP/1.1 404 "), "the catalog is not there"
