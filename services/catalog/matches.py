"""Which products show the picture that is at hand, or nearly."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.explore.duplicates import CANDIDATES, KINDS, PERCENTILE, Kind, kind_of
from services.index.vector_index import VectorIndex
from services.query.likeness import Hashes
from services.query.space import Form, Space
from services.records import Neighbor, Vector

FORM = Form((1.0,), centered=False)
"""A picture is compared as it is stored, as `Catalog.search` does."""


@dataclass(frozen=True, slots=True)
class Match:
    """A product that shows the same picture, or nearly."""

    kind: Kind
    neighbor: Neighbor


def lowest(space: Space | None) -> float:
    """The score below which two products of a generation are no candidates, -1..1; -1 where it has too few products to
    know."""
    return -1.0 if space is None else space.min_score(PERCENTILE, FORM)


def matches(
    index: VectorIndex, vector: Vector, wanted: Hashes, lowest: float, *, exclude: Sequence[str] = ()
) -> list[Match]:
    """The duplicates of a picture among the nearest `CANDIDATES` products: by kind, then the nearest first.

    Args:
        index: Where the products are.
        vector: Of the picture, float32 (dim,), length one.
        wanted: Its hashes.
        lowest: The score below which none is a candidate.
        exclude: Products that are left out.

    Raises `IndexUnavailable`.
    """
    found = index.search(vector, limit=CANDIDATES, min_score=lowest, exclude=exclude)
    confirmed = [(kind_of(Hashes(each.image, each.perceptual), wanted), each) for each in found]
    return sorted(
        (Match(kind, each) for kind, each in confirmed if kind),
        key=lambda match: (KINDS.index(match.kind), -match.neighbor.score),
    )
