"""Bodies are whole, within their limits and of a known kind, or nothing happens."""

import io
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

LINE = b'{"product_id": "a", "image_url": "https://images.example.com/1.jpg"}\n'
FEED = "/v1/catalogs/shoes/products"
ONE = "/v1/catalogs/shoes/products/sku-1"
NDJSON = "application/x-ndjson"


@pytest.mark.parametrize(
    ("method", "path", "type"),
    [
        ("post", FEED, None),
        ("post", FEED, "application/x-www-form-urlencoded"),
        ("post", FEED, "text/html"),
        ("put", ONE, "text/plain"),
        ("patch", ONE, "image/png"),
        ("patch", ONE, "application/merge-patch+json"),
        ("put", "/v1/catalogs/new", "text/plain"),
        ("post", "/v1/catalogs/shoes/search", "text/plain"),
    ],
)
def test_a_body_of_another_kind_is_refused(service: Any, method: str, path: str, type: str | None) -> None:
    answer = getattr(service.client, method)(path, data=b"{}", content_type=type)
    assert answer.status_code == 415
    assert answer.json == {
        "type": "/problems/media_type_unsupported",
        "title": "Media type unsupported",
        "status": 415,
        "detail": answer.json["detail"],
        "code": "media_type_unsupported",
        "retryable": False,
        "instance": answer.headers["X-Request-Id"],
        "errors": [
            {"detail": answer.json["detail"], "code": "media_type_unsupported", "field": "Content-Type"},
        ],
    }
    assert repr(type or "none") in answer.json["detail"]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_breaks_off_is_no_body(server: Any, chunked: bool) -> None:
    """What came by then are whole lines: nothing but the broken line tells that more was to come."""
    before = server.send("GET", "/v1/jobs")[2]
    head = f"POST {FEED} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {NDJSON}\r\nConnection: close\r\n"
    if chunked:
        request = f"{head}Transfer-Encoding: chunked\r\n\r\n{len(LINE):x}\r\n".encode() + LINE + b"\r\n"
    else:
        request = f"{head}Content-Length: {2 * len(LINE)}\r\n\r\n".encode() + LINE
    status, _, answer = server.ask(request, cut=True)
    assert status in (0, 400), answer
    assert server.send("GET", "/v1/jobs")[2] == before


@pytest.mark.parametrize(
    "end",
    [
        b"zz\r\n",
        b"-1\r\n",
        b"0\r\nbad trailer\r\n\r\n",
        b"0\r\nX: \0\r\n\r\n",
        b"0;a=\r\n\r\n",
        b"1\r\nab\r\n0\r\n\r\n",
    ],
)
def test_chunks_that_are_none_are_no_body(server: Any, end: bytes) -> None:
    before = server.send("GET", "/v1/jobs")[2]
    head = f"POST {FEED} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {NDJSON}\r\nConnection: close\r\n"
    request = f"{head}Transfer-Encoding: chunked\r\n\r\n{len(LINE):x}\r\n".encode() + LINE + b"\r\n" + end
    status, _, answer = server.ask(request, cut=True)
    if server.kind == "waitress" and end[:3] == b"0\r\n":
        return  # it does not look at what follows the last chunk, and the body is whole
    assert status in (0, 400), answer
    assert server.send("GET", "/v1/jobs")[2] == before


def test_a_body_in_chunks_is_taken(server: Any) -> None:
    head = f"POST {FEED} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {NDJSON}\r\nConnection: close\r\n"
    chunks = b"".join(f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in (LINE[:7], LINE[7:], LINE))
    status, _, answer = server.ask(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunks + b"0\r\n\r\n")
    assert (status, json.loads(answer)["total"]) == (202, 2)


def test_more_than_may_be_is_refused_before_it_is_read(server: Any) -> None:
    head = f"PUT {ONE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nConnection: close\r\n"
    status, _, answer = server.ask(f"{head}Content-Length: 900000000\r\n\r\n".encode(), cut=server.kind == "waitress")
    # waitress reads a body before the app sees its head, so there it is one that breaks off.
    assert status == (0 if server.kind == "waitress" else 413), answer


@pytest.mark.parametrize(
    ("method", "path", "type", "body", "code"),
    [
        ("post", FEED, NDJSON, LINE * 20, "body_too_large"),
        ("post", FEED, "application/json", b"[" + b" " * 32_000_000 + b"]", "body_too_large"),
        ("put", ONE, "application/json", b'{"a":"' + b"a" * (1 << 20) + b'"}', "body_too_large"),
        ("put", ONE, "image/png", b"\x89PNG\r\n\x1a\n" + b"a" * 2000, "image_too_large"),
        ("post", "/v1/catalogs/shoes/search", "image/png", b"\x89PNG\r\n\x1a\n" + b"a" * 2000, "image_too_large"),
    ],
)
def test_what_is_too_large_is_413(make_service: Any, method: str, path: str, type: str, body: bytes, code: str) -> None:
    service = make_service(max_feed_bytes=1000, max_image_bytes=1000)
    service.catalog()
    for data in (body, io.BytesIO(body)):  # with and without its length told before
        answer = getattr(service.client, method)(path, data=data, content_type=type)
        assert (answer.status_code, answer.json["code"]) == (413, code), answer.text
        assert answer.json["errors"][0]["field"] in ("body", "image")
    assert service.client.get("/v1/jobs").json["jobs"] == []


def test_a_form_may_have_an_image_of_just_the_limit(make_service: Any) -> None:
    service = make_service(max_image_bytes=5000)
    service.catalog()
    for more, status in ((0, 422), (1, 413)):  # 422: nothing can be made of the zeros
        image = service.picture() + bytes(5000 + more - len(service.picture()))
        image = b"\x89PNG\r\n\x1a\n" + bytes(5000 + more - 8)
        form = {"image": (io.BytesIO(image), "x.png"), "attributes": "{}"}
        assert service.client.put(f"{ONE}?wait=30", data=form).status_code == status


FORM = (
    b'--b\r\nContent-Disposition: form-data; name="attributes"\r\n\r\n{"color": "red"}\r\n'
    b'--b\r\nContent-Disposition: form-data; name="image"; filename="x.png"\r\nContent-Type: image/png\r\n\r\n'
)


@pytest.mark.parametrize(
    ("form", "type", "status"),
    [
        (b"x", "multipart/form-data; boundary=b", 400),
        (b"--b--\r\n", "multipart/form-data; boundary=b", 422),
        (FORM, "multipart/form-data; boundary=b", 400),
        (FORM + b"--b", "multipart/form-data; boundary=b", 400),
        (FORM + b"\r\n--c--\r\n", "multipart/form-data; boundary=b", 400),
        (FORM + b"\r\n--b--\r\n", "multipart/form-data; boundary=b", 422),
        (FORM, "multipart/form-data", 400),
        (FORM, "multipart/form-data; boundary=", 400),
        (b"--b\r\n\r\nx\r\n--b--\r\n", "multipart/form-data; boundary=b", 400),
        (b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n", "multipart/form-data; boundary=b", 400),
        (b"--b\r\nX: " + b"a" * 300_000, "multipart/form-data; boundary=b", 400),
        (
            b'--b\r\nContent-Disposition: form-data; name="\xff"\r\n\r\nx\r\n--b--\r\n',
            "multipart/form-data; boundary=b",
            400,
        ),
        (FORM.replace(b"image", b"picture", 1) + b"\r\n--b--\r\n", "multipart/form-data; boundary=b", 422),
        (FORM.replace(b'"image"', b'"attributes"', 1) + b"\r\n--b--\r\n", "multipart/form-data; boundary=b", 422),
        (FORM.replace(b'{"color": "red"}', b"{") + b"GIF89a\r\n--b--\r\n", "multipart/form-data; boundary=b", 400),
        (FORM.replace(b'{"color": "red"}', b"[1]") + b"GIF89a\r\n--b--\r\n", "multipart/form-data; boundary=b", 422),
        (
            FORM.replace(b'{"color": "red"}', b"{" + b" " * 200_000) + b"\r\n--b--\r\n",
            "multipart/form-data; boundary=b",
            413,
        ),
    ],
    ids=range(17),
)
def test_a_form_that_is_none_is_refused(service: Any, form: bytes, type: str, status: int) -> None:
    answer = service.client.put(ONE, data=form, content_type=type)
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json"), answer.text
    assert answer.json["errors"][0]["field"]
    assert service.client.get("/v1/jobs").json["jobs"] == []


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.sampled_from(
            [b"--b", b"--", b"\r\n", b"\n", b"\r", b'Content-Disposition: form-data; name="image"', FORM, b"a", b"BM"]
        )
    )
)
def test_any_form_is_taken_or_refused(service: Any, pieces: list[bytes]) -> None:
    service.works = False
    answer = service.client.put(ONE, data=b"".join(pieces), content_type="multipart/form-data; boundary=b")
    assert answer.status_code in (202, 400, 413, 422), answer.text
