"""Histograms: equal bins with bounds that people can read, few of them, whatever the numbers are."""

import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.catalog.number_facets import MAX_BINS, bounds_of

FINITE = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("low", "high", "whole", "bounds"),
    [
        (0, 100, False, [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110]),
        (9.99, 49.9, False, [5, 10, 15, 20, 25, 30, 35, 40, 45, 50]),
        (0.1, 0.35, False, [0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4]),
        (-7, 7, True, [-8, -6, -4, -2, 0, 2, 4, 6, 8]),
        (1, 3, True, [1, 2, 3, 4]),
        (49.9, 49.9, False, [40, 50]),
        (7, 7, True, [7, 8]),
        (0, 0, False, [0, 1]),
        (2.0**53 - 1, 2.0**53, True, [2**53 - 1, 2**53, 2**53 + 2]),
    ],
)
def test_bounds_are_round(low: float, high: float, whole: bool, bounds: list[float]) -> None:
    assert bounds_of(low, high, whole=whole) == bounds


@given(FINITE, FINITE, st.booleans())
def test_all_numbers_are_in_a_few_bins(one: float, other: float, whole: bool) -> None:
    low, high = min(one, other), max(one, other)
    bounds = bounds_of(low, high, whole=whole)
    assert 2 <= len(bounds) <= MAX_BINS + 1 and bounds == sorted(set(bounds))
    assert bounds[0] <= low and (high < bounds[-1] or bounds[-1] == sys.float_info.max)


@given(st.floats(-1e4, 1e4), st.floats(0.1, 1e6))
def test_bins_are_equally_wide(low: float, spread: float) -> None:
    widths = [end - start for start, end in pairwise(bounds_of(low, low + spread, whole=False))]
    assert max(widths) == pytest.approx(min(widths), rel=1e-6)
