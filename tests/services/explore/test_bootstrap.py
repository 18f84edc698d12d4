"""Intervals cover what they promise, of paired differences and of groups."""

import numpy as np
import pytest

from services.explore.bootstrap import FEWEST, Estimate, estimates, verdict


def own(count: int) -> np.ndarray:
    """Every query its own group."""
    return np.arange(count)


def test_an_interval_covers_the_mean_as_often_as_it_says() -> None:
    """Of 95% intervals of 300 samples, 285 are expected, with a standard deviation of 3.8."""
    random = np.random.default_rng(11)
    covered = 0
    for _ in range(100):
        # Three columns at a time, of other distributions with known means.
        values = np.stack([random.random(80), random.binomial(1, 0.3, 80), random.normal(0.1, 1, 80)], axis=1)
        found = estimates(values.astype(np.float64), own(80))
        covered += sum(each.low <= mean <= each.high for each, mean in zip(found, (0.5, 0.3, 0.1), strict=True))
    assert 270 <= covered <= 297


def test_an_interval_is_that_of_the_theory_where_there_is_one() -> None:
    values = np.random.default_rng(2).normal(0, 1, (400, 1))
    [found] = estimates(values, own(400))
    half = 1.96 * values.std() / 20
    assert found.mean == pytest.approx(values.mean())
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.1)


def test_copies_in_groups_tell_no_more_than_one_of_each() -> None:
    values = np.random.default_rng(3).random((30, 2))
    [alone, _] = estimates(values, own(30))
    [grouped, _] = estimates(np.repeat(values, 4, axis=0), np.repeat(own(30), 4))
    assert (grouped.mean, grouped.low, grouped.high) == pytest.approx((alone.mean, alone.low, alone.high))
    [ignored, _] = estimates(np.repeat(values, 4, axis=0), own(120))
    assert ignored.high - ignored.low < 0.6 * (alone.high - alone.low)


def test_the_names_of_groups_and_the_order_of_draws_do_not_matter_to_the_same_queries() -> None:
    values = np.random.default_rng(4).random((20, 1))
    assert estimates(values, own(20)) == estimates(values, own(20) * 7 + 3)


def test_no_difference_is_exactly_none() -> None:
    assert estimates(np.zeros((9, 1)), own(9)) == [Estimate(0.0, 0.0, 0.0)]


@pytest.mark.parametrize(
    ("low", "high", "observations", "expected"),
    [
        (0.01, 0.2, FEWEST, "better"),
        (-0.2, -0.01, FEWEST, "worse"),
        (-0.1, 0.2, 1000, "not_told_apart"),
        (0.0, 0.2, 1000, "not_told_apart"),
        (0.0, 0.0, 1000, "not_told_apart"),
        (0.5, 0.5, FEWEST - 1, "not_told_apart"),
    ],
)
def test_a_verdict_needs_an_interval_without_zero_and_enough_queries(
    low: float, high: float, observations: int, expected: str
) -> None:
    assert verdict(Estimate((low + high) / 2, low, high), observations) == expected
