"""Sorted lists, over every index: each product is on one page, whatever numbers it has."""

import random
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from indexes import SERVER, opened

from services.catalog.sorted_pages import sorted_page
from services.catalog.sorting import Place, Sort
from services.descriptions import AttributeKind
from services.index.vector_index import VectorIndex, point_id
from services.query.filters import Filter, parse
from services.records import Point, Tombstone

LOOK = np.array([1, 0, 0, 0], np.float32)
LONG = [0.1 + 0.2, 0.3, 0.30000000000000001, 1 / 3, -1 / 3]
"""Floats of more digits than every index returns as they are."""

Attributes = dict[str, Any]


@pytest.fixture(params=["memory", "edge", "edge with a graph", "twin", SERVER])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def index(way: str, tmp_path: Path, twin_url: str) -> Iterator[VectorIndex]:
    with opened(way.partition(" ")[0], 4, tmp_path / "index", twin_url) as index:
        yield index


def fill(index: VectorIndex, way: str, products: list[Attributes], kind: str = "float") -> None:
    index.declare({"price": AttributeKind(kind)})
    for start in range(0, len(products), 500):
        several = enumerate(products[start : start + 500], start)
        index.upsert([Point(f"p{n}", 1, LOOK, attributes=each) for n, each in several])
    if "graph" in way:
        index.optimize()


def pages(index: VectorIndex, sort: Sort, limit: int, filter: Filter | None = None) -> list[list[str]]:
    found: list[list[str]] = []
    place: Place | None = None
    while not found or place:
        points, place = sorted_page(index, sort, place, limit=limit, filter=filter)
        found.append([point.product_id for point in points])
        assert len(found[-1]) == limit or place is None
    return found


def expected(products: list[Attributes], descending: bool, passes: Any = lambda attributes: True) -> list[str]:
    """The order in plain words: by the smallest or largest number, without one last, then by ID."""

    def rank(product_id: str) -> tuple[bool, float, str]:
        value = products[int(product_id[1:])].get("price")
        numbers = [each for each in (value if isinstance(value, list) else [value]) if type(each) in (int, float)]
        if not numbers:
            return True, 0.0, point_id(product_id)
        return False, float(-max(numbers) if descending else min(numbers)), point_id(product_id)

    return sorted((f"p{n}" for n, each in enumerate(products) if passes(each)), key=rank)


def joined(found: list[list[str]]) -> list[str]:
    return [product_id for page in found for product_id in page]


def mixed(rng: random.Random) -> Attributes:
    number = rng.choice([rng.randint(-3, 3), round(rng.uniform(-3, 3), 2), 5])
    several = [rng.randint(-9, 9) for _ in range(rng.randint(1, 4))]
    price = rng.choice([number, number, several, [*several, None], None, [], [None], ...])
    return {"shelf": rng.randint(0, 3)} | ({} if price is ... else {"price": price})


@pytest.mark.parametrize("descending", [False, True])
def test_every_product_is_on_one_page_in_the_order_of_its_number(
    index: VectorIndex, way: str, descending: bool
) -> None:
    rng = random.Random(7)
    products = [mixed(rng) for _ in range(100)]
    fill(index, way, products)
    sort = Sort("price", descending)
    for limit in (7, 100, 1000):
        assert joined(pages(index, sort, limit)) == expected(products, descending), limit
    some = parse({"must": {"key": "shelf", "match": {"any": [1, 2]}}})
    passing = expected(products, descending, lambda each: each["shelf"] in (1, 2))
    assert joined(pages(index, sort, 10, some)) == passing and 25 < len(passing) < 75
    assert pages(index, sort, 10, parse({"must": {"has_id": []}})) == [[]]


def test_a_thousand_products_of_one_price_are_each_on_one_page(index: VectorIndex, way: str) -> None:
    prices = [{"price": 9.99}] * 1000 + [{"price": 3}, {"price": 12}, {}]
    fill(index, way, prices)
    for descending in (False, True):
        found = pages(index, Sort("price", descending), 190)
        assert joined(found) == expected(prices, descending) and len(found) == 6


def test_whole_numbers_are_told_apart_up_to_the_largest(index: VectorIndex, way: str) -> None:
    largest = 2**53
    products: list[Attributes] = [{"price": sign * (largest - n)} for n in range(6) for sign in (1, -1)]
    fill(index, way, products, "integer")
    for descending in (False, True):
        for limit in (1, 4):
            assert joined(pages(index, Sort("price", descending), limit)) == expected(products, descending)


def test_floats_of_many_digits_lose_no_product(index: VectorIndex, way: str) -> None:
    rng = random.Random(3)
    numbers = [*LONG, *(rng.uniform(-9, 9) for _ in range(100)), *(1 + n * 2**-52 for n in range(30))]
    products: list[Attributes] = [{"price": [number, 10.0]} for number in numbers]
    fill(index, way, products)
    for descending in (False, True):
        found = joined(pages(index, Sort("price", descending), 9))
        assert sorted(found) == sorted(f"p{n}" for n in range(len(products)))
    upwards = [numbers[int(each[1:])] for each in joined(pages(index, Sort("price"), 9))]
    assert all(after > before - 1e-13 for before, after in pairwise(upwards))


def test_a_list_is_the_same_while_the_index_cannot_order_it(index: VectorIndex, way: str) -> None:
    """Values of other kinds have no place among numbers; a list that was begun before goes on."""
    rng = random.Random(9)
    products = [mixed(rng) for _ in range(60)]
    fill(index, way, products)
    sort = Sort("price")
    first, place = sorted_page(index, sort, None, limit=20, filter=None)
    # As a copy of an older catalog may bring them, or an integer beyond 2**53.
    products += [{"price": "on request"}, {"price": [True, {"a": 1}]}, {"price": ["n/a", 0.5]}]
    fresh = range(60, len(products))
    index.upsert([Point(f"p{n}", 1, LOOK, attributes=products[n]) for n in fresh])
    assert joined(pages(index, sort, 7)) == expected(products, descending=False)
    assert joined(pages(index, Sort("price", True), 7)) == expected(products, descending=True)
    seen = [point.product_id for point in first]
    while place:
        points, place = sorted_page(index, sort, place, limit=20, filter=None)
        seen += [point.product_id for point in points]
    assert [each for each in seen if int(each[1:]) < 60] == expected(products[:60], descending=False)


def test_a_list_goes_on_where_products_come_and_go(index: VectorIndex, way: str) -> None:
    products: list[Attributes] = [{"price": n // 10} for n in range(60)]
    fill(index, way, products)
    sort = Sort("price")
    order = expected(products, descending=False)
    first, place = sorted_page(index, sort, None, limit=15, filter=None)
    # The one on which the next page begins, and all others of its price.
    index.upsert([Tombstone(each, 2, 1.0) for each in order[15:20]])
    index.upsert([Point(f"new{n}", 1, LOOK, attributes={"price": n / 2}) for n in range(20)])
    seen = [point.product_id for point in first]
    while place:
        points, place = sorted_page(index, sort, place, limit=15, filter=None)
        seen += [point.product_id for point in points]
    assert [each for each in seen if not each.startswith("new")] == order[:15] + order[20:]
    assert len(seen) == len(set(seen))
