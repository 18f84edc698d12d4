"""Percentiles are shares of random pairs, and what they leave out is what they say."""

import numpy as np
import pytest

from services.errors import DataCorrupt
from services.query.space import Form, Space, from_bytes
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
        found = space.percentile(float(score), Form((1.0,), color_weight, centered))
        assert found == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("percentile", [0.0, 0.01, 12.34, 50.0, 99.0, 99.9, 99.99, 100.0])
def test_the_lowest_score_of_a_percentile_has_it_and_less_has_not(space: Space, percentile: float) -> None:
    for form in (Form((1.0,)), Form((1.0, 0.5, -0.25)), Form((), ahead=space.references[0].tobytes())):
        lowest = space.min_score(percentile, form)
        assert space.percentile(lowest, form) >= percentile
        if percentile:
            assert space.percentile(lowest - 1e-5, form) < percentile


def test_a_sum_of_terms_is_judged_by_random_sums_of_the_same_form(space: Space) -> None:
    """Random queries of two terms and a direction, scored against products that are none of them, have percentiles as
    random pairs of one term have them: all of them alike. Judged as one term, they would not."""
    random = np.random.default_rng(3)
    ahead = np.float32(2) * unit(1, space.references.shape[1], 5)[0]
    form = Form((1.0, -1.0), ahead=ahead.tobytes())
    found = []
    for _ in range(200):
        one, other, product = random.choice(len(space.references), 3, replace=False)
        places = space.references[[one, other]] - space.mean
        places /= np.linalg.norm(places, axis=1, keepdims=True)
        difference = places[0] - places[1]
        query = difference / np.linalg.norm(difference) + ahead
        found.append(float(space.references[product] @ query / np.linalg.norm(query)))
    right = [space.percentile(each, form) for each in found]
    assert np.mean(right) == pytest.approx(50, abs=8)
    assert abs(np.mean([space.percentile(each, Form((1.0,))) for each in found]) - 50) > 12


def test_along_a_direction_alone_a_percentile_is_the_place_among_products(space: Space) -> None:
    ahead = unit(1, space.references.shape[1], 6)[0]
    form = Form((), ahead=ahead.tobytes())
    scores = np.sort(space.references @ ahead)
    for at in (0, 10, 63):
        assert space.percentile(float(scores[at]), form) == pytest.approx(100 * at / 64, abs=0.02)


def test_more_terms_than_references_are_judged_too(space: Space) -> None:
    few = Space(2, space.mean, space.references[:2])
    for count in (1, 2, 5):
        assert 0 <= few.percentile(0.1, Form((1.0,) * count)) <= 100


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
