"""Percentiles are shares of random pairs, and what they leave out is what they say."""

import numpy as np
import pytest

from services.errors import DataCorrupt
from services.query.space import Space, from_bytes
from services.records import Vectors


def unit(count: int, dim: int, seed: int = 0) -> Vectors:
    rows = np.abs(np.random.default_rng(seed).normal(size=(count, dim)))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


@pytest.fixture(scope="module", params=["head", "tuned"])
def space(request: pytest.FixtureRequest) -> Space:
    references = unit(64, 12 if request.param == "head" else 128)
    mean = references.mean(axis=0) if request.param == "head" else np.zeros(128)
    return Space(1000, mean.astype(np.float32), references)


@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("color_weight", [1.0, 5.0])
def test_a_percentile_is_the_share_of_pairs_that_are_less_alike(
    space: Space, centered: bool, color_weight: float
) -> None:
    colored = np.ones(space.references.shape[1])
    colored[96:] = color_weight
    asked = space.references - space.mean if centered else space.references
    asked = (asked * np.sqrt(colored)).astype(np.float64)
    asked = asked / np.linalg.norm(asked, axis=1, keepdims=True) * np.sqrt(colored)
    asked /= np.linalg.norm(asked, axis=1, keepdims=True)
    pairs = (asked @ space.references.T)[~np.eye(len(asked), dtype=bool)]
    for score in np.linspace(-0.5, 1.0, 31):
        expected = 100 * float((pairs < score).mean())
        found = space.percentile(float(score), centered=centered, color_weight=color_weight)
        assert found == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("percentile", [0.0, 0.01, 12.34, 50.0, 99.0, 99.9, 99.99, 100.0])
def test_the_lowest_score_of_a_percentile_has_it_and_less_has_not(space: Space, percentile: float) -> None:
    how = {"centered": True, "color_weight": 1.0}
    lowest = space.min_score(percentile, **how)  # type: ignore[arg-type]
    assert space.percentile(lowest, **how) >= percentile  # type: ignore[arg-type]
    if percentile:
        assert space.percentile(lowest - 1e-5, **how) < percentile  # type: ignore[arg-type]


def test_a_space_is_the_same_out_of_its_file(space: Space) -> None:
    again = from_bytes(space.to_bytes(), space.references.shape[1])
    assert again.products == space.products and again.to_bytes() == space.to_bytes()
    np.testing.assert_array_equal(again.mean, space.mean)
    np.testing.assert_array_equal(again.references, space.references)


def test_what_is_no_space_or_that_of_other_vectors_is_refused(space: Space) -> None:
    dim = space.references.shape[1]
    for data, width in ((b"", dim), (space.to_bytes()[:-20], dim), (space.to_bytes(), dim + 1)):
        with pytest.raises(DataCorrupt):
            from_bytes(data, width)
    few = Space(1, space.mean, space.references[:1])
    with pytest.raises(DataCorrupt):
        from_bytes(few.to_bytes(), dim)
