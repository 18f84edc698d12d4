"""A compressed body is the body that was compressed, within the same limits and in little memory."""

import gzip
import io
import json
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from api.errors import Malformed, MediaTypeUnsupported
from api.requests import codings

CASES = Path(__file__).parents[2] / "cases" / "json"
LINE = b'{"product_id": "a", "op": "delete"}\n'
SHOES = "/v1/catalogs/shoes"
FEED = f"{SHOES}/products"
ONE = f"{SHOES}/products/sku-1"
NDJSON = "application/x-ndjson"

PACK: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "zstd": zstd.compress, "x-gzip": gzip.compress}
CODINGS = ["gzip", "zstd"]
EMPTY_FRAME = b"\x50\x2a\x4d\x18\0\0\0\0"
"""A frame of zstd that holds nothing, to be skipped (RFC 8878, section 3.1.2)."""


def source(data: bytes, sizes: list[int] | None = None) -> Callable[[int], bytes]:
    """Reads data in pieces of these sizes, then in what is asked for."""
    stream, left = io.BytesIO(data), list(sizes or [])
    return lambda size: stream.read(min(size, left.pop(0)) if left else size)


def decoded(coding: str, packed: bytes, sizes: list[int] | None = None, size: int = 1 << 16) -> bytes:
    read, found = codings.reader(coding, source(packed, sizes)), []
    while chunk := read(size):
        assert len(chunk) <= size
        found.append(chunk)
    assert read(size) == b"", "an end is an end"
    return b"".join(found)


bodies = st.lists(st.binary(max_size=200) | st.integers(0, 5000).map(lambda count: b"ab" * count), min_size=1)


@given(st.sampled_from(sorted(PACK)), bodies, st.lists(st.integers(1, 50)), st.integers(1, 5000))
def test_in_whatever_members_and_pieces_it_is_the_plain_body(
    coding: str, members: list[bytes], sizes: list[int], size: int
) -> None:
    packed = b"".join(map(PACK[coding], members))
    assert decoded(coding, packed, sizes, size) == b"".join(members)


@given(st.sampled_from(CODINGS), st.binary(max_size=300), st.data())
def test_a_part_of_it_is_refused(coding: str, body: bytes, data: st.DataObject) -> None:
    packed = PACK[coding](body)
    part = packed[: data.draw(st.integers(0, len(packed) - 1))]
    with pytest.raises(Malformed, match="The body broke off"):
        decoded(coding, part)


@given(st.sampled_from(CODINGS), st.binary(max_size=300), st.binary(min_size=4))
def test_what_follows_its_end_is_refused(coding: str, body: bytes, more: bytes) -> None:
    with pytest.raises(Malformed):
        decoded(coding, PACK[coding](body) + b"!" + more)


@given(st.sampled_from(CODINGS), st.binary(min_size=1))
def test_any_bytes_are_decoded_or_refused(coding: str, body: bytes) -> None:
    try:
        decoded(coding, body)
    except Malformed:
        return
    assert coding == "zstd" and body[1:4] == b"\x2a\x4d\x18", (
        "by chance only frames to be skipped are made of so little"
    )


@pytest.mark.parametrize(
    ("coding", "packed", "message"),
    [
        ("gzip", LINE, "The body has Content-Encoding gzip and is damaged or something else (Error -3 while "),
        ("zstd", LINE, "The body has Content-Encoding zstd and is damaged or something else (Unable to "),
        ("gzip", gzip.compress(LINE) + bytes(9), "The body has Content-Encoding gzip and is damaged or something else "
         "after stream 1 of it (Error -3 while "),
        ("gzip", b"", "The body broke off before the end of its gzip data; send the request again."),
        ("zstd", EMPTY_FRAME * 100_001, "The body has more than 100,000 zstd streams in a row; compress it as one."),
    ],
    ids=range(5),
)  # fmt: skip
def test_the_sentence_says_what_is_wrong(coding: str, packed: bytes, message: str) -> None:
    with pytest.raises(Malformed) as refused:
        decoded(coding, packed)
    assert str(refused.value).startswith(message)


def test_frames_to_be_skipped_are_skipped() -> None:
    assert decoded("zstd", EMPTY_FRAME + zstd.compress(b"a") + EMPTY_FRAME + zstd.compress(b"b")) == b"ab"


@pytest.mark.parametrize("log", [23, 24])
def test_a_window_of_zstd_may_have_8_megabytes(log: int) -> None:
    compressor = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: log})
    body = os.urandom(1000)
    packed = compressor.compress(body) + compressor.flush()
    if log == 23:
        assert decoded("zstd", packed) == body
        return
    with pytest.raises(Malformed, match="needs a window of more than 8 MB; compress it with a level up to 19"):
        decoded("zstd", packed)


@pytest.mark.parametrize("header", ["", "identity", " Identity ,", "identity, GZIP", "X-Gzip"])
def test_names_are_read_as_http_writes_them(header: str) -> None:
    body = LINE if "ip" not in header.lower() else gzip.compress(LINE)
    assert decoded(header, body) == LINE


@pytest.mark.parametrize("header", ["br", "deflate", "gzip, gzip", "zstd, gzip", "chunked", "g zip", "\xfcber"])
def test_another_coding_is_refused_with_those_that_are_taken(service: Any, header: str) -> None:
    with pytest.raises(MediaTypeUnsupported):
        codings.reader(header, source(b""))
    answer = service.client.post(FEED, data=LINE, content_type=NDJSON, headers={"Content-Encoding": header})
    assert (answer.status_code, answer.headers["Accept-Encoding"]) == (415, "gzip, zstd")
    assert answer.json["detail"].endswith("send the body as it is, or compressed once by one of gzip, zstd.")
    assert answer.json["errors"][0]["field"] == "Content-Encoding"
    assert service.client.get("/v1/jobs").json["jobs"] == []


def test_another_media_type_is_not_taken_for_another_coding(service: Any) -> None:
    answer = service.client.post(FEED, data=LINE, content_type="text/plain", headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 415 and "Accept-Encoding" not in answer.headers


def form(image: bytes, **others: str) -> bytes:
    head = '--b\r\nContent-Disposition: form-data; name="{}"\r\n\r\n'
    text = "".join(f"{head.format(name)}{value}\r\n" for name, value in others.items())
    return f"{text}{head.format('image')}".encode() + image + b"\r\n--b--\r\n"


FORM = "multipart/form-data; boundary=b"


@pytest.mark.parametrize("coding", [*CODINGS, "x-gzip", "identity"])
def test_every_kind_of_body_may_be_compressed(service: Any, coding: str) -> None:
    pack = PACK.get(coding, bytes)
    red = service.picture()
    service.web["https://images.example.com/1.png"] = red
    put = {"product_id": "a", "image_url": "https://images.example.com/1.png"}
    for method, path, type, body, status in [
        ("PUT", "/v1/catalogs/boots", "application/json", b'{"indexed_attributes": {"color": "keyword"}}', 201),
        ("PUT", f"{ONE}?wait=30", "image/png", red, 200),
        ("PUT", f"{ONE}?wait=30", FORM, form(red, attributes='{"color": "red"}'), 200),
        ("PATCH", f"{ONE}?wait=30", "application/json", b'{"attributes": {"price": 9}}', 200),
        ("POST", FEED, NDJSON, json.dumps(put).encode() + b"\n", 202),
        ("POST", FEED, "application/json", json.dumps([put]).encode(), 202),
        ("POST", f"{SHOES}/search", "application/json", b'{"product_id": "sku-1"}', 200),
        ("POST", f"{SHOES}/search", "image/png", red, 200),
        ("POST", f"{SHOES}/search", FORM, form(red, query='{"limit": 3}'), 200),
    ]:
        answer = service.client.open(
            path, method=method, data=pack(body), content_type=type, headers={"Content-Encoding": coding}
        )
        assert answer.status_code == status, (method, path, type, answer.text)
    found = answer.json["neighbors"]
    assert {each["product_id"]: each["attributes"] for each in found} == {
        "sku-1": {"color": "red", "price": 9},
        "a": {},
    }


BOMB = bytes(50_000_000)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize(
    ("method", "path", "type", "code"),
    [
        ("POST", FEED, NDJSON, "body_too_large"),
        ("POST", FEED, "application/json", "body_too_large"),
        ("PUT", ONE, "application/json", "body_too_large"),
        ("PUT", ONE, "image/png", "image_too_large"),
        ("PUT", ONE, FORM, "image_too_large"),
        ("POST", f"{SHOES}/search", "image/png", "image_too_large"),
        ("POST", f"{SHOES}/search", FORM, "image_too_large"),
    ],
)
def test_a_bomb_is_refused_at_the_limit_and_takes_no_memory(
    make_service: Any, coding: str, method: str, path: str, type: str, code: str
) -> None:
    service = make_service(max_feed_bytes=1_000_000, max_image_bytes=1_000_000)
    service.catalog()
    body = form(BOMB) if type == FORM else BOMB
    packed = PACK[coding](body)
    assert len(packed) < 100_000
    del body
    tracemalloc.start()
    answer = service.client.open(
        path, method=method, data=packed, content_type=type, headers={"Content-Encoding": coding}
    )
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (answer.status_code, answer.json["code"]) == (413, code), answer.text
    limit = 32_000_000 if type == "application/json" and method == "POST" else 1 << 20
    assert peak < 2 * limit + 4_000_000
    assert service.client.get("/v1/jobs").json["jobs"] == []


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("type", [NDJSON, "text/csv", "application/json"])
def test_a_feed_does_not_become_hundreds_of_times_as_large(service: Any, coding: str, type: str) -> None:
    """Within the limit of a feed, but each line takes time: a gigabyte of them can be sent as 64 KB."""
    packed = PACK[coding](b"\n" * (16 << 20))
    assert len(packed) < 20_000
    answer = service.client.post(FEED, data=packed, content_type=type, headers={"Content-Encoding": coding})
    assert (answer.status_code, answer.json["code"]) == (413, "body_too_large"), answer.text
    assert "more than 200 times" in answer.json["detail"]


@pytest.mark.parametrize("coding", CODINGS)
def test_a_large_feed_may_be_compressed_as_well_as_feeds_are(service: Any, coding: str) -> None:
    """Eighty times: better than those of shops."""
    service.works = False
    texts = (os.urandom(300).hex() * 80 for _ in range(180))
    lines = [{"product_id": f"p{n}", "op": "patch", "attributes": {"text": text}} for n, text in enumerate(texts)]
    body = "\n".join(map(json.dumps, lines)).encode()
    packed = PACK[coding](body)
    assert len(body) > 8 << 20 and 50 < len(body) / len(packed) < 200
    answer = service.client.post(FEED, data=packed, content_type=NDJSON, headers={"Content-Encoding": coding})
    assert (answer.status_code, answer.json["total"]) == (202, 180), answer.text


@pytest.mark.parametrize("coding", CODINGS)
def test_what_is_sent_counts_too(make_service: Any, coding: str) -> None:
    service = make_service(max_feed_bytes=1000)
    service.catalog()
    packed = b"".join(PACK[coding](b"\n") for _ in range(200))
    answer = service.client.post(FEED, data=packed, content_type=NDJSON, headers={"Content-Encoding": coding})
    assert (answer.status_code, answer.json["code"]) == (413, "body_too_large")


def test_a_repetition_with_another_coding_is_the_same_request(service: Any) -> None:
    jobs = []
    for coding, pack in {"identity": bytes, **PACK}.items():
        headers = {"Content-Encoding": coding, "Idempotency-Key": "night"}
        answer = service.client.post(FEED, data=pack(LINE), content_type=NDJSON, headers=headers)
        jobs.append((answer.status_code, answer.json["id"], answer.headers.get("Idempotent-Replayed")))
    assert jobs == [(202, "1", None)] + [(202, "1", "true")] * 3
    headers = {"Content-Encoding": "gzip", "Idempotency-Key": "night"}
    answer = service.client.post(FEED, data=gzip.compress(LINE * 2), content_type=NDJSON, headers=headers)
    assert (answer.status_code, answer.json["code"]) == (422, "idempotency_conflict")


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("chunked", [False, True])
def test_behind_a_server(server: Any, coding: str, chunked: bool) -> None:
    body = PACK[coding](LINE * 100)
    head = f"POST {FEED} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {NDJSON}\r\nContent-Encoding: {coding}\r\n"
    head += "Connection: close\r\n"
    for sent, status in ((body, 202), (body[:-3], 400)):
        if chunked:
            parts = b"".join(f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in (sent[:9], sent[9:]))
            request = f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + parts + b"0\r\n\r\n"
        else:
            request = f"{head}Content-Length: {len(sent)}\r\n\r\n".encode() + sent
        got, _, answer = server.ask(request)
        assert got == status, answer
        assert json.loads(answer).get("total") == (100 if status == 202 else None)


def test_a_feed_as_people_have_it(service: Any) -> None:
    """The file begins with a byte order mark inside gzip."""
    packed = (CASES / "f.ndjson.gz").read_bytes()
    answer = service.client.post(FEED, data=packed, content_type=NDJSON, headers={"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.json["total"]) == (202, 1), answer.text
    [item] = service.client.get(f"/v1/jobs/{answer.json['id']}/items").json["items"]
    assert (item["product_id"], item["image"]) == ("b2", "http://127.0.0.1:18510/ok.jpg")
