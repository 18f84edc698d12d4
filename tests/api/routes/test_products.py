"""Products: put in every form, patched, removed, read, listed, seen."""

import io
import json
from hashlib import sha256
from typing import Any

import numpy as np
import pytest

from services.records import Embedding, State
from services.signatures import media_type

URL = "https://images.example.com/1.jpg"
SHOES = "/v1/catalogs/shoes"
ONE = f"{SHOES}/products/sku-1"


def stored(service: Any, path: str = ONE) -> Any:
    answer = service.client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json


def done(answer: Any) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json


@pytest.mark.parametrize("type", ["image/png", "image/jpeg", "application/octet-stream", "image/png; charset=x"])
def test_the_body_may_be_the_image(service: Any, type: str) -> None:
    """Whatever its type is said to be: its bytes say it."""
    done(service.client.put(f"{ONE}?wait=30", data=service.picture(), content_type=type))
    assert stored(service) == {
        "product_id": "sku-1",
        "attributes": {},
        "image": sha256(service.picture()).hexdigest(),
        "image_url": None,
        "version": 1,
    }


def test_a_form_has_image_and_attributes(service: Any) -> None:
    attributes = {"color": "röd", "sizes": [1, 2.5], "new": True}
    form = {"image": (io.BytesIO(service.picture()), "å.png"), "attributes": json.dumps(attributes)}
    done(service.client.put(f"{ONE}?wait=30", data=form))
    assert stored(service)["attributes"] == attributes
    as_file = {"attributes": (io.BytesIO(b'{"color": null}'), "a.json", "application/json")}
    done(service.client.patch(f"{ONE}?wait=30", data=as_file))
    assert stored(service)["attributes"] == {"sizes": [1, 2.5], "new": True}


def test_json_has_the_url_of_the_image(service: Any) -> None:
    service.web[URL] = service.picture("blue")
    done(service.client.put(f"{ONE}?wait=30", json={"image_url": URL, "attributes": {"a": 1}}))
    assert stored(service)["image"] == sha256(service.picture("blue")).hexdigest()
    assert stored(service)["attributes"] == {"a": 1}


def test_attributes_stay_where_a_put_has_none_and_go_where_it_has_none_in_them(service: Any) -> None:
    service.web[URL] = service.picture()
    service.put("sku-1", "blue", color="blue")
    done(service.client.put(f"{ONE}?wait=30", json={"image_url": URL}))
    assert stored(service)["attributes"] == {"color": "blue"}
    done(service.client.put(f"{ONE}?wait=30", json={"image_url": URL, "attributes": {}}))
    assert stored(service)["attributes"] == {}


def test_a_patch_merges_attributes_and_may_have_an_image(service: Any) -> None:
    service.put("sku-1", "red", color="red", size={"width": 1, "height": 2})
    patch = {"attributes": {"color": None, "size": {"width": 3}, "new": True}}
    done(service.client.patch(f"{ONE}?wait=30", json=patch))
    assert stored(service)["attributes"] == {"size": {"width": 3, "height": 2}, "new": True}
    form = {"image": (io.BytesIO(service.picture("green")), "x.png")}
    done(service.client.patch(f"{ONE}?wait=30", data=form))
    assert stored(service)["image"] == sha256(service.picture("green")).hexdigest()
    assert stored(service)["attributes"] == {"size": {"width": 3, "height": 2}, "new": True}


def test_a_removed_product_is_gone(service: Any) -> None:
    service.put("sku-1")
    done(service.client.delete(f"{ONE}?wait=30"))
    for path in (ONE, f"{ONE}/image", f"{ONE}/thumbnail", f"{ONE}/neighbors"):
        answer = service.client.get(path)
        assert (answer.status_code, answer.json["code"]) == (404, "product_not_found")
    assert service.client.get(f"{SHOES}/products").json == {"products": [], "next": None}


@pytest.mark.parametrize(
    ("method", "body", "field", "code"),
    [
        ("put", {}, "image_url", "change_invalid"),
        ("put", {"attributes": {}}, "image_url", "change_invalid"),
        ("put", {"image_url": URL, "color": 1}, "color", "change_invalid"),
        ("put", {"image_url": URL, "product_id": "sku-1"}, "product_id", "change_invalid"),
        ("put", {"image_url": URL, "op": "delete"}, "op", "change_invalid"),
        ("put", {"image_url": "http://"}, "image_url", "fetch_refused"),
        ("put", {"image_url": URL, "attributes": 1}, "attributes", "attributes_invalid"),
        ("patch", {}, "attributes", "change_invalid"),
        ("patch", {"attributes": None}, "attributes", "attributes_invalid"),
        ("put", [], "body", "change_invalid"),
        ("patch", "x", "body", "change_invalid"),
    ],
)
def test_a_body_that_is_no_change_is_refused(service: Any, method: str, body: Any, field: str, code: str) -> None:
    answer = getattr(service.client, method)(ONE, json=body)
    assert (answer.status_code, answer.json["code"]) == (422, code)
    assert [error["field"] for error in answer.json["errors"]] == [field]
    assert service.client.get("/v1/jobs").json["jobs"] == []


@pytest.mark.parametrize("image", [b"", b"no image", b"RIFF....WAVE", b"<svg xmlns='http://www.w3.org/2000/svg'/>"])
def test_what_is_no_image_is_refused_at_once(service: Any, image: bytes) -> None:
    form = {"image": (io.BytesIO(image), "x.png")}
    for sent in ({"data": image, "content_type": "image/png"}, {"data": form}):
        for call in (
            lambda **sent: service.client.put(ONE, **sent),
            lambda **sent: service.client.post(f"{SHOES}/search", **sent),
        ):
            if isinstance(sent["data"], dict):
                sent["data"] = {"image": (io.BytesIO(image), "x.png")}
            answer = call(**sent)
            assert (answer.status_code, answer.json["code"]) == (422, "image_unsupported"), answer.text
            assert answer.json["errors"][0]["field"] == "image"
            assert ("empty" in answer.json["detail"]) is (image == b"")
    assert service.client.get("/v1/jobs").json["jobs"] == []


@pytest.mark.parametrize("id", ["x" * 513, "%F0%9F%91%9F" * 129])
def test_an_id_that_is_none_is_refused(service: Any, id: str) -> None:
    for method in ("get", "put", "patch", "delete"):
        answer = getattr(service.client, method)(
            f"{SHOES}/products/{id}", **({} if method == "get" else {"json": {"image_url": URL}})
        )
        assert (answer.status_code, answer.json["code"]) == (422, "product_id_invalid")
        assert answer.json["errors"][0]["field"] == "product_id"


def test_products_are_read_by_their_ids_in_the_order_of_the_request(service: Any) -> None:
    for name in "abc":
        service.put(name, color=name)
    answer = service.client.post(f"{SHOES}/products/read", json={"ids": ["c", "none", "a", "c", "zero"]})
    assert answer.status_code == 200
    assert [(each["product_id"], each["attributes"]) for each in answer.json["products"]] == [
        ("c", {"color": "c"}),
        ("a", {"color": "a"}),
        ("c", {"color": "c"}),
    ]
    assert answer.json["missing"] == ["none", "zero"]
    assert answer.json["products"][0] == service.client.get(f"{SHOES}/products/c").json
    for ids in ([], ["a"] * 1001, [""], ["x" * 513], [1], "a"):
        assert service.client.post(f"{SHOES}/products/read", json={"ids": ids}).status_code == 422, ids


def test_vectors_are_told_where_they_are_asked_for_and_find_their_product(service: Any) -> None:
    service.put("a", "red")
    service.put("b", "blue")
    plain = service.client.get(f"{SHOES}/products/a").json
    told = service.client.get(f"{SHOES}/products/a?with_vector=true").json
    vector = told.pop("vector")
    assert told == plain and "vector" not in plain
    assert sum(each * each for each in vector) == pytest.approx(1, abs=1e-4)
    many = service.client.post(f"{SHOES}/products/read", json={"ids": ["b", "a"], "with_vector": True}).json["products"]
    assert many[1]["vector"] == vector and many[0]["vector"] != vector
    found = service.client.post("/v1/catalogs/shoes/search", json={"vector": vector, "limit": 1}).json["neighbors"]
    assert [(each["product_id"], each["score"]) for each in found] == [("a", pytest.approx(1, abs=1e-4))]


def test_a_product_tells_where_its_image_was_fetched(service: Any) -> None:
    catalog = service.catalogs.get("shoes")
    [outcome] = catalog.put_embeddings([Embedding("a", np.ones(catalog.spec.dim, np.float32), {}, url=URL)])
    assert outcome.state is State.APPLIED
    service.put("b")
    assert service.client.get(f"{SHOES}/products/a").json["image_url"] == URL
    assert service.client.get(f"{SHOES}/products/b").json["image_url"] is None


def test_products_are_listed_page_by_page(service: Any) -> None:
    for number in range(7):
        service.put(f"sku-{number}", "red", number=number)
    seen, cursor = [], ""
    sizes = []
    while cursor is not None:
        page = service.client.get(f"{SHOES}/products?limit=3{cursor}").json
        assert page.keys() == {"products", "next"}
        sizes.append(len(page["products"]))
        seen += [product["product_id"] for product in page["products"]]
        cursor = page["next"] and f"&cursor={page['next']}"
    assert sorted(seen) == [f"sku-{number}" for number in range(7)] and sizes == [3, 3, 1]


def test_products_are_listed_by_a_filter(service: Any) -> None:
    service.put("a", "red", color="red")
    service.put("b", "blue", color="blue")
    filter = json.dumps({"must": {"key": "color", "match": {"value": "blue"}}})
    page = service.client.get(f"{SHOES}/products", query_string={"filter": filter}).json
    assert [product["product_id"] for product in page["products"]] == ["b"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=", "limit"),
        ("limit=ten", "limit"),
        ("limit=1.0", "limit"),
        ("limit=%2B1", "limit"),
        ("limit=1_0", "limit"),
        ("limit=1&limit=2", "limit"),
        ("limit=99999999999999999999999", "limit"),
        ("cursor=x", None),
        ("cursor=", "cursor"),
        ("cursor=a%00b", "cursor"),
        ("offset=1", "offset"),
        ("Limit=1", "Limit"),
        ("filter={", "filter"),
        ("filter=[]", "filter"),
        ('filter={"must":{"key":"a","match":{"value":NaN}}}', "filter"),
        ('filter={"must":[],"must":[]}', "filter"),
        ('filter={"nope":[]}', "filter"),
        ("filter=" + "[" * 5000, "filter"),
        ("=1", ""),
        ("a=%ff", "query"),
        ("a=%", "query"),
    ],
)
def test_parameters_that_are_none_are_refused_by_name(service: Any, query: str, field: str | None) -> None:
    answer = service.client.get(f"{SHOES}/products?{query}")
    assert answer.status_code in (400, 422) and answer.content_type == "application/problem+json", answer.text
    if field is not None:
        assert answer.json["errors"][0]["field"] == field


# Images


def test_an_image_is_served_to_be_seen_and_nothing_else(service: Any) -> None:
    service.put("sku-1")
    answer = service.client.get(f"{ONE}/image")
    tag = f'"{sha256(service.picture()).hexdigest()}"'
    headers = {name: value for name, value in answer.headers.items() if name not in ("X-Request-Id", "Content-Length")}
    assert (answer.status_code, answer.data) == (200, service.picture())
    assert headers == {
        "Content-Type": "image/png",
        "Content-Disposition": "inline",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "private, no-cache",
        "ETag": tag,
    }
    for known in (tag, f'W/{tag}, "other"', "*"):
        again = service.client.get(f"{ONE}/image", headers={"If-None-Match": known})
        assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", tag)
        assert "Content-Type" not in again.headers
    assert service.client.get(f"{ONE}/image", headers={"If-None-Match": '"other"'}).status_code == 200
    head = service.client.head(f"{ONE}/image")
    assert (head.status_code, head.data, head.headers["ETag"]) == (200, b"", tag)


def test_a_thumbnail_is_a_webp_of_the_image_there_is_now(service: Any) -> None:
    service.put("sku-1", "red")
    first = service.client.get(f"{ONE}/thumbnail")
    assert (first.status_code, first.content_type, first.data[8:12]) == (200, "image/webp", b"WEBP")
    tag = first.headers["ETag"]
    assert service.client.get(f"{ONE}/thumbnail", headers={"If-None-Match": tag}).status_code == 304
    service.put("sku-1", "blue")
    second = service.client.get(f"{ONE}/thumbnail", headers={"If-None-Match": tag})
    assert second.status_code == 200 and second.headers["ETag"] != tag


def test_an_image_that_was_not_kept_is_not_found(make_service: Any) -> None:
    service = make_service(media_keep="none")
    service.catalog()
    service.web[URL] = service.picture()
    uploads = (
        {"data": service.picture(), "content_type": "image/png"},
        {"data": {"image": (io.BytesIO(service.picture()), "x")}},
    )
    for upload in uploads:
        answer = service.client.put(ONE, **upload)
        assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "image")
    done(service.client.put(f"{ONE}?wait=30", json={"image_url": URL}))
    for path in (f"{ONE}/image", f"{ONE}/thumbnail"):
        answer = service.client.get(path)
        assert (answer.status_code, answer.json["code"]) == (404, "media_not_found")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"])
def test_the_type_of_an_image_is_what_its_bytes_say(service: Any, format: str) -> None:
    assert media_type(service.picture(format=format)) == f"image/{format.lower()}"


def test_bytes_of_no_known_kind_have_no_type() -> None:
    assert media_type(b"<html>") is None and media_type(b"") is None
