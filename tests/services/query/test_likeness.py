"""Hashes say what is the same picture; percentiles say the rest."""

import pytest

from services.query.likeness import ALIKE, VERY_ALIKE, Hashes, is_good, likeness

NOTHING = Hashes(None, None)


@pytest.mark.parametrize(
    ("percentile", "expected"),
    [
        (100.0, "very_alike"),
        (VERY_ALIKE, "very_alike"),
        (VERY_ALIKE - 0.01, "alike"),
        (ALIKE, "alike"),
        (ALIKE - 0.01, "weak"),
        (0.0, "weak"),
        (None, None),
    ],
)
def test_a_word_for_each_percentile(percentile: float | None, expected: str | None) -> None:
    assert likeness(percentile, NOTHING, [NOTHING]) == expected
    assert is_good(likeness(percentile, NOTHING, [])) is (expected in ("very_alike", "alike"))


def test_the_same_bytes_are_the_same_picture_whatever_the_percentile() -> None:
    assert likeness(1.0, Hashes("a", None), [NOTHING, Hashes("a", None)]) == "same_picture"
    assert likeness(None, Hashes("a", None), [Hashes("a", "x")]) == "same_picture"
    assert likeness(99.99, Hashes("a", None), [Hashes("b", None)]) == "very_alike"
