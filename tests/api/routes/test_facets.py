"""Lists that are sorted, counted and described by facets, and facets alone."""

import json
from typing import Any

import pytest

SHOES = "/v1/catalogs/shoes"
PRICES: dict[str, Any] = {"a": 20, "b": 9.99, "c": [5, 30], "d": None, "e": 20}
CHEAP = {"must": [{"key": "price", "range": {"lt": 10}}]}


@pytest.fixture
def shop(make_service: Any) -> Any:
    service = make_service()
    service.catalog(indexed_attributes={"price": "float", "color": "keyword", "stock": "integer"})
    for product_id, price in PRICES.items():
        service.put(product_id, "red", price=price, color="red" if product_id < "d" else "blue", stock=7)
    return service


def listed(shop: Any, **query: Any) -> Any:
    answer = shop.client.get(f"{SHOES}/products", query_string=query)
    assert answer.status_code == 200, answer.text
    return answer.json


def refused(shop: Any, **query: Any) -> Any:
    answer = shop.client.get(f"{SHOES}/products", query_string=query)
    assert answer.status_code == 422, answer.text
    return answer.json


def walked(shop: Any, **query: Any) -> list[str]:
    page = listed(shop, **query)
    seen = [each["product_id"] for each in page["products"]]
    while page["next"]:
        page = listed(shop, **query, cursor=page["next"])
        seen += [each["product_id"] for each in page["products"]]
    return seen


def test_a_list_is_sorted_by_a_number_page_by_page(shop: Any) -> None:
    for limit in (1, 2, 5):
        up, down = walked(shop, sort="price", limit=limit), walked(shop, sort="-price", limit=limit)
        assert ["".join(up[:2]), {*up[2:4]}, up[4:]] == ["cb", {"a", "e"}, ["d"]]
        assert [down[0], {*down[1:3]}, "".join(down[3:])] == ["c", {"a", "e"}, "bd"]
    assert sorted(walked(shop, sort="price", limit=1, filter=json.dumps(CHEAP))) == ["b", "c"]


def test_a_list_without_new_parameters_is_what_it_was(shop: Any) -> None:
    assert list(listed(shop, limit=2)) == ["products", "next"]


def test_a_cursor_goes_with_its_sort_and_filter(shop: Any) -> None:
    cursor, plain = listed(shop, sort="price", limit=1)["next"], listed(shop, limit=1)["next"]
    for wrong in ({"sort": "-price"}, {"sort": "stock"}, {"sort": "price", "filter": json.dumps(CHEAP)}, {}):
        answer = refused(shop, cursor=cursor, **wrong)
        assert answer["code"] == "invalid_input" and "begin again without a cursor" in answer["detail"]
    assert "another sort or filter" in refused(shop, cursor=plain, sort="price")["detail"]


@pytest.mark.parametrize("sort", ["color", "-weight", "a..b"])
def test_a_sort_by_what_is_no_number_names_what_is(shop: Any, sort: str) -> None:
    answer = refused(shop, sort=sort)
    assert (answer["code"], answer["errors"][0]["field"]) == ("attribute_not_sortable", "sort")
    assert repr(sort.removeprefix("-")) in answer["detail"] and "there are price, stock; declare" in answer["detail"]


def test_a_list_says_how_many_there_are_if_asked(shop: Any) -> None:
    assert listed(shop, total="true", limit=1)["total"] == 5
    assert listed(shop, total="true", filter=json.dumps(CHEAP))["total"] == 2
    assert "total" not in listed(shop, total="false")


COLORS = {"key": "color", "kind": "keyword", "values": [{"value": "red", "count": 2}], "numbers": None}
STOCK = {"count": 2, "min": 7, "max": 7, "histogram": [{"start": 7, "end": 8, "count": 2}]}


def test_facets_are_those_of_the_filter_in_a_list_and_alone(shop: Any) -> None:
    stock = {"key": "stock", "kind": "integer", "values": [{"value": 7, "count": 2}], "numbers": STOCK}
    page = listed(shop, facets="color,stock", filter=json.dumps(CHEAP), limit=1)
    assert page["facets"] == [COLORS, stock] and len(page["products"]) == 1
    assert listed(shop, facets=["color", "stock,color"], filter=json.dumps(CHEAP))["facets"] == [COLORS, stock]
    alone = shop.client.post(f"{SHOES}/facets", json={"attributes": ["color", "stock"], "filter": CHEAP})
    assert (alone.status_code, alone.json) == (200, {"facets": [COLORS, stock]})
    [price] = shop.client.post(f"{SHOES}/facets", json={"attributes": ["price"], "limit": 1}).json["facets"]
    histogram = price["numbers"].pop("histogram")
    assert price == {"key": "price", "kind": "float", "values": None, "numbers": {"count": 4, "min": 5, "max": 30}}
    assert [(each["start"], each["count"]) for each in histogram if each["count"]] == [(5, 2), (20, 2), (30, 1)]


def test_facets_of_nothing_say_why(shop: Any) -> None:
    colour = {"must": [{"key": "colour", "match": {"value": "red"}}]}
    answer = shop.client.post(f"{SHOES}/facets", json={"attributes": ["color", "price"], "filter": colour}).json
    assert [each["numbers"] for each in answer["facets"]] == [
        None,
        {"count": 0, "min": None, "max": None, "histogram": []},
    ]
    assert [each["suggestion"] for each in answer["warnings"]] == ["color"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "attributes"),
        ({"attributes": []}, "attributes"),
        ({"attributes": ["color"] * 21}, "attributes"),
        ({"attributes": ["color"], "limit": 0}, "limit"),
        ({"attributes": ["color"], "filter": {"key": 1}}, "filter"),
        ({"attributes": ["weight"]}, "attribute"),
    ],
    ids=str,
)
def test_a_question_that_is_none_is_refused_by_name(shop: Any, body: Any, field: str) -> None:
    answer = shop.client.post(f"{SHOES}/facets", json=body)
    assert answer.status_code == 422 and answer.json["errors"][0]["field"] == field, answer.text


def test_facets_of_a_list_are_refused_by_name(shop: Any) -> None:
    assert refused(shop, facets=" , ")["errors"][0]["field"] == "facets"
    answer = refused(shop, facets='color,"a,b"')
    assert answer["code"] == "attribute_not_indexed" and "'\"a,b\"' has no facets" in answer["detail"]
