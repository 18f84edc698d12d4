"""Product IDs survive the way through URL, server and routing, whatever they hold."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.errors import Malformed
from api.requests.paths import raw_path, unquoted

TARGETS = [
    ("/v1/a%2Fb?x=1", "", "/v1/a%2Fb"),
    ("/v1/a?b?c", "", "/v1/a"),
    ("/v1/a#b", "", "/v1/a"),
    ("//v1//a", "", "//v1//a"),
    ("/..", "", "/.."),
    ("http://example.com/v1/a%20b", "", "/v1/a%20b"),
    ("http://example.com", "", "/"),
    ("/http://a/b", "", "/http://a/b"),
    ("*", "", "/*"),
    ("", "", "/"),
    ("/\xc3\xa9", "", "/%C3%A9"),
    ("/base/v1/a%2Fb", "/base", "/v1/a%2Fb"),
    ("/b%20c/v1", "/b c", "/v1"),
]

IDS = {
    "a%2Fneighbors": "a/neighbors",
    "..": "..",
    ".": ".",
    "%2E%2E": "..",
    "%2F": "/",
    "%2F..%2F..%2Fetc": "/../../etc",
    "%00": "\0",
    "%F0%9F%91%9F": "👟",
    "a+b": "a+b",
    "%20": " ",
    "%25": "%",
    "%252F": "%2F",
    "neighbors": "neighbors",
    "image": "image",
    "a;b=c,d": "a;b=c,d",
    "a%0D%0Ab": "a\r\nb",
    "~!$&'()*:@": "~!$&'()*:@",
    "%3Fx=1%23y": "?x=1#y",
    "x" * 512: "x" * 512,
}

BROKEN = ["%", "%2", "%GG", "a%", "%FF", "%C3", "%ED%A0%80", "%C0%AF", "%F8%88%80%80%80"]


@pytest.mark.parametrize(("target", "mount", "path"), TARGETS)
def test_the_path_is_taken_as_it_came(target: str, mount: str, path: str) -> None:
    for name in ("REQUEST_URI", "RAW_URI"):
        assert raw_path({name: target or "/", "SCRIPT_NAME": mount, "PATH_INFO": "/elsewhere"}) == path


def test_without_a_target_the_decoded_path_is_encoded_again() -> None:
    assert raw_path({"PATH_INFO": "/v1/a b\xc3\xa9"}) == "/v1/a%20b%C3%A9"


@given(st.text(st.characters(codec="latin-1")))
def test_whatever_the_target_is_the_path_is_ascii_and_begins_with_a_slash(target: str) -> None:
    path = raw_path({"RAW_URI": target})
    assert path.isascii() and path.startswith("/") and "?" not in path and "#" not in path


@given(st.text(st.characters(codec="utf-8"), min_size=1), st.booleans())
def test_what_is_quoted_in_whatever_way_comes_back(text: str, lower: bool) -> None:
    quoted = "".join(f"%{byte:02{'x' if lower else 'X'}}" for byte in text.encode())
    assert unquoted(quoted, "path") == text


@pytest.mark.parametrize("text", BROKEN)
def test_what_writes_no_text_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        unquoted(text, "path")


@pytest.mark.parametrize("quoted", IDS)
def test_an_id_comes_through_a_server_as_it_is(server: Any, quoted: str) -> None:
    body = b'{"image_url": "https://images.example.com/1.jpg"}'
    # A patch: a put takes no new ID with white space at its ends or with control characters.
    status, headers, job = server.send("PATCH", f"/v1/catalogs/shoes/products/{quoted}", body, "application/json")
    assert (status, headers["Location"]) == (202, f"/v1/jobs/{job['id']}")
    item = {"product_id": IDS[quoted], "state": None, "code": None, "message": None}
    assert server.send("GET", f"/v1/jobs/{job['id']}/items?state=waiting")[::2] == (
        200,
        {"items": [item | {"image": "https://images.example.com/1.jpg", "line": None}], "next": None},
    )


@pytest.mark.parametrize("quoted", IDS)
def test_an_id_is_looked_up_as_it_is(server: Any, quoted: str) -> None:
    for rest in ("", "/neighbors", "/image", "/thumbnail"):
        status, headers, problem = server.send("GET", f"/v1/catalogs/shoes/products/{quoted}{rest}")
        assert (status, headers["Content-Type"]) == (404, "application/problem+json")
        assert problem["code"] == "product_not_found" and repr(IDS[quoted]) in problem["detail"]


@pytest.mark.parametrize("quoted", [*BROKEN, "a/b", "", "/", "x/"])
def test_what_is_no_id_is_refused(server: Any, quoted: str) -> None:
    status, headers, problem = server.send("GET", f"/v1/catalogs/shoes/products/{quoted}")
    expected = (400, "request_malformed") if quoted in BROKEN else (404, "route_not_found")
    assert (status, problem["code"], headers["Content-Type"]) == (*expected, "application/problem+json")
    assert problem["instance"] == headers["X-Request-Id"]


@pytest.mark.parametrize("path", ["/v1//catalogs", "/v1/catalogs/", "/V1/catalogs", "/v1/./catalogs"])
def test_routes_have_one_spelling(server: Any, path: str) -> None:
    assert server.send("GET", path)[0] == 404


@pytest.mark.parametrize("path", [b"//", b"//v1/jobs", b"/v1/jobs", b"/livez"])
@pytest.mark.parametrize("query", [b"limit=\xff", b"\xc3=1", b"x=%ff"])
def test_a_query_that_is_no_text_is_refused(server: Any, path: bytes, query: bytes) -> None:
    """Waitress lets such a target pass where it begins with two slashes."""
    request = b"GET " + path + b"?" + query + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    status, headers, body = server.ask(request)
    assert (status, headers["Content-Type"]) == (400, "application/problem+json")
    assert json.loads(body)["code"] == "request_malformed"


def test_a_target_with_scheme_and_host_is_understood(server: Any) -> None:
    assert server.send("GET", "http://localhost/v1/catalogs/shoes")[0] == 200


def test_raw_utf8_is_understood_where_a_server_lets_it_pass(server: Any) -> None:
    request = "GET /v1/catalogs/shoes/products/é HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    status, _, body = server.ask(request.encode())
    assert status == 400 or "'é'" in json.loads(body)["detail"]
