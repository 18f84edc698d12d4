"""What a server refuses before the app sees it is a problem as any other."""

import json
from typing import Any

import pytest

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
