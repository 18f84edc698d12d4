"""How alike two generations answer: what both find for the same products."""

import random
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from services.index.vector_index import VectorIndex
from services.paging import paginate
from services.records import Neighbor, Point

RANKS = (1, 5, 10, 50)
"""Up to which rank common neighbors are counted."""


@dataclass(frozen=True, slots=True)
class Pair:
    """What both generations find for a product, best first: the live one and the other."""

    product_id: str
    live: Sequence[Neighbor]
    other: Sequence[Neighbor]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two generations find for a sample of products.

    Attributes:
        sample: How many products were looked at that both have.
        missing: Products of the sample that the other generation has not.
        common: By rank: the mean share of the live generation's neighbors up to it that are among the other's.
        pairs: The answers for each product.
    """

    sample: int
    missing: Sequence[str]
    common: Mapping[int, float]
    pairs: Sequence[Pair]


def compared(live: VectorIndex, other: VectorIndex, sample: int, seed: int) -> Comparison:
    """Compares the neighbors of so many products, or of all if there are fewer; another `seed` takes others."""
    points = {each.product_id: each for each in islice(from_anywhere(live, seed), sample)}
    theirs = dict(zip(points, other.get([*points], vectors=True), strict=True))
    pairs = [
        Pair(product_id, _neighbors(live, point), _neighbors(other, there))
        for product_id, point in points.items()
        if (there := theirs[product_id])
    ]
    return Comparison(
        sample=len(pairs),
        missing=[product_id for product_id, there in theirs.items() if there is None],
        common={rank: _common(pairs, rank) for rank in RANKS} if pairs else {},
        pairs=pairs,
    )


def from_anywhere(index: VectorIndex, seed: int) -> Iterator[Point]:
    """All products from somewhere on, and then from the beginning: they are in the order of hashes of their IDs, so
    those at the beginning are a sample."""
    start = str(uuid.UUID(int=random.Random(seed).getrandbits(128)))
    yield from paginate(lambda cursor: index.scroll(after=cursor or start, vectors=True))
    yield from paginate(lambda cursor: index.scroll(after=cursor, vectors=True))


def _neighbors(index: VectorIndex, point: Point) -> list[Neighbor]:
    assert point.vector is not None, "asked for with vectors=True"
    return index.search(point.vector, limit=max(RANKS), exclude=[point.product_id])


def _common(pairs: Sequence[Pair], rank: int) -> float:
    shares = []
    for pair in pairs:
        live = {each.product_id for each in pair.live[:rank]}
        shares.append(len(live & {each.product_id for each in pair.other[:rank]}) / len(live) if live else 1.0)
    return sum(shares) / len(shares)
