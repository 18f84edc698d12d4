"""What a catalog declares for attributes is enforced when changes are accepted, and when they are applied."""

import io
import json
from typing import Any

import pytest

URL = "https://images.example.com/1.jpg"
SHOES = "/v1/catalogs/shoes"
ONE = f"{SHOES}/products/sku-1"
DECLARED = {"color": "keyword", "stock": "integer", "price": "float", "sale": "bool"}
SAYS = (
    'price is declared as float, and "on request" is none: send a number, a list of such values, or null to have none.'
)


def feed(*lines: Any) -> dict[str, Any]:
    return {"data": "\n".join(map(json.dumps, lines)), "content_type": "application/x-ndjson"}


def patched(product_id: str, **attributes: Any) -> dict[str, Any]:
    return {"product_id": product_id, "op": "patch", "attributes": attributes}


@pytest.fixture
def declared(service: Any) -> Any:
    service.put("sku-1", "red")
    service.client.put(SHOES, json={"indexed_attributes": DECLARED})
    return service


def test_one_change_is_refused_before_it_is_accepted(declared: Any) -> None:
    wrong = {"price": "on request"}
    jobs = len(declared.client.get("/v1/jobs").json["jobs"])
    form = {"image": (io.BytesIO(declared.picture("blue")), "x.png"), "attributes": json.dumps(wrong)}
    for answer in (
        declared.client.put(ONE, json={"image_url": URL, "attributes": wrong}),
        declared.client.patch(ONE, json={"attributes": wrong}),
        declared.client.patch(f"{ONE}?wait=30", json={"attributes": wrong}),
        declared.client.put(ONE, data=form),
        declared.client.patch(ONE, data={"attributes": (io.BytesIO(json.dumps(wrong).encode()), "a.json")}),
    ):
        assert (answer.status_code, answer.json["code"], answer.json["detail"]) == (422, "attributes_invalid", SAYS)
        assert [error["field"] for error in answer.json["errors"]] == ["attributes"]
    assert len(declared.client.get("/v1/jobs").json["jobs"]) == jobs
    fits = {"price": 12, "stock": 12.0, "color": ["red", None], "sale": None}
    assert declared.client.patch(f"{ONE}?wait=30", json={"attributes": fits}).status_code == 200
    read = declared.client.get(ONE).json["attributes"]
    assert repr(read) == repr({"price": 12, "stock": 12, "color": ["red", None]})


@pytest.mark.parametrize("array", [False, True], ids=["lines", "array"])
def test_a_line_of_a_feed_names_itself_and_costs_no_other(declared: Any, array: bool) -> None:
    changes = [
        patched("sku-1", price=1.5),
        patched("sku-1", price="on request"),
        patched("sku-1", stock=3.7),
        patched("sku-1", stock=12.0),
    ]
    sent: dict[str, Any] = {"json": changes} if array else feed(*changes)
    refused = declared.client.post(f"{SHOES}/products", **sent)
    assert (refused.status_code, refused.json["code"]) == (422, "feed_invalid")
    assert [(each["line"], each["code"], each["field"]) for each in refused.json["errors"]] == [
        (2, "attributes_invalid", "attributes"),
        (3, "attributes_invalid", "attributes"),
    ]
    assert refused.json["errors"][0]["detail"] == SAYS
    job = declared.client.post(f"{SHOES}/products?on_error=skip", **sent).json
    items = declared.client.get(f"/v1/jobs/{job['id']}/items").json["items"]
    assert sorted((each["line"], each["product_id"], each["code"]) for each in items) == [
        (2, "sku-1", "attributes_invalid"),
        (3, "sku-1", "attributes_invalid"),
    ]
    assert declared.client.get(ONE).json["attributes"] == {"price": 1.5, "stock": 12}


def test_a_declaration_between_accepting_and_applying_fails_the_item(service: Any) -> None:
    service.put("sku-1", "red")
    service.works = False
    job = service.client.post(f"{SHOES}/products", **feed(patched("sku-1", price="on request"))).json
    service.client.put(SHOES, json={"indexed_attributes": DECLARED})
    service.work()
    [item] = service.client.get(f"/v1/jobs/{job['id']}/items").json["items"]
    assert (item["product_id"], item["code"], item["message"]) == ("sku-1", "attributes_invalid", SAYS)
    assert service.client.get(ONE).json["attributes"] == {}


def test_a_request_accepted_before_the_declaration_may_be_repeated(service: Any) -> None:
    """The same key gets the same job, whatever is declared meanwhile; another request is judged."""
    service.put("sku-1", "red")
    wrong = {"price": "on request"}
    sends = {
        "one": lambda key: service.client.patch(ONE, json={"attributes": wrong}, headers={"Idempotency-Key": key}),
        "feed": lambda key: service.client.post(
            f"{SHOES}/products", **feed(patched("sku-1", **wrong)), headers={"Idempotency-Key": key}
        ),
    }
    first = {name: send(name) for name, send in sends.items()}
    service.client.put(SHOES, json={"indexed_attributes": DECLARED})
    for name, send in sends.items():
        again = send(name)
        assert (again.status_code, again.json["id"]) == (202, first[name].json["id"])
        assert send(f"another {name}".replace(" ", "-")).status_code == 422


def test_a_late_declaration_counts_products_of_other_kinds_and_shows_some(service: Any) -> None:
    for n, price in enumerate([12, "on request", None, "12", [1, "2"]]):
        service.put(f"p{n}", "red", price=price)
    body = {"indexed_attributes": {"price": "float", "color": "keyword"}}
    answer = service.client.put(SHOES, json=body)
    others = {"kind": "float", "products": 3, "examples": {"p1": '"on request"', "p3": '"12"', "p4": '"2"'}}
    assert (answer.status_code, answer.json["other_kinds"]) == (200, {"price": others})
    assert answer.json["indexed_attributes"] == body["indexed_attributes"]
    assert service.client.get(SHOES).json["indexed_attributes"] == body["indexed_attributes"]
    for n, price in {1: None, 3: 12, 4: [1, 2]}.items():
        sent = {"attributes": {"price": price}}
        assert service.client.patch(f"{SHOES}/products/p{n}?wait=30", json=sent).status_code == 200
    assert service.client.put(SHOES, json=body).json["other_kinds"] == {}
