"""A filter that finds nothing says which of its keys no product has."""

from typing import Any

import numpy as np
import pytest

from services.catalog.catalog import Catalog
from services.catalog.unknown_keys import MAX_CHECKED
from services.descriptions import AttributeKind
from services.query.filters import parse
from services.records import Embedding, FilterWarning

ATTRIBUTES: list[dict[str, Any]] = [
    {"color": "red", "price": 9.5, "size": {"width": 3}, "a.b": 1, "tags": []},
    {"color": "blue", "parts": [{"n": 1}], "nothing": None, 'quo"te': 1},
]


@pytest.fixture
def shop(catalog: Catalog) -> Catalog:
    """Many products have the same, one has more."""
    many = [*ATTRIBUTES, *({"color": "green"} for _ in range(60)), {"rare": True}]
    features = np.arange(1, 49, dtype=np.float32)
    put = catalog.put_embeddings(Embedding(f"p{n}", features + n, each) for n, each in enumerate(many))
    assert all(each.code is None for each in put)
    catalog.declare({"stock": AttributeKind.INTEGER, "color": AttributeKind.KEYWORD})
    return catalog


def is_one(key: str) -> dict[str, Any]:
    return {"key": key, "match": {"value": "x"}}


def warned(catalog: Catalog, source: object) -> list[tuple[str, str | None]]:
    found = catalog.warnings(parse(source))
    assert {each.code for each in found} <= {"filter_key_unknown"}
    return [(each.key, each.suggestion) for each in found]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"must": is_one("colour")}, [("colour", "color")]),
        ({"must": is_one("Color")}, [("Color", "color")]),
        ({"must": is_one("zzz")}, [("zzz", None)]),
        ({"must": {"key": "prise", "range": {"lt": 1}}}, [("prise", "price")]),
        ({"must": is_one("size.widht")}, [("size.widht", "size.width")]),
        ({"must": is_one("a.b")}, [("a.b", '"a.b"')]),
        ({"must": is_one("stok")}, [("stok", "stock")]),
        ({"must": is_one("stock")}, [("stock", None)]),
        ({"must": is_one("tags")}, [("tags", None)]),
        ({"must": is_one("nothing")}, [("nothing", None)]),
        ({"must": is_one("parts[].m")}, [("parts[].m", None)]),
        ({"must": [{"should": [is_one("colour"), {"must_not": is_one("cost")}]}, is_one("rare")]},
         [("colour", "color"), ("cost", None)]),
        ({"must": [is_one("colour"), is_one('"colour"'), is_one("colour")]}, [("colour", "color")]),
        ({"must": [is_one(key) for key in ("color", '"a.b"', '"color"', "size.width", "parts[].n", "rare")]}, []),
        ({"must": [{"is_empty": {"key": "cost"}}], "must_not": [{"is_empty": {"key": "colour"}}]}, []),
        ({"must": [{"has_id": ["none"]}]}, []),
        ({}, []),
    ],
    ids=str,
)  # fmt: skip
def test_keys_that_no_product_has_are_named(shop: Catalog, source: object, expected: list[Any]) -> None:
    assert sorted(warned(shop, source)) == sorted(expected)


def test_the_message_says_what_to_do(shop: Catalog) -> None:
    assert shop.warnings(parse({"must": [is_one("colour"), is_one("zzz")]})) == [
        FilterWarning(
            "filter_key_unknown",
            "No product has a value at colour, so a condition on it matches nothing; perhaps color is meant.",
            "colour",
            "color",
        ),
        FilterWarning(
            "filter_key_unknown",
            "No product has a value at zzz, so a condition on it matches nothing; look at a product to see which "
            "attributes there are.",
            "zzz",
            None,
        ),
    ]
    assert shop.warnings(None) == []


def test_in_an_empty_catalog_every_key_is_unknown(catalog: Catalog) -> None:
    assert warned(catalog, {"must": [is_one("color")]}) == [("color", None)]


def test_of_many_keys_some_are_looked_for(shop: Catalog) -> None:
    """Each may cost a look at all products, as much as the search did: an empty answer may not cost ten of them."""
    found = warned(shop, {"should": [is_one(f"none{n}") for n in range(200)]})
    assert found == [(f"none{n}", None) for n in range(MAX_CHECKED)]
    assert MAX_CHECKED <= 5
