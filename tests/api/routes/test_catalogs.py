"""Catalogs: made once with one encoder, read, removed with all that waits for them."""

import re
from typing import Any

import pytest

from services.descriptions import AttributeKind
from services.errors import IndexUnavailable, WeightsUnreachable

SHOES = "/v1/catalogs/shoes"


def described(**changes: Any) -> dict[str, Any]:
    return {
        "name": "boots",
        "products": 0,
        "encoder": "inception_v3",
        "features": "head",
        "weights": "imagenet",
        "resample": "nearest",
        "quantization": "none",
        "dim": 2048,
        "fingerprint": None,
        "trained": True,
        "indexed_attributes": {},
    } | changes


def read(answer: Any) -> dict[str, Any]:
    found: dict[str, Any] = dict(answer.json)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", found.pop("created_at"))
    return found


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"resample": "bicubic"},
        {"quantization": "turbo"},
        {"encoder": "efficientnet_lite0", "weights": "random:7"},
        {"indexed_attributes": {"color": "keyword", "price": "float", "size.width": "integer", "new": "bool"}},
    ],
)
def test_a_catalog_is_made_once(service: Any, body: dict[str, Any]) -> None:
    made = service.client.put("/v1/catalogs/boots", json=body)
    more = {"dim": 1280, "trained": False} if "encoder" in body else {}
    assert (made.status_code, made.headers["Location"]) == (201, "/v1/catalogs/boots")
    assert read(made) == described(**body, **more, other_kinds={})
    for again in (body, {}):
        answer = service.client.put("/v1/catalogs/boots", json=again)
        assert (answer.status_code, answer.json) == (200, made.json)
    assert service.client.get("/v1/catalogs/boots").json | {"other_kinds": {}} == made.json


def test_a_new_catalog_whose_weights_cannot_be_had_is_not_made_and_others_are_left_alone(make_service: Any) -> None:
    away: list[str] = []

    def check(encoder: str, weights: str) -> None:
        if f"{encoder} {weights}" in away:
            raise WeightsUnreachable(f"The ImageNet weights of {encoder} could not be fetched: give a file.")

    service = make_service(check_weights=check)
    service.catalog()
    away.append("inception_v3 imagenet")
    answer = service.client.put("/v1/catalogs/boots", json={})
    assert (answer.status_code, answer.json["code"]) == (503, "weights_unreachable")
    assert "give a file" in answer.json["detail"]
    assert service.client.get("/v1/catalogs/boots").status_code == 404
    assert service.client.put("/v1/catalogs/boots", json={"encoder": "efficientnet_lite0"}).status_code == 201
    assert service.client.put(SHOES, json={"indexed_attributes": {"color": "keyword"}}).status_code == 200


def test_attributes_can_be_indexed_later(service: Any) -> None:
    service.put("a", "red", color="red")
    for attributes in ({"color": "keyword"}, {"color": "keyword", "price": "float"}):
        answer = service.client.put(SHOES, json={"indexed_attributes": attributes})
        assert (answer.status_code, answer.json["indexed_attributes"]) == (200, attributes)
    assert service.catalogs.get("shoes").spec.indexed_attributes == {
        "color": AttributeKind.KEYWORD,
        "price": AttributeKind.FLOAT,
    }


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"encoder": "efficientnet_lite0"}, "encoder_mismatch"),
        ({"encoder": "vgg"}, "encoder_mismatch"),
        ({"weights": "random:1"}, "encoder_mismatch"),
        ({"resample": "bicubic"}, "encoder_mismatch"),
        ({"quantization": "turbo"}, "encoder_mismatch"),
        ({"indexed_attributes": {"color": "integer", "new": "bool"}}, "conflict"),
    ],
)
def test_what_a_catalog_is_cannot_be_changed(service: Any, body: dict[str, Any], code: str) -> None:
    service.client.put(SHOES, json={"indexed_attributes": {"color": "keyword"}})
    before = service.client.get(SHOES).json
    answer = service.client.put(SHOES, json=body)
    assert (answer.status_code, answer.json["code"]) == (409, code)
    assert answer.json["detail"].startswith(next(iter(body)))
    assert service.client.get(SHOES).json == before


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"quantization": "int8"}, "quantization"),
        ({"encoder": 7}, "encoder"),
        ({"encoder": None}, "encoder"),
        ({"encoder": "vgg"}, "encoder"),
        ({"weights": "/etc/passwd.h5"}, "weights"),
        ({"weights": "weights.h5"}, "weights"),
        ({"weights": "random:"}, "weights"),
        ({"weights": "random:-1"}, "weights"),
        ({"weights": "imagenet\n"}, "weights"),
        ({"resample": "box"}, "resample"),
        ({"features": "all"}, "features"),
        ({"indexed_attributes": ["color"]}, "indexed_attributes"),
        ({"indexed_attributes": {"color": "text"}}, "indexed_attributes.color"),
        ({"indexed_attributes": {"a b": "bool"}}, "indexed_attributes"),
        ({"indexed_attributes": {f"a{n}": "bool" for n in range(65)}}, "indexed_attributes"),
        ([], "body"),
        ("x", "body"),
    ],
)
def test_a_body_that_is_none_is_refused_and_makes_nothing(service: Any, body: Any, field: str) -> None:
    answer = service.client.put("/v1/catalogs/boots", json=body)
    assert (answer.status_code, answer.content_type) == (422, "application/problem+json"), answer.text
    assert [error["field"] for error in answer.json["errors"]] == [field]
    assert service.client.get("/v1/catalogs/boots").status_code == 404


def test_an_unknown_field_is_told_which_there_are(service: Any) -> None:
    answer = service.client.put("/v1/catalogs/boots", json={"a": 1, "b": None})
    there_are = "there are encoder, weights, resample, features, quantization, indexed_attributes."
    assert [error["detail"] for error in answer.json["errors"]][:2] == [
        f"a: unknown field; {there_are}",
        f"b: unknown field; {there_are}",
    ]


def test_every_wrong_field_is_named(service: Any) -> None:
    answer = service.client.put("/v1/catalogs/boots", json={"resample": "box", "encoder": 7})
    assert sorted(error["field"] for error in answer.json["errors"]) == ["encoder", "resample"]


@pytest.mark.parametrize("name", ["Boots", "-boots", "b" * 65, "b%2F..", "..", "b%20", "%E2%82%AC", "a.b"])
def test_a_name_that_is_none_is_refused(service: Any, name: str) -> None:
    for method in ("put", "get", "delete"):
        answer = getattr(service.client, method)(f"/v1/catalogs/{name}", **({"json": {}} if method == "put" else {}))
        assert (answer.status_code, answer.json["code"]) == (422, "catalog_invalid")
        assert answer.json["errors"][0]["field"] == "catalog"


def test_catalogs_are_listed_by_name(service: Any) -> None:
    service.put("a")
    service.catalog("boots", resample="bicubic")
    listed = service.client.get("/v1/catalogs").json
    assert listed == {"catalogs": [service.client.get(f"/v1/catalogs/{name}").json for name in ("boots", "shoes")]}
    assert [catalog["products"] for catalog in listed["catalogs"]] == [0, 1]


def test_a_catalog_that_is_not_there_does_not_tell_where_it_would_be(service: Any) -> None:
    for path in ("", "/products", "/products/a", "/products/a/neighbors", "/products/a/image"):
        answer = service.client.get(f"/v1/catalogs/boots{path}")
        assert answer.status_code == 404
        assert answer.json == {
            "type": "/problems/catalog_not_found",
            "title": "Catalog not found",
            "status": 404,
            "detail": "There is no catalog 'boots'; GET /v1/catalogs lists those there are.",
            "code": "catalog_not_found",
            "retryable": False,
            "instance": answer.headers["X-Request-Id"],
        }
    assert service.client.delete("/v1/catalogs/boots").json["code"] == "catalog_not_found"


def test_a_removed_catalog_is_gone_with_what_waits_for_it(service: Any) -> None:
    service.put("a")
    service.works = False
    job = service.client.delete(f"{SHOES}/products/a").json["id"]
    answer = service.client.delete(SHOES)
    assert (answer.status_code, answer.data, answer.headers.get("Content-Type")) == (204, b"", None)
    assert service.client.get(SHOES).status_code == 404
    assert service.client.get("/v1/catalogs").json == {"catalogs": []}
    assert service.client.get(f"/v1/jobs/{job}").json["state"] == "canceled"
    service.catalog()
    assert service.client.get(SHOES).json["products"] == 0
    assert service.claims.claim("test", 64).claim is None


def test_a_removal_that_takes_long_does_not_remove_the_catalog_after_it(service: Any) -> None:
    """Given a second removal and a new catalog of the name while the first is under way, I expect that one to stay."""
    before = service.catalogs.remove
    came: list[int] = []

    def remove(name: str, id: str) -> None:
        service.catalogs.remove = before
        came.append(service.client.delete(SHOES).status_code)
        service.catalog()
        service.put("new")
        before(name, id)

    service.catalogs.remove = remove
    answer = service.client.delete(SHOES)
    assert (came, answer.status_code, answer.json["code"]) == ([204], 404, "catalog_not_found")
    assert service.client.get(SHOES).json["products"] == 1


def test_a_removal_that_fails_leaves_the_catalog_and_its_versions(service: Any) -> None:
    service.put("a")
    before = service.catalogs.remove

    def fail(name: str, id: str) -> None:
        raise IndexUnavailable("It is away.")

    service.catalogs.remove = fail
    assert service.client.delete(SHOES).status_code == 503
    service.catalogs.remove = before
    service.put("b")
    products = service.client.get(f"{SHOES}/products").json["products"]
    assert sorted((each["product_id"], each["version"]) for each in products) == [("a", 1), ("b", 2)]
