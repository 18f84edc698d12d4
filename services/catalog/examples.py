"""The examples of a direction: the products of its two sides, as they lie in the space of the catalog."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import numpy as np

from services.catalog.definition import Definition, Side
from services.catalog.labels import group_at
from services.catalog.unknown_keys import advice, meant, unknown_keys
from services.errors import LabelUnusable, TooFewExamples
from services.explore.directions import Examples
from services.index.vector_index import VectorIndex
from services.paging import paginate
from services.query.geometry import places
from services.records import Point, Vector

MOST = 1000
"""Examples of a side that are learned from. Products come in the order of hashes of their IDs: these are a sample."""
_PAGE = 256


def examples_of(
    index: VectorIndex,
    declared: Iterable[str],
    definition: Definition,
    mean: Vector | None,
    what: str,
    check: Callable[[], object],
) -> Examples:
    """The examples that a direction is learned from. A product that is on both sides is on none.

    Args:
        index: Where the products are.
        declared: The keys of indexed attributes.
        definition: What the direction is learned from.
        mean: The middle of the vectors; None: they are stored as seen from there.
        what: Names the direction in errors.
        check: Called before each side is read; what it raises ends this.

    Raises:
        LabelUnusable: No product has a value at `within`.
        TooFewExamples: No product is on a side.
    """
    declared = [*declared]
    if definition.within is not None:
        for key, other in meant(index, declared, [definition.within]).items():
            raise LabelUnusable(f"{what}: no product has a value at within, which is {key}: {advice(other)}.")
    found: list[dict[str, Point]] = []
    for name, side in (("toward", definition.toward), ("away_from", definition.away_from)):
        check()
        given = definition.toward.others() if side is None else side
        found.append({each.product_id: each for each in islice(_points(index, given), MOST)})
        if not found[-1]:
            raise TooFewExamples(f"{what}: no product is {name}{_why(index, declared, given)}.")
    both = found[0].keys() & found[1].keys()
    sides = [[each for each in side.values() if each.product_id not in both] for side in found]
    vectors = [_places(side, mean, index.dim) for side in sides]
    categories = [[_category(each, definition.within) for each in side] for side in sides]
    return Examples(vectors[0], vectors[1], categories[0], categories[1])


def _points(index: VectorIndex, side: Side) -> Iterator[Point]:
    if side.filter is None:
        there = index.get(side.product_ids, vectors=True)
        return (each for each in there if each and each.vector is not None)
    points = paginate(lambda cursor: index.scroll(after=cursor, limit=_PAGE, filter=side.filter, vectors=True))
    return (each for each in points if each.vector is not None)


def _places(side: Iterable[Point], mean: Vector | None, dim: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    vectors = np.array([each.vector for each in side], np.float32).reshape(-1, dim)
    return places(vectors, mean)


def _category(point: Point, within: str | None) -> str | None:
    return None if within is None else group_at(point.attributes, within)


def _why(index: VectorIndex, declared: Iterable[str], side: Side) -> str:
    """What may be wrong with a side that has no product."""
    if side.filter is None:
        return ": none of its IDs is in the catalog"
    return "".join(f"; {each.message.rstrip('.')}" for each in unknown_keys(index, declared, side.filter))
