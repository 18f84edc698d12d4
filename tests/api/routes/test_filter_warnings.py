"""An empty answer to a filter on a key that no product has says so; every other answer is as it was."""

import io
import json
from typing import Any

import pytest

SHOES = "/v1/catalogs/shoes"
COLOUR = {"must": [{"key": "colour", "match": {"value": "red"}}]}
WARNING = {
    "code": "filter_key_unknown",
    "message": "No product has a value at colour, so a condition on it matches nothing; perhaps color is meant.",
    "key": "colour",
    "suggestion": "color",
}


@pytest.fixture
def shop(service: Any) -> Any:
    for number, color in enumerate(("red", "blue", "green"), 1):
        service.put(f"sku-{number}", color, color=color)
    return service


def asked(shop: Any, filter: Any, **options: Any) -> dict[str, Any]:
    """Every route that takes a filter, asked with this one."""
    client = shop.client
    text = {"filter": json.dumps(filter), **options}
    body = {"filter": filter, **options}
    image = shop.picture("red")
    answers = {
        "list": client.get(f"{SHOES}/products", query_string={"filter": json.dumps(filter)}),
        "neighbors": client.get(f"{SHOES}/products/sku-1/neighbors", query_string=text),
        "product": client.post(f"{SHOES}/search", json={"product_id": "sku-1", **body}),
        "image": client.post(f"{SHOES}/search", query_string=text, data=image, content_type="image/png"),
        "form": client.post(f"{SHOES}/search", data={"image": (io.BytesIO(image), "x.png"), "query": json.dumps(body)}),
    }
    assert {answer.status_code for answer in answers.values()} == {200}
    return {name: answer.json for name, answer in answers.items()}


def empty(name: str) -> dict[str, Any]:
    """An answer in which nothing is: of a list, or of a search."""
    return {"products": [], "next": None} if name == "list" else {"neighbors": [], "good": None, "next": None}


def test_every_empty_answer_names_the_key(shop: Any) -> None:
    for name, answer in asked(shop, COLOUR).items():
        assert answer == empty(name) | {"warnings": [WARNING]}, name
    assert all(answer["warnings"] == [WARNING] for answer in asked(shop, COLOUR, offset=5).values())


@pytest.mark.parametrize(
    "filter",
    [
        {"must": [{"key": "color", "match": {"value": "pink"}}]},
        {"must_not": [{"is_empty": {"key": "colour"}}]},
        {"must": [{"has_id": ["none"]}]},
    ],
    ids=str,
)
def test_an_answer_that_is_rightly_empty_warns_of_nothing(shop: Any, filter: Any) -> None:
    for name, answer in asked(shop, filter).items():
        assert answer == empty(name), name


def test_an_answer_with_something_in_it_warns_of_nothing_on_any_page(shop: Any) -> None:
    some = {"should": [*COLOUR["must"], {"key": "color", "match": {"any": ["red", "blue"]}}]}
    for answer in asked(shop, some).values():
        assert answer.keys() == {"products", "next"} or answer.keys() == {"neighbors", "good", "next"}
    for name, answer in asked(shop, some, offset=2).items():
        if name != "list":
            assert answer == empty(name)


def test_an_empty_page_after_the_last_product_warns_of_nothing(shop: Any) -> None:
    """Products may be gone when the cursor is used."""
    first = shop.client.get(f"{SHOES}/products?limit=2").json
    for number in range(1, 4):
        assert shop.client.delete(f"{SHOES}/products/sku-{number}?wait=30").status_code == 200
    query = {"cursor": first["next"], "filter": json.dumps(COLOUR)}
    assert shop.client.get(f"{SHOES}/products", query_string=query).json == {"products": [], "next": None}
