"""A second look at neighbors ranks them by where a walk from the query ends."""

import numpy as np

from services.catalog.diffusion import ALPHA, CANDIDATES, MUTUAL, POWER, order
from services.records import Vectors


def unit(rows: Vectors) -> Vectors:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def ranked(seed: int, count: int = CANDIDATES) -> tuple[Vectors, Vectors]:
    """A query and random vectors around it, nearest first."""
    random = np.random.default_rng(seed)
    vectors = unit(random.normal(size=(count + 1, 16)) + np.array([2.0] + [0.0] * 15))
    nearest = np.argsort(-(vectors[1:] @ vectors[0]))
    return vectors[0], vectors[1:][nearest]


def by_walking(query: Vectors, neighbors: Vectors) -> Vectors:
    """The definition, step by step: what each has goes on to those it is joined with, and comes anew from the query."""
    vectors = [query.astype(np.float64), *neighbors.astype(np.float64)]
    count = len(vectors)
    near = [
        sorted((other for other in range(count) if other != one), key=lambda other: -(vectors[one] @ vectors[other]))
        for one in range(count)
    ]
    joined = np.zeros((count, count))
    for one in range(count):
        for other in range(count):
            if one != other and other in near[one][:MUTUAL] and one in near[other][:MUTUAL]:
                joined[one, other] = max(vectors[one] @ vectors[other], 0) ** POWER
    sums = joined.sum(axis=1)
    flow = np.array(
        [[joined[i, j] / np.sqrt(sums[i] * sums[j]) if joined[i, j] else 0 for j in range(count)] for i in range(count)]
    )
    reached = start = np.eye(count)[0]
    for _ in range(300):
        reached = ALPHA * flow @ reached + (1 - ALPHA) * start
    return reached[1:]


def test_it_is_where_a_walk_from_the_query_ends_most_often() -> None:
    for seed in range(5):
        query, neighbors = ranked(seed)
        reached = by_walking(query, neighbors)
        found = order(query, neighbors)
        assert sorted(found) == list(range(CANDIDATES))
        np.testing.assert_allclose(reached[found], np.sort(reached)[::-1], atol=1e-9)


def test_what_it_does_not_tell_apart_stays_in_the_order_of_cosines() -> None:
    vectors = unit(np.random.default_rng(1).random((9, 16)))
    query, near = vectors[0], vectors[1:]
    assert order(query, np.tile(query, (5, 1))) == [0, 1, 2, 3, 4]
    # Nothing joins those behind with the query, or with what is near it.
    assert order(query, np.vstack([near, -near]))[8:] == [8, 9, 10, 11, 12, 13, 14, 15]


def test_products_with_the_same_picture_stay_together() -> None:
    """Also where the twentieth nearest of the query is one of them."""
    random = np.random.default_rng(3)
    for first in range(MUTUAL - 6, MUTUAL):
        query, others = ranked(first, CANDIDATES - 8)
        same = unit(others[first : first + 1] + 0.01 * random.normal(size=(1, 16)))
        vectors = np.vstack([others, np.tile(same, (8, 1))])
        vectors = vectors[np.argsort(-np.round(vectors @ query, 6), kind="stable")]
        places = [place for place, row in enumerate(order(query, vectors)) if (vectors[row] == same).all()]
        assert places == list(range(places[0], places[0] + 8))
