"""Puts that refuse duplicates over HTTP: one at a time with the outcome as the answer, and lines of feeds."""

import io
import json
from typing import Any

import pytest

PRODUCTS = "/v1/catalogs/shoes/products"


@pytest.fixture
def filled(service: Any) -> Any:
    service.put("first", "red")
    return service


def sent(service: Any, product_id: str, paint: str, **query: str) -> Any:
    form = {"image": (io.BytesIO(service.picture(paint)), "x.png")}
    return service.client.put(f"{PRODUCTS}/{product_id}", data=form, query_string={"wait": "30", **query})


def test_a_put_is_refused_with_the_product_that_shows_its_picture(filled: Any) -> None:
    answer = sent(filled, "second", "red", duplicates="refuse")
    assert (answer.status_code, answer.json["code"]) == (409, "duplicate")
    assert "'first' (same_bytes)" in answer.json["detail"] and answer.json["job"]["failed"] == 1
    assert filled.client.get(f"{PRODUCTS}/second").status_code == 404
    assert sent(filled, "first", "red", duplicates="refuse").status_code == 200
    assert sent(filled, "second", "red", duplicates="take").status_code == 200
    assert sent(filled, "third", "red", duplicates="maybe").status_code == 422


@pytest.mark.parametrize("kind", ["application/json", "application/x-ndjson", "text/csv"])
def test_lines_of_a_feed_are_refused_one_by_one(filled: Any, kind: str) -> None:
    for name in ("red", "blue"):
        filled.web[f"https://images.example.com/{name}.png"] = filled.picture(name)
    names = [("b", "red"), ("c", "blue"), ("d", "blue")]
    lines = [{"product_id": each, "image_url": f"https://images.example.com/{name}.png"} for each, name in names]
    lines.append({"product_id": "first", "op": "patch", "attributes": {"x": 1}})
    body = {
        "application/json": json.dumps(lines),
        "application/x-ndjson": "\n".join(map(json.dumps, lines)),
        "text/csv": "product_id,image_url\n"
        + "\n".join(f"{each['product_id']},{each['image_url']}" for each in lines[:3]),
    }[kind]
    asked = {"query_string": {"duplicates": "refuse"}, "data": body, "content_type": kind}
    job = filled.client.post(PRODUCTS, **asked)
    assert job.status_code == 202, job.text
    items = filled.client.get(f"{job.headers['Location']}/items", query_string={"state": "failed"}).json["items"]
    assert [(each["product_id"], each["code"]) for each in items] == [("b", "duplicate"), ("d", "duplicate")]
    again = filled.client.post(PRODUCTS, data=body, content_type=kind)
    assert filled.client.get(again.headers["Location"]).json["failed"] == 0
