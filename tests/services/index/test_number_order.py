"""The contract of `VectorIndex.ordered`, over every implementation."""

from typing import Any

import numpy as np
import pytest

from services.descriptions import AttributeKind
from services.errors import AttributeNotIndexed
from services.index.number_order import NumberOrder
from services.index.vector_index import VectorIndex
from services.query.filters import parse
from services.records import AttributeUpdate, Point, Tombstone

LOOK = np.array([1, 0, 0, 0], np.float32)


def point(product_id: str, price: Any, version: int = 1) -> Point:
    return Point(product_id, version, LOOK, attributes={"price": price})


def numbers(index: VectorIndex, *order: Any, **options: Any) -> list[tuple[float, str]]:
    return [(number, found.product_id) for number, found in index.ordered(NumberOrder("price", *order), **options)]


@pytest.fixture
def priced(index: VectorIndex) -> VectorIndex:
    index.declare({"price": AttributeKind.FLOAT, '"a.b"': AttributeKind.INTEGER, "color": AttributeKind.KEYWORD})
    prices: list[Any] = [3, 1.5, [4, -2, 4, None], None, [], 2**53 - 1]
    index.upsert([*(point(f"p{n}", price) for n, price in enumerate(prices)), point("gone", 0), Point("none", 1, LOOK)])
    index.upsert([Tombstone("gone", 2, 1.0)])
    return index


def test_numbers_come_in_their_order_with_the_products_that_have_them(priced: VectorIndex) -> None:
    up = [(-2.0, "p2"), (1.5, "p1"), (3.0, "p0"), (4.0, "p2"), (2.0**53 - 1, "p5")]
    assert numbers(priced) == up and numbers(priced, True) == up[::-1]
    assert numbers(priced, limit=2) == up[:2] and numbers(priced, False, 3.0) == up[2:]
    assert numbers(priced, True, 3.0) == up[2::-1]
    few = parse({"must": {"key": "price", "range": {"gt": 2, "lt": 5}}})
    assert numbers(priced, filter=few) == [(-2.0, "p2"), (3.0, "p0"), (4.0, "p2")]
    [(_, found), *_] = priced.ordered(NumberOrder("price", True))
    assert found == point("p5", 2**53 - 1)


def test_only_an_index_of_numbers_has_an_order(priced: VectorIndex) -> None:
    assert priced.ordered(NumberOrder('"a.b"')) == []
    for key in ("color", "weight", "a..b"):
        with pytest.raises(AttributeNotIndexed, match="no index of numbers"):
            priced.ordered(NumberOrder(key))
    priced.update_attributes([AttributeUpdate("p0", 2, {"price": "on request"})])
    with pytest.raises(AttributeNotIndexed, match="no index of numbers"):
        priced.ordered(NumberOrder("price"))
