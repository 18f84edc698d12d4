"""The arithmetic of queries, against what its words say."""

import numpy as np
import pytest

from services.descriptions import LAYERS_DIM
from services.encoders.recipes import TUNED_DIM
from services.query.geometry import combined, diverse, places, sent, slerp
from services.records import Vectors


def unit(count: int, dim: int = TUNED_DIM, seed: int = 0) -> Vectors:
    rows = np.random.default_rng(seed).normal(size=(count, dim))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def test_a_place_is_what_is_left_without_the_middle() -> None:
    vectors, mean = unit(5, 7), np.full(7, 0.1, np.float32)
    expected = (vectors - mean) / np.linalg.norm(vectors - mean, axis=1, keepdims=True)
    np.testing.assert_allclose(places(vectors, mean), expected, atol=1e-6)
    np.testing.assert_array_equal(places(mean[np.newaxis], mean), np.zeros((1, 7), np.float32))


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0, 5.0])
def test_what_is_sent_has_the_cosines_of_the_space_with_that_color_weight(weight: float) -> None:
    """Up to what all cosines of one query have in common, stored vectors having one color length."""
    stored = unit(20)
    stored[:, LAYERS_DIM:] *= np.float32(0.3) / np.linalg.norm(stored[:, LAYERS_DIM:], axis=1, keepdims=True)
    stored[:, :LAYERS_DIM] *= np.sqrt(np.float32(0.91)) / np.linalg.norm(stored[:, :LAYERS_DIM], axis=1, keepdims=True)
    there = places(stored, None, weight)
    scores = stored @ sent(there[0], weight)
    cosines = there @ there[0]
    lengths = np.linalg.norm(stored * np.repeat([1, np.sqrt(weight)], [LAYERS_DIM, TUNED_DIM - LAYERS_DIM]), axis=1)
    np.testing.assert_allclose(scores, cosines * lengths, atol=1e-5)
    assert np.ptp(lengths) < 1e-5  # so one order is the other


def test_a_sum_that_points_nowhere_is_none_and_no_other() -> None:
    a, b = unit(2)
    assert combined([a, -a]) is None
    assert combined([a, b, -a, -b]) is None
    np.testing.assert_allclose(combined([a, np.float32(0.01) * b]), a + np.float32(0.01) * b, atol=1e-6)


def test_slerp_goes_from_one_end_to_the_other_in_even_steps() -> None:
    a, b = unit(2)
    steps = np.stack([slerp(a, b, share) for share in np.linspace(0, 1, 6)])
    np.testing.assert_allclose(steps[[0, -1]], [a, b], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(steps, axis=1), 1, atol=1e-6)
    angles = np.arccos(np.clip((steps[:-1] * steps[1:]).sum(axis=1), -1, 1))
    assert np.ptp(angles) < 1e-3
    np.testing.assert_allclose(slerp(a, a, 0.5), a, atol=1e-6)


def test_diversity_goes_from_the_nearest_to_what_differs() -> None:
    query = np.array([1, 0, 0], np.float32)
    vectors = np.array([[0.9, 0.436, 0], [0.899, 0.438, 0], [0.8, 0, 0.6], [0.1, 0, -0.995]], np.float32)
    assert diverse(query, vectors, 0.0, 4) == [0, 1, 2, 3]
    assert diverse(query, vectors, 0.5, 3) == [0, 2, 3]
    assert diverse(query, vectors, 1.0, 2) == [0, 3]
    assert diverse(query, vectors, 0.5, 9) == [0, 2, 3, 1]
    assert sorted(diverse(query, vectors, 0.3, 9)) == [0, 1, 2, 3]
