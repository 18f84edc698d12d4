"""Search: by product, picture, URL and vector, page by page."""

import io
import json
from typing import Any

import numpy as np
import pytest

from services.catalog.generations import Generations
from services.outbound.urls import MAX_URL

SHOES = "/v1/catalogs/shoes"
SEARCH = f"{SHOES}/search"
URL = "https://images.example.com/1.jpg"


@pytest.fixture
def shop(service: Any) -> Any:
    """Reds from dark to bright, and a blue."""
    for number in range(1, 6):
        service.put(f"red-{number}", (200, 20 * number, 0), color="red", number=number)
    service.put("blue", "blue", color="blue")
    return service


def ids(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    assert answer.json.keys() == {"neighbors", "good", "next"}
    return [neighbor["product_id"] for neighbor in answer.json["neighbors"]]


def test_neighbors_of_a_product_are_best_first_without_itself(shop: Any) -> None:
    answer = shop.client.get(f"{SHOES}/products/red-1/neighbors")
    assert ids(answer) == ["red-2", "red-3", "red-4", "red-5", "blue"]
    scores = [neighbor["score"] for neighbor in answer.json["neighbors"]]
    assert scores == sorted(scores, reverse=True) and scores[-1] == pytest.approx(0, abs=1e-6)
    assert answer.json["neighbors"][0] == {
        "product_id": "red-2",
        "score": scores[0],
        "percentile": None,
        "likeness": None,
        "attributes": {"color": "red", "number": 2},
    }
    assert answer.json["next"] is None


def searches(shop: Any) -> dict[str, Any]:
    """The same question in every form there is."""
    picture = shop.picture((200, 20, 0))
    shop.web[URL] = picture
    features = np.zeros(2048)
    features[:48] = np.tile([200 / 255, 20 / 255, 0], 16)

    def form(query: dict[str, Any]) -> dict[str, Any]:
        return {"image": (io.BytesIO(picture), "x.png"), "query": json.dumps(query)}

    def url(query: dict[str, Any]) -> dict[str, Any]:
        return {name: json.dumps(each) if name == "filter" else each for name, each in query.items()}

    def post(**given: Any) -> Any:
        return shop.client.post(SEARCH, **given)

    return {
        "url": lambda **query: post(json={"image_url": URL, **query}),
        "vector": lambda **query: post(json={"vector": [*features], **query}),
        "form": lambda **query: post(data=form(query)),
        "body": lambda **query: post(data=picture, content_type="image/png", query_string=url(query)),
    }


@pytest.mark.parametrize("way", ["url", "vector", "form", "body"])
def test_a_picture_finds_what_looks_like_it(shop: Any, way: str) -> None:
    search = searches(shop)[way]
    assert ids(search()) == ["red-1", "red-2", "red-3", "red-4", "red-5", "blue"]
    assert ids(search(limit=2)) == ["red-1", "red-2"]
    assert ids(search(limit=2, offset=3)) == ["red-4", "red-5"]
    assert ids(search(min_score=0.5)) == [f"red-{number}" for number in range(1, 6)]
    assert ids(search(filter={"must": {"key": "color", "match": {"value": "blue"}}})) == ["blue"]
    pages = [search(limit=4)]
    pages.append(search(limit=4, cursor=pages[0].json["next"]))
    assert [ids(page) for page in pages] == [["red-1", "red-2", "red-3", "red-4"], ["red-5", "blue"]]
    assert pages[1].json["next"] is None
    assert search(limit=6).json["next"] is None, "that was all"


@pytest.mark.parametrize("way", ["url", "vector", "form", "body"])
def test_colors_and_a_second_look_are_asked_for_in_every_way(shop: Any, way: str) -> None:
    search, found = searches(shop)[way], shop.client.get
    refused = search(color_weight=2)
    assert (refused.status_code, refused.json["code"]) == (422, "invalid_input")
    assert "has head features" in refused.json["detail"]
    assert sorted(ids(search(rerank=True if way != "body" else "true"))) == sorted(ids(search()))
    Generations(shop.catalogs, "shoes", fewest=3).reindex({"features": "tuned"}, promote=True)
    catalog = shop.catalogs.get("shoes")
    vectors = {each.product_id: each.vector for each in catalog.points()}
    if way != "vector":
        for weight in (0, 1, 4.5):
            score = search(color_weight=weight, limit=1).json["neighbors"][0]["score"]
            scale = np.repeat([1, weight], [96, 32])
            query = vectors["red-1"] * scale
            assert score == pytest.approx(float(query @ vectors["red-1"] / np.linalg.norm(query)), abs=1e-4)
    path = f"{SHOES}/products/red-1/neighbors?color_weight=3"
    assert ids(found(f"{path}&rerank=true")) and ids(found(path)) == ids(found(f"{path}&rerank=false"))
    assert [found(f"{path}&rerank={each}").status_code for each in ("1", "yes", "")] == [422] * 3


def test_a_product_of_the_catalog_is_asked_about_in_a_body_too(shop: Any) -> None:
    answer = shop.client.post(SEARCH, json={"product_id": "red-1", "limit": 2})
    assert ids(answer) == ids(shop.client.get(f"{SHOES}/products/red-1/neighbors?limit=2")) == ["red-2", "red-3"]


def test_pages_of_neighbors_hold_each_once(shop: Any) -> None:
    path, seen = f"{SHOES}/products/red-1/neighbors?limit=2", []
    answer = shop.client.get(path)
    while answer.json["next"]:
        seen += ids(answer)
        answer = shop.client.get(f"{path}&cursor={answer.json['next']}")
    assert seen + ids(answer) == ["red-2", "red-3", "red-4", "red-5", "blue"]


def test_a_page_may_have_a_thousand(shop: Any) -> None:
    assert len(ids(shop.client.get(f"{SHOES}/products/red-1/neighbors?limit=1000"))) == 5


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "product_id"),
        ({"limit": 3}, "product_id"),
        ({"product_id": "red-1", "vector": [1]}, "vector"),
        ({"product_id": "red-1", "image_url": URL}, "image_url"),
        ({"product_id": None}, "product_id"),
        ({"product_id": 7}, "product_id"),
        ({"product_id": ""}, "product_id"),
        ({"product_id": "x" * 513}, "product_id"),
        ({"product_id": "red-1", "limit": 0}, "limit"),
        ({"product_id": "red-1", "limit": 1001}, "limit"),
        ({"product_id": "red-1", "limit": "10"}, "limit"),
        ({"product_id": "red-1", "limit": 10.5}, "limit"),
        ({"product_id": "red-1", "limit": True}, "limit"),
        ({"product_id": "red-1", "offset": -1}, "offset"),
        ({"product_id": "red-1", "offset": 100_001}, "offset"),
        ({"product_id": "red-1", "min_score": 1.1}, "min_score"),
        ({"product_id": "red-1", "min_score": "0"}, "min_score"),
        ({"product_id": "red-1", "color_weight": 10.5}, "color_weight"),
        ({"product_id": "red-1", "color_weight": -1}, "color_weight"),
        ({"product_id": "red-1", "color_weight": "1"}, "color_weight"),
        ({"product_id": "red-1", "rerank": 1}, "rerank"),
        ({"product_id": "red-1", "rerank": "true"}, "rerank"),
        ({"product_id": "red-1", "filter": "{}"}, "filter"),
        ({"product_id": "red-1", "filter": {"all": []}}, "filter"),
        ({"product_id": "red-1", "cursor": "x"}, "cursor"),
        ({"product_id": "red-1", "cursor": "bzEwMDAwMDA"}, "cursor"),
        ({"product_id": "red-1", "cursor": "bzI", "offset": 1}, "cursor"),
        ({"product_id": "red-1", "region": [0, 0, 1, 1]}, "region"),
        ({"vector": []}, "vector"),
        ({"vector": [1, 2]}, "vector"),
        ({"vector": [0.0] * 2048}, "vector"),
        ({"vector": [1e39] * 2048}, "vector"),
        ({"vector": ["1"] * 2048}, "vector.0"),
        ({"vector": "1,2"}, "vector"),
        ({"vector": [10**400] * 2048}, "vector.0"),
        ({"vector": [True] * 2048}, "vector.0"),
        ({"image_url": "ftp://example.com"}, "image_url"),
        ({"image_url": "https://images.example.com/none.jpg"}, "image_url"),
        ([], "body"),
    ],
)
def test_a_question_that_is_none_is_refused(shop: Any, body: Any, field: str) -> None:
    answer = shop.client.post(SEARCH, json=body)
    assert (answer.status_code, answer.content_type) == (422, "application/problem+json"), answer.text
    assert answer.json["errors"][0]["field"] == field


def test_numbers_beyond_all_numbers_are_refused(shop: Any) -> None:
    body = json.dumps({"vector": [0] * 2048}).replace("0", "1e999")
    answer = shop.client.post(SEARCH, data=body, content_type="application/json")
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "vector.0")


def test_parameters_of_the_url_go_with_every_body(shop: Any) -> None:
    """Generated clients know of parameters, but not with which body they go."""
    asked = {"limit": 2, "offset": 1, "min_score": -1, "filter": '{"must": {"is_empty": {"key": "none"}}}'}
    for given in (
        {"json": {"product_id": "red-1"}},
        {"data": {"image": (io.BytesIO(shop.picture()), "x.png")}},
        {"data": shop.picture(), "content_type": "image/png"},
    ):
        answer = shop.client.post(SEARCH, query_string=asked, **given)
        assert len(ids(answer)) == 2


def test_what_the_url_and_the_json_both_say_is_refused(shop: Any) -> None:
    picture = (io.BytesIO(shop.picture()), "x.png")
    for given in ({"json": {"product_id": "red-1", "limit": 2}}, {"data": {"image": picture, "query": '{"limit": 2}'}}):
        answer = shop.client.post(f"{SEARCH}?limit=2&offset=1", **given)
        assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "limit")


@pytest.mark.parametrize(
    ("query", "status", "field"),
    [
        ("{", 400, "query"),
        ("[]", 422, "body"),
        ('{"product_id": "a"}', 422, "product_id"),
        ('{"limit": 0}', 422, "limit"),
    ],
)
def test_the_query_of_a_form_is_judged_like_a_body(shop: Any, query: str, status: int, field: str) -> None:
    form = {"image": (io.BytesIO(shop.picture()), "x.png"), "query": query}
    answer = shop.client.post(SEARCH, data=form)
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (status, field)


def test_a_form_without_an_image_is_refused(shop: Any) -> None:
    answer = shop.client.post(SEARCH, data={"query": "{}"}, content_type="multipart/form-data")
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "image")


@pytest.mark.parametrize(
    ("image", "code"), [(b"\x89PNG\r\n\x1a\n" + bytes(99), "image_corrupt"), (b"<html>", "image_unsupported")]
)
def test_what_cannot_be_seen_cannot_be_searched(shop: Any, image: bytes, code: str) -> None:
    shop.web[URL] = image
    for given in ({"data": image, "content_type": "image/png"}, {"json": {"image_url": URL}}):
        answer = shop.client.post(SEARCH, **given)
        assert (answer.status_code, answer.json["code"]) == (422, code)


def test_a_product_that_is_not_there_has_no_neighbors(shop: Any) -> None:
    for answer in (
        shop.client.get(f"{SHOES}/products/none/neighbors"),
        shop.client.post(SEARCH, json={"product_id": "none"}),
    ):
        assert (answer.status_code, answer.json["code"]) == (404, "product_not_found")


def test_an_empty_catalog_has_no_neighbors(service: Any) -> None:
    answer = service.client.post(SEARCH, data=service.picture(), content_type="image/png")
    assert (answer.status_code, answer.json) == (200, {"neighbors": [], "good": None, "next": None})


def test_searches_are_measured(shop: Any) -> None:
    for search in searches(shop).values():
        search()
    shop.client.get(f"{SHOES}/products/red-1/neighbors")
    metrics = shop.client.get("/metrics").text
    counts = {
        way: f'lookalike_search_seconds_count{{by="{way}"}} {n}.0'
        for way, n in {"image": 3, "vector": 1, "product_id": 1}.items()
    }
    assert all(count in metrics for count in counts.values())


def test_white_space_around_a_url_does_not_count(shop: Any) -> None:
    padded = f" {URL.ljust(MAX_URL, 'a')} "
    shop.web[padded] = shop.picture()
    assert shop.client.post(SEARCH, json={"image_url": padded}).status_code == 200


def test_no_more_searches_fetch_than_there_are_places(shop: Any) -> None:
    waits = shop.app.extensions["lookalike"].waits
    held = [waits.acquire(blocking=False) for _ in range(48)]
    assert all(held)
    shop.web[URL] = shop.picture()
    answer = shop.client.post(SEARCH, json={"image_url": URL})
    assert (answer.status_code, answer.json["code"], answer.headers["Retry-After"]) == (429, "too_many_waits", "5")
    assert shop.client.post(SEARCH, json={"product_id": "blue"}).status_code == 200
    waits.release()
    for _ in range(2):
        assert shop.client.post(SEARCH, json={"image_url": URL}).status_code == 200
