"""Which products show the picture that is at hand, or nearly."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from services.explore.duplicates import CANDIDATES, MOST_CANDIDATES, PERCENTILE, identity, kind_of
from services.explore.kinds import KINDS, Kind
from services.index.vector_index import VectorIndex
from services.query.likeness import Hashes
from services.query.space import Form, Space
from services.records import Neighbor, Vector

FORM = Form((1.0,), centered=False)
"""A picture is compared as it is stored, as `Catalog.search` does."""
SAME = 0.9999
"""The score from which on two vectors are those of the same picture, but for how they are stored."""


@dataclass(frozen=True, slots=True)
class Match:
    """A product that shows the same picture, or nearly."""

    kind: Kind
    neighbor: Neighbor


@lru_cache(4)
def lowest(space: Space | None) -> float:
    """The score below which two products of a generation are no candidates, -1..1; -1 where it has too few products to
    know.

    Random pairs are those of different pictures: where a tenth of all products have the same one, one pair of a hundred
    is as alike as can be, and nothing would be more alike than 99% of them.
    """
    if space is None:
        return -1.0
    alike = np.tril(space.references @ space.references.T, -1).max(axis=1) > SAME
    different = space.references[~alike]
    if len(different) < 2:
        return -1.0
    return Space(space.products, space.mean, different).min_score(PERCENTILE, FORM)


def matches(
    index: VectorIndex, vector: Vector, wanted: Hashes, lowest: float, *, exclude: Sequence[str] = ()
) -> list[Match]:
    """The duplicates of a picture among the nearest `CANDIDATES` products, or `MOST_CANDIDATES` where those are copies
    of few pictures: by kind, then the nearest first.

    Args:
        index: Where the products are.
        vector: Of the picture, float32 (dim,), length one.
        wanted: Its hashes.
        lowest: The score below which none is a candidate.
        exclude: Products that are left out.

    Raises `IndexUnavailable`.
    """
    found = index.search(vector, limit=CANDIDATES, min_score=lowest, exclude=exclude)
    if len(found) == CANDIDATES and _pictures(found) <= CANDIDATES // 2:
        found = index.search(vector, limit=MOST_CANDIDATES, min_score=lowest, exclude=exclude)
    confirmed = [(kind_of(Hashes(each.image, each.perceptual), wanted), each) for each in found]
    return sorted(
        (Match(kind, each) for kind, each in confirmed if kind),
        key=lambda match: (KINDS.index(match.kind), -match.neighbor.score),
    )


def _pictures(found: Sequence[Neighbor]) -> int:
    return len({identity(each.image, each.perceptual) for each in found})
