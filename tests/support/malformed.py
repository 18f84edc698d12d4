"""Requests that are none: what OpenAPI tells of the routes, sent right, and then bent."""

import errno
import json
import random
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

JSON: list[Any] = [
    {"image_url": "https://10.0.0.1/a.png", "attributes": {"color": "red"}},
    {"attributes": {"color": None}},
    {"product_id": "a", "limit": 3, "filter": {"must": [{"key": "color", "match": {"value": "red"}}]}},
    {"image_url": "https://10.0.0.1/a.png", "limit": 3},
    {"vector": [0.5] * 1280, "min_score": 0.1},
    [{"product_id": "a", "op": "delete"}, {"product_id": "b", "op": "patch", "attributes": {"n": 1}}],
    {"encoder": "efficientnet_lite0"},
    {"name": "shop", "scopes": ["search"]},
    {},
]
FORM = (
    b'--b\r\nContent-Disposition: form-data; name="attributes"\r\n\r\n{"a":1}\r\n'
    b'--b\r\nContent-Disposition: form-data; name="image"; filename="x.png"\r\n\r\n\x89PNG\r\n\x1a\n\r\n--b--\r\n'
)
FEED = b'{"product_id":"a","op":"delete"}\n{"product_id":"b","op":"patch","attributes":{"n":1}}\n'
NOISE = [
    b"\0",
    b"\xff",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"%00",
    b"%zz",
    b"%",
    b"\r",
    b"\n",
    b"\t",
    b" ",
    b"\x7f",
    b"\xef\xbb\xbf",
]
ODD = [None, True, -1, 0, 10**400, 1e308, "", "\0", "\ud800", "x" * 5000, [], {}, [[]], {"": {}}, "NaN"]
LENGTHS = [b"-1", b"+5", b"0x10", b"1e3", b"99999999999999999999", b"5, 5", b"5, 6", b" ", b"abc", b"0", b"1", b"\xb2"]
HEADERS = [
    b"Host: a b",
    b"Host: [::1",
    b"Host: localhost\r\nHost: example.com",
    b"Host:",
    b"no colon here",
    b": no name",
    b"A\0B: c",
    b"X: a\0b",
    b"X: \xff\xfe",
    b" folded: line",
    b"X: a\r\n folded",
    b"X : space",
    b"X: " + b"y" * 70_000,
    b"\r\n".join(b"X-%d: y" % n for n in range(300)),
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: xchunked",
    b"Expect: 100-continue",
    b"Expect: nonsense",
    b"Connection: upgrade\r\nUpgrade: websocket",
    b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ",
    b"Content-Encoding: gzip",
    b"Content-Type: \xff/\xff",
    b"Content-Type: application/json; charset=utf-7",
    b"Content-Type: application/json; charset=\0",
    b"Content-Type: multipart/form-data",
    b"Content-Type: multipart/form-data; boundary=",
    b"Content-Type: multipart/form-data; boundary=" + b"b" * 5000,
    b"Content-Type: " + b"a/" * 1000,
    b"Idempotency-Key: " + b"k" * 300,
    b"Idempotency-Key: \x01",
    b"Idempotency-Key: a\r\nIdempotency-Key: b",
    b"Range: bytes=0-0,1-1,-1",
    b'If-None-Match: "' + b"a" * 2000,
    b"If-Modified-Since: yesterday",
    b"Authorization: Bearer " + b"\xff" * 50,
    b"Authorization: Basic ////",
    b"Authorization:",
    b"Cookie: " + b"a=b;" * 2000,
    b'X-Forwarded-For: 1.2.3.4, \xff\r\nX-Forwarded-Proto: gopher\r\nForwarded: for="_\\"',
    b"X-Request-Id: " + b"r" * 3000,
    b"Accept: */*;q=NaN, \xff",
    b"Origin: null",
    b"Origin: https://evil.example",
]
QUERIES = [
    b"?",
    b"?limit=-1",
    b"?limit=1e3",
    b"?limit=99999999999999999999999",
    b"?limit=\xff",
    b"?cursor=%00",
    b"?cursor=" + b"a" * 3000,
    b"?wait=nan",
    b"?wait=-1",
    b"?wait=1e400",
    b"?wait=0&wait=0",
    b"?on_error=%ff",
    b"?filter={",
    b"?filter=" + b"%5B" * 500,
    b"?state=x&state",
    b"?=&&&=",
    b"?%=%",
    b"?" + b"a=b&" * 1500,
    b"#fragment",
    b";x=y",
]
PATHS = [
    b"//",
    b"/../../etc/passwd",
    b"/..%2f..%2f",
    b"/%2e%2e/",
    b"/%",
    b"/%00",
    b"/%c0%af",
    b"/\xff",
    b"/" + b"a" * 9000,
    b"/a/" * 500,
    b"*",
    b"",
    b"http://localhost/v1/catalogs",
    b"http://[",
    b"localhost:80",
    b"/static/../../api/app.py",
    b"/docs/%2e%2e%2f",
]
VERSIONS = [
    b"HTTP/1.0",
    b"HTTP/0.9",
    b"HTTP/2.0",
    b"HTTP/9.9",
    b"HTTP/1.1.1",
    b"http/1.1",
    b"HTTP/",
    b"",
    b"HTTP/1.1 x",
    b"\0",
]
METHODS = [
    b"BREW",
    b"get",
    b"G\0T",
    b"G T",
    b"",
    b"TRACE",
    b"CONNECT",
    b"PRI",
    b"\xff",
    b"M" * 500,
    b"OPTIONS",
    b"HEAD",
    b"PROPFIND",
]


@dataclass
class Request:
    """A request in its parts; `chunks` replaces the body by what chunked sending would make of it."""

    method: bytes
    path: bytes
    headers: list[bytes]
    body: bytes = b""
    query: bytes = b""
    version: bytes = b"HTTP/1.1"
    length: bytes | None = None
    end: bytes = b"\r\n"
    bends: list[str] = field(default_factory=list)

    def raw(self) -> bytes:
        length = str(len(self.body)).encode() if self.length is None else self.length
        own = [b"Content-Length: " + length] if self.body or self.length is not None else []
        line = b" ".join([self.method, self.path + self.query, self.version])
        return self.end.join([line, *self.headers, *own, b"Connection: close", b"", b""]) + self.body


def requests(document: dict[str, Any], authorization: bytes, rng: random.Random) -> Callable[[], Request]:
    """Gives right requests to all routes of an OpenAPI document, one after the other."""
    routes = [
        (method, path, list(operation.get("requestBody", {}).get("content", {"": {}})))
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        # Removing the catalog would leave little to ask, and every other name would be a new one.
        if not (path == "/v1/catalogs/{catalog}" and method == "delete")
    ]

    def right() -> Request:
        method, path, types = rng.choice(routes)
        type = rng.choice(types)
        names = {"catalog": "shoes", "product_id": "a", "job": "1", "name": "nobody"}
        target = re.sub(r"{(\w+)}", lambda found: names.get(found[1], "x"), path).encode()
        headers = [b"Host: localhost"]
        if authorization and rng.random() < 0.8:
            headers.append(b"Authorization: Bearer " + authorization)
        if type:
            boundary = "; boundary=b" if type.startswith("multipart") else ""
            headers.append(f"Content-Type: {type}{boundary}".encode())
        return Request(method.upper().encode(), target, headers, _body(type, path, rng))

    return right


def _body(type: str, path: str, rng: random.Random) -> bytes:
    if type == "application/json":
        bodies = [{"encoder": "efficientnet_lite0"}, {}] if path == "/v1/catalogs/{catalog}" else JSON
        return json.dumps(rng.choice(bodies)).encode()
    if type.startswith("multipart"):
        return FORM
    if "json" in type:
        return FEED
    return b"\x89PNG\r\n\x1a\n" if type else b""


def bent(request: Request, rng: random.Random) -> Request:
    """The request, bent in one to three ways."""
    for _ in range(rng.randint(1, 3)):
        bend = rng.choice([_line, _target, _header, _header, _length, _chunked, _noise, _noise, _json, _json, _cut])
        bend(request, rng)
        request.bends.append(bend.__name__)
    return request


def _line(request: Request, rng: random.Random) -> None:
    match rng.randrange(3):
        case 0:
            request.method = rng.choice(METHODS)
        case 1:
            request.version = rng.choice(VERSIONS)
        case _:
            request.end = rng.choice([b"\n", b"\r", b"\r\n\r\n", b"\n\r"])


def _target(request: Request, rng: random.Random) -> None:
    if rng.random() < 0.5:
        request.query = rng.choice(QUERIES)
    elif request.method != b"PUT":
        request.path = rng.choice(
            [rng.choice(PATHS), request.path + rng.choice(PATHS), request.path + rng.choice(NOISE)]
        )


def _header(request: Request, rng: random.Random) -> None:
    if rng.random() < 0.1:
        del request.headers[rng.randrange(len(request.headers))]
        request.headers = request.headers or [b"X: y"]
    else:
        request.headers.insert(rng.randint(0, len(request.headers)), rng.choice(HEADERS))


def _length(request: Request, rng: random.Random) -> None:
    request.length = rng.choice(LENGTHS)


def _chunked(request: Request, rng: random.Random) -> None:
    request.headers.append(b"Transfer-Encoding: chunked")
    size = rng.choice([b"%x" % len(request.body), b"-1", b"ffffffffffffffffff", b"zz", b"", b"5;ext=\0", b"+5", b" 5"])
    request.body = (
        size + b"\r\n" + request.body + rng.choice([b"\r\n0\r\n\r\n", b"\r\n0\r\nX: y\r\n\r\n", b"0\r\n", b"\n", b""])
    )
    request.length = rng.choice([None, b""]) and b"3"


def _noise(request: Request, rng: random.Random) -> None:
    body = bytearray(request.body or b"x")
    for _ in range(rng.randint(1, 5)):
        at = rng.randrange(len(body) + 1)
        body[at:at] = rng.choice([*NOISE, bytes([rng.randrange(256)]), b"[" * 2000, b'{"a":' * 500, b"9" * 5000])
    request.body = bytes(body)


def _json(request: Request, rng: random.Random) -> None:
    try:
        found = json.loads(request.body)
    except (ValueError, RecursionError):
        return
    value = rng.choice(ODD)
    if isinstance(found, dict) and found:
        found[rng.choice([*found, "more", ""])] = value
    elif isinstance(found, list) and found:
        found[rng.randrange(len(found))] = value
    else:
        found = value
    request.body = json.dumps(found).encode()
    if rng.random() < 0.2 and request.body.startswith(b"{") and len(request.body) > 2:
        request.body = request.body[:-1] + b"," + request.body[1:]
    if rng.random() < 0.3:
        # Where a value is expected, as deep as Python reads no more.
        request.body = re.sub(rb"(?<=: )[^{\[,}]+|$", b"[" * 2000, request.body, count=1)


def _cut(request: Request, rng: random.Random) -> None:
    if request.body:
        request.length = str(len(request.body)).encode()
        request.body = request.body[: rng.randrange(len(request.body))]


def asked(port: int, raw: bytes, rng: random.Random, seconds: float = 30.0) -> bytes:
    """Sends bytes, sometimes in pieces, ends the sending half of the line and gives all that is answered."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as line:
        answer = b""
        try:
            at = rng.randrange(len(raw) + 1) if rng.random() < 0.2 else 0
            line.sendall(raw[:at])
            line.sendall(raw[at:])
            line.shutdown(socket.SHUT_WR)
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN):
                raise
            # It has answered before it read all, and that answer counts.
        try:
            while part := line.recv(65_536):
                answer += part
        except ConnectionResetError:
            pass
        return answer
