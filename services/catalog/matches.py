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
    """The duplicates of one picture: see `matches_of_each`."""
    return matches_of_each(index, [(vector, wanted)], lowest, exclude=exclude)[0]


def matches_of_each(
    index: VectorIndex, pictures: Sequence[tuple[Vector, Hashes]], lowest: float, *, exclude: Sequence[str] = ()
) -> list[list[Match]]:
    """The duplicates of each picture among the nearest `CANDIDATES` products, or `MOST_CANDIDATES` where those are
    copies of few pictures: by kind, then the nearest first.

    Args:
        index: Where the products are.
        pictures: The vector of each, float32 (dim,), length one, and its hashes.
        lowest: The score below which none is a candidate.
        exclude: Products that are left out.

    Raises `IndexUnavailable`.
    """
    vectors = [vector for vector, _ in pictures]
    found = index.search_each(vectors, limit=CANDIDATES, min_score=lowest, exclude=exclude)
    crowded = [at for at, each in enumerate(found) if len(each) == CANDIDATES and _pictures(each) <= CANDIDATES // 2]
    if crowded:
        wanted = [vectors[at] for at in crowded]
        more = index.search_each(wanted, limit=MOST_CANDIDATES, min_score=lowest, exclude=exclude)
        for at, each in zip(crowded, more, strict=True):
            found[at] = each
    return [_confirmed(each, hashes) for each, (_, hashes) in zip(found, pictures, strict=True)]


def _confirmed(found: Sequence[Neighbor], wanted: Hashes) -> list[Match]:
    confirmed = [(kind_of(Hashes(each.image, each.perceptual), wanted), each) for each in found]
    return sorted(
        (Match(kind, each) for kind, each in confirmed if kind),
        key=lambda match: (KINDS.index(match.kind), -match.neighbor.score),
    )


def _pictures(found: Sequence[Neighbor]) -> int:
    return len({identity(each.image, each.perceptual) for each in found})
