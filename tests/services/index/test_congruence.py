"""The same questions to every index give the same answers."""

import functools
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from indexes import SERVER, opened

from services.descriptions import AttributeKind
from services.index.vector_index import VectorIndex
from services.query.filters import Filter, parse
from services.records import AttributeUpdate, Point, Tombstone
from services.testing import MemoryIndex

DIM = 16
PRODUCTS = 300
COLORS = ["red", "green", "blue", "grün", ""]
TAGS = ["sale", "new", "used", "rare"]
DECLARED = {
    "color": AttributeKind.KEYWORD,
    "stock": AttributeKind.INTEGER,
    "price": AttributeKind.FLOAT,
    "sale": AttributeKind.BOOL,
    "tags": AttributeKind.KEYWORD,
    "size.width": AttributeKind.FLOAT,
}
MIXED: list[Any] = [None, True, False, 0, 1, 1.0, 1.5, -3, "1", "a", "", [], [1, "a"], [None], {"y": 1}, [[1]]]
KEYS = ["mixed", "plain", "mixed.y", "mixed[]", "mixed[0]", "parts[].n", "parts[].c", "parts[1].n", "nowhere"]
KEYS += [*DECLARED, *DECLARED, '"a.b"', "size", "tags[]", "tags[1]"]


def sometimes(rng: random.Random, value: Any) -> dict[str, Any]:
    """A value, null, an empty list, or nothing at all."""
    return rng.choice([{"is": value}] * 5 + [{"is": None}, {"is": []}, {}])


def attributes(rng: random.Random) -> dict[str, Any]:
    fields = {
        "color": rng.choice(COLORS),
        "stock": rng.choice([rng.randint(-3, 3), [rng.randint(0, 3) for _ in range(2)]]),
        "price": rng.choice([round(rng.uniform(0, 9), 2), rng.randint(0, 9)]),
        "sale": rng.random() < 0.5,
        "tags": rng.sample(TAGS, rng.randint(0, 3)),
        "size": rng.choice([{"width": rng.randint(0, 5)}, {"width": None}, {}, 3]),
        "mixed": rng.choice(MIXED),
        "plain": rng.choice(["a", "b", 1, 2]),
        "a.b": rng.randint(0, 2),
        "parts": [{"n": rng.randint(0, 3), "c": rng.choice(COLORS)} for _ in range(rng.randint(0, 3))],
    }
    return {name: kept["is"] for name, value in fields.items() if (kept := sometimes(rng, value))}


def random_filter(rng: random.Random, depth: int = 3) -> dict[str, Any]:
    clauses = rng.sample(["must", "must_not", "should", "should"], rng.randint(1, 2))
    return {clause: [random_condition(rng, depth) for _ in range(rng.choice([0, 1, 1, 2]))] for clause in clauses}


def random_condition(rng: random.Random, depth: int) -> dict[str, Any]:
    if depth > 1 and rng.random() < 0.3:
        return random_filter(rng, depth - 1)
    key = rng.choice(KEYS)
    if rng.random() < 0.15:
        # Also removed products, one that never was, and none at all.
        return {"has_id": [f"p{n}" for n in rng.sample(range(PRODUCTS + 5), rng.choice([0, 1, 5, 150]))]}
    if rng.random() < 0.2:
        return {"is_empty": {"key": key}}
    if rng.random() < 0.3:
        return {"key": key, "range": {rng.choice(["gt", "gte"]): rng.randint(-2, 3), "lt": rng.uniform(1, 9)}}
    return {"key": key, "match": random_match(rng)}


def random_match(rng: random.Random) -> dict[str, Any]:
    words, numbers = [*COLORS, *TAGS, "a", "1"], [-1, 0, 1, 2, 3]
    kind = rng.choice(["value", "any", "except"])
    if kind == "value":
        return {kind: rng.choice([*words, *numbers, True, False])}
    return {kind: rng.sample(rng.choice([words, numbers]), rng.randint(0, 3))}


def fill(index: VectorIndex) -> VectorIndex:
    rng, numbers = random.Random(11), np.random.default_rng(11)
    looks = numbers.normal(size=(PRODUCTS, DIM)).astype(np.float32)
    looks /= np.linalg.norm(looks, axis=1, keepdims=True)
    index.declare(DECLARED)
    index.upsert([Point(f"p{n}", n + 1, look, attributes=attributes(rng)) for n, look in enumerate(looks)])
    index.upsert([Tombstone(f"p{n}", 1000, 1.0) for n in range(0, PRODUCTS, 17)])
    index.update_attributes([AttributeUpdate(f"p{n}", 1000 + n, attributes(rng)) for n in range(0, PRODUCTS, 5)])
    return index


@pytest.fixture(scope="module")
def twin() -> VectorIndex:
    return fill(MemoryIndex(DIM))


@pytest.fixture(scope="module", params=["edge", "edge with a graph", "twin", SERVER])
def index(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, twin_url: str
) -> Iterator[VectorIndex]:
    kind, _, graph = request.param.partition(" ")
    with opened(kind, DIM, tmp_path_factory.mktemp("index"), twin_url) as index:
        fill(index)
        if graph:
            assert index.optimize()
        yield index


def scroll(index: VectorIndex, filter: Filter) -> Any:
    pages = [index.scroll(limit=40, filter=filter)]
    while cursor := pages[-1][1]:
        pages.append(index.scroll(after=cursor, limit=40, filter=filter))
    return [[(point.product_id, point.version, point.attributes) for point in page] for page, _ in pages]


def search(index: VectorIndex, filter: Filter) -> Any:
    query = np.full(DIM, DIM**-0.5, np.float32)
    found = index.search(query, limit=20, offset=1, filter=filter, min_score=-0.2, exclude=["p1", "p2"])
    return [(neighbor.product_id, pytest.approx(neighbor.score, abs=1e-5)) for neighbor in found]


def facets(index: VectorIndex, filter: Filter) -> Any:
    return [index.facets(attribute, limit=3, filter=filter) for attribute in ("color", "stock", "sale", "tags")]


def count(index: VectorIndex, filter: Filter) -> Any:
    return index.count(filter)


Ask = Callable[[VectorIndex, Filter], Any]


@pytest.fixture(scope="module")
def answers(twin: VectorIndex) -> Callable[[Ask], list[tuple[dict[str, Any], Any]]]:
    """A hundred random filters with what is expected of each."""

    @functools.cache
    def answers(query: Ask) -> list[tuple[dict[str, Any], Any]]:
        rng = random.Random(5)
        filters = [random_filter(rng) for _ in range(100)]
        return [(raw, query(twin, parse(raw))) for raw in filters]

    return answers


@pytest.mark.parametrize("query", [count, scroll, search, facets])
def test_a_hundred_random_filters(
    index: VectorIndex, answers: Callable[[Ask], list[tuple[dict[str, Any], Any]]], query: Ask
) -> None:
    for raw, expected in answers(query):
        assert query(index, parse(raw)) == expected, json.dumps(raw)


def test_the_random_filters_tell_products_apart(twin: VectorIndex) -> None:
    rng = random.Random(5)
    counts = [twin.count(parse(random_filter(rng))) for _ in range(100)]
    assert sum(0 < each < twin.count() for each in counts) >= 40


def test_what_is_stored_reads_alike(index: VectorIndex, twin: VectorIndex) -> None:
    ids = [f"p{n}" for n in range(PRODUCTS + 1)]
    assert index.get(ids) == twin.get(ids)
    assert index.versions(ids) == twin.versions(ids)
    assert index.max_version() == twin.max_version()
    assert sorted(index.tombstones(before=2.0), key=repr) == sorted(twin.tombstones(before=2.0), key=repr)
