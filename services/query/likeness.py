"""How alike a product is to a query, in a word."""

from collections.abc import Iterable
from dataclasses import dataclass

from services.query.near_duplicates import are_near_duplicates
from services.records import Likeness, Neighbor

VERY_ALIKE = 99.9
"""The percentile from which on two products are very alike: docs/navigation.md has what it was chosen from."""
ALIKE = 99.0
"""The percentile from which on they are alike. What is below is weak, and no good match."""


@dataclass(frozen=True, slots=True)
class Hashes:
    """Those of a picture: the SHA-256 of its bytes, and the perceptual one; None where it is not known."""

    image: str | None
    perceptual: str | None


def likeness(percentile: float | None, found: Hashes, wanted: Iterable[Hashes]) -> Likeness | None:
    """The word for a product with these hashes; None where its percentile is not known.

    That it shows the same picture as one that is wanted, or nearly, only the hashes tell: vectors of others are as near
    as these.
    """
    best: Likeness | None = None
    for each in wanted:
        if _same(found, each):
            return "same_picture"
        if found.perceptual and each.perceptual and are_near_duplicates(found.perceptual, each.perceptual):
            best = "near_duplicate"
    if best or percentile is None:
        return best
    return "very_alike" if percentile >= VERY_ALIKE else "alike" if percentile >= ALIKE else "weak"


def is_good(likeness: Likeness | None) -> bool:
    """Whether it is a good match."""
    return likeness not in (None, "weak")


def count_good(found: Iterable[Neighbor]) -> int:
    """How many of them are."""
    return sum(is_good(each.likeness) for each in found)


def _same(one: Hashes, other: Hashes) -> bool:
    return (one.image is not None and one.image == other.image) or (
        one.perceptual is not None and one.perceptual == other.perceptual
    )
