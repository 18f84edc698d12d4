"""How fast changes ended lately."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ledger.rate import WINDOW, keys, rate

ENDED = st.lists(st.integers(0, 10_000), min_size=1, max_size=WINDOW + 1)
FRACTION = st.floats(0, 0.999)


@pytest.mark.parametrize(
    ("ended", "now", "expected"),
    [
        ([0, 0, 0], 1000.5, 0),
        ([0, 0, 64], 1000.0, 64),
        ([0, 0, 64], 1000.9, 64),
        ([0, 64, 0], 1000.0, 64),
        ([0, 64, 64], 1000.5, 128 / 1.5),
        ([64, 0, 0], 1000.5, 64 / 2.5),
        ([10] * 60 + [0], 1000.0, 10),
    ],
)
def test_all_that_ended_over_the_time_since_the_first(ended: list[int], now: float, expected: float) -> None:
    assert rate(ended, now) == pytest.approx(expected)


@given(st.integers(1, WINDOW), st.integers(1, 10_000), FRACTION)
def test_who_works_steadily_has_that_rate_from_the_second_second_on(seconds: int, each: int, fraction: float) -> None:
    ended = [each] * seconds + [round(each * fraction)]
    assert rate(ended, 1000 + fraction) == pytest.approx(each, abs=0.5 + 1e-9)


@given(ENDED, st.integers(0, WINDOW), FRACTION)
def test_the_time_before_the_first_does_not_count(ended: list[int], idle: int, fraction: float) -> None:
    assert rate([0] * idle + ended, 1000 + fraction) == rate(ended, 1000 + fraction)


@given(ENDED, FRACTION)
def test_a_standstill_since_does(ended: list[int], fraction: float) -> None:
    rates = [rate(ended + [0] * seconds, 1000 + fraction) for seconds in range(1, 10)]
    assert rates == sorted(rates, reverse=True) and (len(set(rates)) == 9) == any(ended)


def test_the_counters_of_a_time_are_its_second_and_those_before_it() -> None:
    assert keys(1000.9) == [f"la:ended:{second}" for second in range(1000 - WINDOW, 1001)]
