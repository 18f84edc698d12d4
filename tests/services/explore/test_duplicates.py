"""What duplicates are."""

import numpy as np
import pytest

from services.explore.duplicates import kind_of
from services.hashes import perceptual
from services.query.likeness import Hashes

ONE, OTHER = "a" * 64, "b" * 64
BITS = np.arange(64).reshape(8, 8) % 2 == 0


def seen(color: float = 20, bits: int = 0) -> str:
    """The perceptual hash of a picture of one color, with so many bits changed."""
    changed = BITS.copy().reshape(-1)
    changed[:bits] = ~changed[:bits]
    return perceptual(changed, np.full((8, 8, 3), (50.0, color, 0.0)))


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        (Hashes(ONE, None), Hashes(ONE, None), "same_bytes"),
        (Hashes(ONE, seen()), Hashes(OTHER, seen()), "same_picture"),
        (Hashes(None, seen()), Hashes(None, seen()), "same_picture"),
        (Hashes(ONE, seen(20)), Hashes(OTHER, seen(23, bits=16)), "near_duplicate"),
        (Hashes(ONE, seen(20)), Hashes(OTHER, seen(24)), None),
        (Hashes(ONE, seen()), Hashes(OTHER, seen(bits=17)), None),
        (Hashes(None, None), Hashes(None, None), None),
        (Hashes(ONE, seen()), Hashes(OTHER, None), None),
    ],
)
def test_what_two_pictures_are_is_said_by_their_hashes(one: Hashes, other: Hashes, kind: str | None) -> None:
    assert kind_of(one, other) == kind_of(other, one) == kind
