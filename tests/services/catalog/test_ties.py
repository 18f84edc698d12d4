"""Ties divide all numbers: each is in one, and no two overlap."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.catalog.ties import Tie
from services.query.filters import Range

NUMBERS = (
    st.floats(allow_nan=False, allow_infinity=False)
    | st.floats(-100, 100)
    | st.integers(-(2**53), 2**53).map(float)
    | st.sampled_from([0.0, -0.0, 0.1 + 0.2, 0.3, 5e-324, -sys.float_info.max, 9.99999999999999, 10.0, 1e15, -1e15])
)


def holds(range: Range, number: float) -> bool:
    return (
        (range.gt is None or number > range.gt)
        and (range.gte is None or number >= range.gte)
        and (range.lt is None or number < range.lt)
        and (range.lte is None or number <= range.lte)
    )


@given(NUMBERS, NUMBERS)
def test_every_number_is_below_at_or_above_a_tie(one: float, other: float) -> None:
    tie = Tie.of(one)
    same = Tie.of(other) == tie
    assert holds(tie.down(), other) == (not holds(tie.above(), other))
    assert holds(tie.up(), other) == (not holds(tie.below(), other))
    assert same == (holds(tie.down(), other) and holds(tie.up(), other))
    assert holds(tie.below(), other) == (other < one and not same)
    assert Tie.of(tie.near) == tie and holds(tie.up(), one) and holds(tie.down(), one)


@given(NUMBERS, NUMBERS)
def test_what_follows_a_tie_is_not_before_its_end(one: float, other: float) -> None:
    tie = Tie.of(one)
    assert not holds(tie.above(), other) or other >= tie.end(descending=False)
    assert not holds(tie.below(), other) or other <= tie.end(descending=True)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (0.1 + 0.2, 0.3, True),
        (-0.1 - 0.2, -0.3, True),
        (0.29999999999999999, 0.3, True),
        (1.99, 2.0, False),
        (0.0, -0.0, True),
        (2.0**53 - 1, 2.0**53, False),
        (123456789012.345, 123456789012.346, False),
    ],
)
def test_numbers_that_agree_in_fifteen_digits_are_a_tie(one: float, other: float, same: bool) -> None:
    assert (Tie.of(one) == Tie.of(other)) is same
