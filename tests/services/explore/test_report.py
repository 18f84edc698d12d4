"""What is told of an evaluation: paired, by value, bounded."""

import json
from typing import Any

import numpy as np

from services.explore.queries import Queries, queries_of
from services.explore.report import ANSWERS, LONGEST, VALUES, WORST, reported
from services.records import Vectors


def sampled(count: int, values: int, *, long: str = "") -> Queries:
    return queries_of(
        [f"{long}p{n:05}" for n in range(count)],
        [frozenset([f"{long}v{n % values:03}"]) for n in range(count)],
        [None] * count,
    )


def near(queries: Queries, noise: float, seed: int = 0) -> Vectors:
    """Vectors near a center for each value, and how far from it."""
    random = np.random.default_rng(seed)
    places = {value: random.normal(size=16) for value in sorted(queries.members)}
    centers = np.array([places[next(iter(of))] for of in queries.values])
    vectors = centers + noise * random.normal(size=centers.shape)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_a_generation_that_answers_alike_is_not_told_apart() -> None:
    queries = sampled(60, 4)
    vectors = near(queries, 1.0)
    found = reported("kind", queries, [vectors, vectors.copy()])
    assert found["figures"][0] == found["figures"][1]
    [compared] = found["compared"]
    nothing = {"mean": 0.0, "low": 0.0, "high": 0.0, "verdict": "not_told_apart"}
    assert [*compared["differences"].values()] == [nothing] * 4
    assert [each["mean"] for each in compared["values"]] == [0.0] * 4
    assert (compared["worst"], compared["lost"], compared["gained"]) == ([], 0, 0)


def test_what_got_worse_is_said_by_value_first_and_shown() -> None:
    queries = sampled(80, 4)
    live = near(queries, 0.1)
    other = live.copy()
    # The products of one value become like those of another one.
    [bad, model] = (queries.members[value] for value in ("v002", "v000"))
    other[bad] = live[model]
    [compared] = reported("kind", queries, [live, other])["compared"]
    assert {name: each["verdict"] for name, each in compared["differences"].items()} == dict.fromkeys(
        ("precision@1", "precision@5", "precision@10", "map"), "worse"
    )
    worse = [each["value"] for each in compared["values"] if each["verdict"] == "worse"]
    assert sorted(worse) == ["v000", "v002"] and [each["value"] for each in compared["values"]][:2] == worse
    first = compared["worst"][0]
    assert first["live_map"] == 1.0 > first["other_map"]
    assert all(each["relevant"] for each in first["live"]) and not all(each["relevant"] for each in first["other"])
    drops = [each["live_map"] - each["other_map"] for each in compared["worst"]]
    assert drops == sorted(drops, reverse=True) and min(drops) > 0 and compared["lost"] == 40
    [back] = reported("kind", queries, [other, live])["compared"]
    assert {each["verdict"] for each in back["differences"].values()} == {"better"} and back["worst"] == []


def test_of_few_queries_nothing_is_concluded() -> None:
    queries = queries_of([f"p{n}" for n in range(20)], [frozenset(["ab"[n < 5]]) for n in range(20)], [None] * 20)
    live = near(queries, 0.01)
    other = live.copy()
    other[queries.members["b"]] = near(queries, 9.0, seed=5)[queries.members["b"]]
    [compared] = reported("kind", queries, [live, other])["compared"]
    few = {each["value"]: each for each in compared["values"]}["b"]
    assert few["queries"] == 5 and few["high"] < 0 and few["verdict"] == "not_told_apart"


def test_a_report_is_bounded() -> None:
    """Whatever there is of it: 600 products with long names, of 150 values."""
    queries = sampled(600, 150, long="長" * 150)
    live, other = near(queries, 0.1), near(queries, 3.0)
    found = reported("kind", queries, [live, other, other])
    assert found["values"] == 150
    for compared in found["compared"]:
        assert len(compared["values"]) == VALUES and len(compared["worst"]) == WORST
        assert all(len(each["value"]) <= LONGEST for each in compared["values"])
        assert all(len(each["live"]) == len(each["other"]) == ANSWERS for each in compared["worst"])
    assert found["compared"][0] == {**found["compared"][1], "column": 1}
    assert len(json.dumps(found, ensure_ascii=False).encode()) < 600_000


def test_floats_have_six_digits() -> None:
    queries = sampled(30, 3)
    found = reported("kind", queries, [near(queries, 1.0), near(queries, 2.0)])

    def floats(value: Any) -> list[float]:
        if isinstance(value, dict | list):
            return [one for each in (value.values() if isinstance(value, dict) else value) for one in floats(each)]
        return [value] if isinstance(value, float) else []

    assert len(floats(dict(found))) > 100
    assert all(each == round(each, 6) and str(each) != "-0.0" for each in floats(dict(found)))


def test_groups_are_the_observations() -> None:
    ids = [f"p{n:02}" for n in range(40)]
    queries = queries_of(ids, [frozenset("ab"[n % 2]) for n in range(40)], [f"g{n // 4}" for n in range(40)])
    found = reported("kind", queries, [near(queries, 1.0)])
    assert (found["queries"], found["observations"], found["compared"]) == (40, 10, [])
