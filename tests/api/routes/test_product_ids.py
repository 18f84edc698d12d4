"""Product IDs byte for byte, and those that a put refuses since they cannot be told from others by looking at them."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

SHOES = "/v1/catalogs/shoes"
URL = "https://images.example.com/ok.jpg"
LINES = (Path(__file__).parents[2] / "cases" / "ids" / "ws.ndjson").read_bytes()
FEED = LINES.replace(b"http://127.0.0.1:18510/ok.jpg", URL.encode())
OLD_IDS = ["WS-1 ", "WS-1\u00a0", "\ufeffWS-1", "WS\n1"]
NDJSON = "application/x-ndjson"


def one(product_id: str) -> str:
    return f"{SHOES}/products/{quote(product_id, safe='')}"


def test_the_lines_with_white_space_are_refused_by_name(service: Any) -> None:
    service.web[URL] = service.picture()
    answer = service.client.post(f"{SHOES}/products", data=FEED, content_type=NDJSON)
    assert (answer.status_code, answer.json["code"], answer.json["error_count"]) == (422, "feed_invalid", 2)
    found = [(each["line"], each["code"], each["field"], each["detail"]) for each in answer.json["errors"]]
    why = "The product ID {!r} ends with the white space U+00{}; put the product under an ID without it."
    assert found == [
        (2, "product_id_invalid", "product_id", why.format("WS-1 ", "20")),
        (3, "product_id_invalid", "product_id", why.format("WS-1\u00a0", "A0")),
    ]
    assert service.client.get(f"{SHOES}/products").json["products"] == []
    skipped = service.client.post(f"{SHOES}/products?on_error=skip", data=FEED, content_type=NDJSON).json
    job = service.client.get(f"/v1/jobs/{skipped['id']}").json
    assert (job["applied"], job["failed"]) == (1, 2)
    items = service.client.get(f"/v1/jobs/{job['id']}/items").json["items"]
    assert [(each["line"], each["product_id"]) for each in items] == [(2, "WS-1 "), (3, "WS-1\u00a0")]


@pytest.mark.parametrize("product_id", OLD_IDS, ids=ascii)
def test_every_way_to_put_refuses_them(service: Any, product_id: str) -> None:
    service.web[URL] = image = service.picture()
    form = {"image": (__file__, "x.png"), "attributes": "{}"}
    for body in (
        {"json": {"image_url": URL}},
        {"data": image, "content_type": "image/png"},
        {"data": form},
    ):
        answer = service.client.put(f"{one(product_id)}?wait=30", **body)
        assert (answer.status_code, answer.json["code"]) == (422, "product_id_invalid"), answer.text
        assert repr(product_id) in answer.json["detail"]
        assert answer.json["errors"][0]["field"] == "product_id"
    array = [{"product_id": product_id, "image_url": URL}]
    answer = service.client.post(f"{SHOES}/products", json=array)
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (422, "product_id_invalid")
    assert service.client.get("/v1/jobs").json["jobs"] == []


@pytest.mark.parametrize("product_id", OLD_IDS, ids=ascii)
def test_those_that_are_stored_are_read_patched_found_and_deleted(service: Any, product_id: str) -> None:
    service.put("other", "blue")
    service.web[URL] = service.picture()
    service.accepted_before(product_id, URL)
    service.work()
    patch = service.client.patch(f"{one(product_id)}?wait=30", json={"attributes": {"color": "red"}})
    assert patch.status_code == 200, patch.text
    feed = [{"product_id": product_id, "op": "patch", "attributes": {"price": 9}}]
    assert service.client.post(f"{SHOES}/products", json=feed).status_code == 202
    read = service.client.get(one(product_id)).json
    assert (read["product_id"], read["attributes"]) == (product_id, {"color": "red", "price": 9})
    for rest in ("/neighbors", "/image", "/thumbnail"):
        assert service.client.get(f"{one(product_id)}{rest}").status_code == 200
    query = {"product_id": "other", "filter": {"must": [{"has_id": [product_id]}]}}
    [found] = service.client.post(f"{SHOES}/search", json=query).json["neighbors"]
    assert found["product_id"] == product_id
    assert service.client.delete(f"{one(product_id)}?wait=30").status_code == 200
    assert service.client.get(one(product_id)).status_code == 404


def test_ids_that_look_alike_are_products_of_their_own(service: Any) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    for each, color in ((composed, "red"), (decomposed, "blue"), ("a b", "green"), ("a\u00a0b", "gray")):
        service.put(quote(each, safe=""), color, color=color)
    listed = service.client.get(f"{SHOES}/products").json["products"]
    assert {each["product_id"]: each["attributes"]["color"] for each in listed} == {
        composed: "red",
        decomposed: "blue",
        "a b": "green",
        "a\u00a0b": "gray",
    }
