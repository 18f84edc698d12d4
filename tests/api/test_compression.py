"""Answers in the coding that a caller takes: the same bytes, and never a coding that it does not take."""

import gzip
import json
from typing import Any

import pytest
from backports import zstd
from flask import Flask, Response

from api.compression import compressed

PRODUCTS = "/v1/catalogs/shoes/products"
DECODED = {"gzip": gzip.decompress, "zstd": zstd.decompress, None: bytes}


@pytest.fixture
def many(service: Any) -> Any:
    for n in range(3):
        service.put(f"p{n}", "red", title="a shoe " * 60)
    return service.client


def coded(answer: Any) -> str | None:
    found: str | None = answer.headers.get("Content-Encoding")
    return found


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip", "gzip"),
        ("zstd", "zstd"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip;q=1.0, zstd;q=0.5", "gzip"),
        ("zstd;q=0, gzip", "gzip"),
        ("zstd;q=0", None),
        ("br", None),
        ("identity", None),
        ("*;q=0", None),
        (None, None),
    ],
)
def test_an_answer_comes_in_a_coding_that_the_caller_takes(many: Any, accepted: str | None, coding: str | None) -> None:
    plain = many.get(PRODUCTS)
    answer = many.get(PRODUCTS, headers={} if accepted is None else {"Accept-Encoding": accepted})
    assert (answer.status_code, coded(answer)) == (200, coding)
    assert answer.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"
    assert json.loads(DECODED[coding](answer.data)) == plain.json
    assert int(answer.headers["Content-Length"]) == len(answer.data)
    assert (len(answer.data) < len(plain.data) / 4) is (coding is not None)


def test_short_answers_and_pictures_are_as_they_are(many: Any) -> None:
    takes = {"Accept-Encoding": "gzip, zstd"}
    for path in ("/livez", f"{PRODUCTS}/none", f"{PRODUCTS}/p0/image", f"{PRODUCTS}/p0/thumbnail"):
        assert coded(many.get(path, headers=takes)) is None, path
    assert "Vary" not in many.get(f"{PRODUCTS}/p0/image", headers=takes).headers
    head = many.head(PRODUCTS, headers=takes)
    assert (head.status_code, head.data) == (200, b"")


def test_a_strong_tag_becomes_weak_with_the_coding() -> None:
    app = Flask("test")
    for accepted, weak in (("gzip", True), ("identity", False)):
        with app.test_request_context(headers={"Accept-Encoding": accepted}):
            response = Response("x" * 2000, content_type="application/json")
            response.set_etag("strong")
            assert compressed(response).get_etag() == ("strong", weak)


def test_the_tag_of_an_answer_is_weak_where_its_bytes_are_not_those_of_all_callers(many: Any, service: Any) -> None:
    takes = {"Accept-Encoding": "gzip"}
    service.works = False
    service.client.post(PRODUCTS, json=[{"product_id": "x" * 500, "op": "delete"}])
    jobs = many.get("/v1/jobs", headers=takes)
    assert coded(jobs) == "gzip"
    one = many.get("/v1/jobs/1", headers=takes)
    assert one.headers["ETag"].startswith("W/")
    assert many.get("/v1/jobs/1", headers=takes | {"If-None-Match": one.headers["ETag"]}).status_code == 304
