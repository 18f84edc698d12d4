"""Whatever index a catalog has, the same query with the same color weight and filter finds the same."""

import random
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from indexes import QDRANT_URL, opened

from services.catalog.search import Searcher
from services.descriptions import COLOR_DIM, LAYERS_DIM
from services.encoders.recipes import TUNED_DIM
from services.query.filters import Filter, parse
from services.records import Point, Vectors

PRODUCTS = 400
COLORS = ["red", "green", "blue"]


def vectors(count: int, seed: int) -> Vectors:
    """Tuned features of length one: the part of the colors has its fixed share."""
    made = np.random.default_rng(seed).normal(size=(count, TUNED_DIM))
    for part, length in ((slice(LAYERS_DIM), 1.0), (slice(LAYERS_DIM, None), 0.1)):
        made[:, part] *= np.sqrt(length / 1.1) / np.linalg.norm(made[:, part], axis=1, keepdims=True)
    return made.astype(np.float32)


def attributes(number: int) -> dict[str, Any]:
    return {"color": COLORS[number % 3], "price": number % 50}


@pytest.fixture(scope="module")
def searchers(tmp_path_factory: pytest.TempPathFactory, twin_url: str) -> Iterator[dict[str, Searcher]]:
    points = [Point(f"p{n}", 1, vector, 1.0, attributes(n)) for n, vector in enumerate(vectors(PRODUCTS, 1))]
    kinds = ["memory", "edge", "twin", *(["server"] if QDRANT_URL else [])]
    with ExitStack() as stack:
        found = {}
        for kind in kinds:
            path: Path = tmp_path_factory.mktemp(kind) / "index"
            index = stack.enter_context(opened(kind, TUNED_DIM, path, twin_url))
            index.upsert(points)
            nothing: Any = None
            found[kind] = Searcher(index, "shop", features="tuned", take=nothing, load_encoder=nothing, encode=nothing)
        yield found


def a_filter(choice: random.Random) -> tuple[Filter | None, Any]:
    """A filter, and the same as a function of a product's number."""
    color, most = choice.choice(COLORS), choice.randrange(10, 60)
    of_color = {"key": "color", "match": {"value": color}}
    cheap = {"key": "price", "range": {"lt": most}}
    return choice.choice(
        [
            (None, lambda number: True),
            (parse({"must": [of_color]}), lambda number: attributes(number)["color"] == color),
            (parse({"must_not": [of_color]}), lambda number: attributes(number)["color"] != color),
            (parse({"must": [cheap]}), lambda number: attributes(number)["price"] < most),
        ]
    )


def brute_force(query: Vectors, weight: float, passes: Any) -> dict[str, float]:
    """The cosines of all products that pass, computed one by one."""
    scaled = query.astype(np.float64)
    scaled[LAYERS_DIM:] *= weight
    scaled /= np.linalg.norm(scaled)
    assert len(scaled) == LAYERS_DIM + COLOR_DIM
    stored = vectors(PRODUCTS, 1).astype(np.float64)
    return {f"p{number}": float(stored[number] @ scaled) for number in range(PRODUCTS) if passes(number)}


@pytest.mark.long
def test_embedded_twin_and_brute_force_agree_on_random_queries(searchers: dict[str, Searcher]) -> None:
    choice = random.Random(5)
    for query in vectors(100, 2):
        weight, limit, (filter, passes) = (
            choice.choice([0, 0.3, 1, 2, 5, 10]),
            choice.randrange(1, 30),
            a_filter(choice),
        )
        expected = brute_force(query, weight, passes)
        best = sorted(expected.values(), reverse=True)[:limit]
        for kind, searcher in searchers.items():
            found = searcher.by_vector(query, limit=limit, filter=filter, color_weight=weight)
            # The last digits decide between equals, so it is scores that are compared in their order.
            assert [each.score for each in found] == pytest.approx(best, abs=1e-5), kind
            for each in found:
                assert each.score == pytest.approx(expected[each.product_id], abs=1e-5), kind
