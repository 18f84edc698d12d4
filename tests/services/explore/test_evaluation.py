"""Precision, average precision and rankings are what a slow reading of their definitions says."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.explore import queries as queries_module
from services.explore.evaluation import METRICS, RANKS, answers, scores
from services.explore.queries import Queries, queries_of, ranked
from services.records import Vectors

HALF = 0.5
UNIT = [
    (1.0, 0.0, 0.0, 0.0),
    (0.0, 1.0, 0.0, 0.0),
    (0.0, 0.0, -1.0, 0.0),
    (HALF, HALF, HALF, HALF),
    (HALF, HALF, -HALF, -HALF),
    (HALF, -HALF, HALF, -HALF),
]
"""Vectors of length one whose products are exact in any order of summation, so that ties are ties."""


@dataclass(frozen=True)
class One:
    product_id: str
    vector: tuple[float, ...]
    values: frozenset[str]
    group: str | None = None


def asked(sample: Sequence[One]) -> Queries:
    return queries_of([one.product_id for one in sample], [one.values for one in sample], [one.group for one in sample])


def vectors_of(sample: Sequence[One], queries: Queries) -> Vectors:
    return np.array([one.vector for one in sample], np.float32)[queries.rows]


def found(sample: Sequence[One]) -> dict[str, tuple[float, ...]]:
    """The scores of each query, by product ID."""
    queries = asked(sample)
    rows = scores(queries, vectors_of(sample, queries))
    assert rows.shape == (len(queries.asked), len(METRICS))
    named = [queries.product_ids[at] for at in queries.asked]
    return {name: tuple(map(float, row)) for name, row in zip(named, rows, strict=True)}


def apart(one: One, other: One) -> bool:
    return one.product_id != other.product_id and (one.group is None or one.group != other.group)


def slowly(sample: Sequence[One]) -> dict[str, tuple[float, ...]]:
    """The same from the definitions, in exact numbers, one product after the other."""
    expected: dict[str, tuple[float, ...]] = {}
    for one in sample:
        others = [other for other in sample if other.values and apart(one, other)]
        if not any(one.values & other.values for other in others):
            continue

        def rank(other: One, one: One = one) -> tuple[Fraction, str]:
            pairs = zip(one.vector, other.vector, strict=True)
            return -sum((Fraction(a) * Fraction(b) for a, b in pairs), Fraction(0)), other.product_id

        hits = [bool(one.values & other.values) for other in sorted(others, key=rank)]
        at_hits = [Fraction(sum(hits[: at + 1]), at + 1) for at, hit in enumerate(hits) if hit]
        precisions = [Fraction(sum(hits[:k]), k) for k in RANKS]
        expected[one.product_id] = tuple(map(float, [*precisions, sum(at_hits, Fraction(0)) / len(at_hits)]))
    return expected


ones = st.builds(
    One,
    st.uuids().map(lambda id: str(id)[:8]),
    st.sampled_from(UNIT),
    st.frozensets(st.sampled_from("abc"), max_size=2),
    st.none() | st.sampled_from(["g", "h"]),
)
samples: Any = st.lists(ones, max_size=14, unique_by=lambda one: one.product_id)


@given(samples)
def test_scores_are_what_the_definitions_say(sample: list[One]) -> None:
    expected = slowly(sample)
    actual = found(sample)
    assert actual.keys() == expected.keys()
    for product_id, row in expected.items():
        assert actual[product_id] == pytest.approx(row, abs=1e-12)


@given(samples, st.randoms(use_true_random=False))
def test_the_order_of_products_changes_nothing(sample: list[One], random: Any) -> None:
    other = [*sample]
    random.shuffle(other)
    assert found(other) == found(sample)


@given(samples)
def test_every_product_is_a_query_or_counted(sample: list[One]) -> None:
    queries = asked(sample)
    assert len(queries.asked) + queries.alone + queries.unlabeled == len(sample)
    assert {queries.product_ids[at] for at in queries.asked} == slowly(sample).keys()


def test_a_case_by_hand() -> None:
    """The query finds right, wrong, right, wrong: (1/1 + 2/3) / 2."""
    sample = [
        One("q", (1.0, 0.0), frozenset("a")),
        One("1", (1.0, 0.0), frozenset("ab")),
        One("2", (0.8, 0.6), frozenset("b")),
        One("3", (0.6, 0.8), frozenset("a")),
        One("4", (0.0, 1.0), frozenset("c")),
        One("5", (1.0, 0.0), frozenset()),
    ]
    assert found(sample)["q"] == pytest.approx((1.0, 2 / 5, 2 / 10, (1 + 2 / 3) / 2))
    queries = asked(sample)
    assert (queries.unlabeled, queries.alone) == (1, 1), "5 has no label, and nobody shares c"


def test_variants_of_one_product_are_neither_right_nor_wrong() -> None:
    sample = [
        One("1", (1.0, 0.0), frozenset("a"), "shirt"),
        One("2", (1.0, 0.0), frozenset("a"), "shirt"),
        One("3", (1.0, 0.0), frozenset("b"), "shirt"),
        One("4", (0.0, 1.0), frozenset("a"), None),
        One("5", (0.6, 0.8), frozenset("b"), "hat"),
    ]
    assert found(sample)["1"][-1] == 0.5, "5 is nearer than 4; 2 and 3 are not there"
    assert found([replaced for replaced in sample if replaced.product_id not in "45"]) == {}


def test_equal_cosines_are_ordered_by_product_id() -> None:
    sample = [One(name, (1.0, 0.0), frozenset("a")) for name in ("c", "a", "q", "b")]
    queries = asked(sample)
    place = queries.product_ids.index("q")
    [first] = answers(queries, vectors_of(sample, queries), np.array([place]), 2)
    assert [(each.product_id, each.score, each.relevant) for each in first] == [("a", 1.0, True), ("b", 1.0, True)]


def test_parts_of_the_work_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    sample = [One(f"p{n}", UNIT[random.integers(len(UNIT))], frozenset("abc"[random.integers(3)])) for n in range(40)]
    whole = found(sample)
    monkeypatch.setattr(queries_module, "CELLS", 3 * len(sample))
    assert len(asked(sample).chunks) == 14
    assert found(sample) == whole


def test_work_ends_between_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stop(Exception):
        pass

    sample = [One(f"p{n}", UNIT[0], frozenset("a")) for n in range(9)]
    queries = asked(sample)
    monkeypatch.setattr(queries_module, "CELLS", 9)
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise Stop

    with pytest.raises(Stop):
        scores(queries, vectors_of(sample, queries), check)
    assert calls == 3


def test_there_may_be_no_queries() -> None:
    queries = asked([One("1", UNIT[0], frozenset("a")), One("2", UNIT[0], frozenset("b"))])
    assert (len(queries.asked), queries.alone) == (0, 2)
    assert scores(queries, np.zeros((2, 4), np.float32)).shape == (0, len(METRICS))


@given(st.lists(st.sampled_from([-np.inf, -1.0, -0.25, -0.0, 0.0, 1e-30, 0.25, 1.0]), min_size=1, max_size=9))
def test_a_ranking_is_a_stable_order(cosines: list[float]) -> None:
    row = np.array([cosines], np.float32)
    assert ranked(row).tolist() == [sorted(range(len(cosines)), key=lambda at: -cosines[at])]
