"""Facets of a catalog's attributes, with an index of them and without."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from services.catalog.catalog import Catalog
from services.catalog.facets import AttributeFacets
from services.catalog.number_facets import Bin, Numbers
from services.descriptions import AttributeKind
from services.errors import AttributeNotIndexed, InvalidInput
from services.index.vector_index import VectorIndex
from services.query.filters import parse
from services.records import Facet, Point, Tombstone

KINDS = {
    "color": AttributeKind.KEYWORD,
    "stock": AttributeKind.INTEGER,
    "price": AttributeKind.FLOAT,
    "sale": AttributeKind.BOOL,
}
PRODUCTS: list[dict[str, Any]] = [
    {"color": "red", "stock": 3, "price": 9.99, "sale": True},
    {"color": ["red", "blue"], "stock": [3, 12], "price": [12.5, 49.9]},
    {"color": None, "price": None},
    {"color": "blue", "stock": 0, "price": 20},
    {"color": "green", "stock": 3, "price": 49, "hidden": True},
]
SHOWN = parse({"must_not": {"key": "hidden", "match": {"value": True}}})


@pytest.fixture
def stocked(make: Callable[..., Catalog], index: VectorIndex) -> Catalog:
    catalog = make()
    catalog.declare(KINDS)
    look = np.eye(index.dim, dtype=np.float32)[0]
    catalog.copy([Point(f"p{n}", n + 1, look, attributes=each) for n, each in enumerate(PRODUCTS)])
    return catalog


def of_shown(catalog: Catalog) -> list[AttributeFacets]:
    return catalog.attribute_facets(["color", '"stock"', "price", "sale"], limit=2, filter=SHOWN)


STOCK = (Bin(0, 2, 1), Bin(2, 4, 2), Bin(4, 6, 0), Bin(6, 8, 0), Bin(8, 10, 0), Bin(10, 12, 0), Bin(12, 14, 1))
PRICE = (
    (5, 10, 1),
    (10, 15, 1),
    (15, 20, 0),
    (20, 25, 1),
    (25, 30, 0),
    (30, 35, 0),
    (35, 40, 0),
    (40, 45, 0),
    (45, 50, 1),
)
EXPECTED = [
    AttributeFacets("color", AttributeKind.KEYWORD, (Facet("blue", 2), Facet("red", 2)), None),
    AttributeFacets('"stock"', AttributeKind.INTEGER, (Facet(3, 2), Facet(0, 1)), Numbers(3, 0, 12, STOCK)),
    AttributeFacets("price", AttributeKind.FLOAT, None, Numbers(3, 9.99, 49.9, tuple(Bin(*each) for each in PRICE))),
    AttributeFacets("sale", AttributeKind.BOOL, (Facet(True, 1),), None),
]


def test_facets_are_of_the_products_that_pass_the_filter(stocked: Catalog) -> None:
    assert of_shown(stocked) == EXPECTED
    nothing = stocked.attribute_facets([*KINDS], filter=parse({"must": {"has_id": ["none"]}}))
    assert [(each.values, each.numbers) for each in nothing] == [
        ((), None), ((), Numbers(0, None, None)), (None, Numbers(0, None, None)), ((), None)
    ]  # fmt: skip
    assert all(each.is_empty for each in nothing) and not any(each.is_empty for each in of_shown(stocked))


def test_facets_are_the_same_while_values_of_other_kinds_keep_an_index_away(stocked: Catalog) -> None:
    [point, *_] = stocked.points()
    odd = {"color": [1], "stock": ["few", 1.5], "price": [True, "on request"], "sale": ["yes", 1], "hidden": False}
    stocked.copy([Point("odd", 100, point.vector, attributes=odd)])
    found = of_shown(stocked)
    assert [each.values for each in found] == [each.values for each in EXPECTED]
    # 1.5 is a number, which range filters find, too.
    assert found[1].numbers == Numbers(4, 0, 12, (Bin(0, 2, 2), *STOCK[1:])) and found[2] == EXPECTED[2]
    stocked.copy([Tombstone("odd", 101, 1.0)])
    assert of_shown(stocked) == EXPECTED


def test_only_declared_attributes_have_facets(stocked: Catalog) -> None:
    for key in ("weight", "a..b"):
        with pytest.raises(AttributeNotIndexed, match=f"'{key}' has no facets.*there are color, stock, price, sale;"):
            stocked.attribute_facets(["color", key])
    with pytest.raises(InvalidInput, match="20 at most"):
        stocked.attribute_facets(["color"] * 21)
