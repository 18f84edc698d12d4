"""The numbers that products have for an attribute: the smallest, the largest, and how many are where between them."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from itertools import pairwise
from math import inf, nextafter

from services.catalog.sorted_pages import PAGE, numbers_at, with_number
from services.descriptions import AttributeKind
from services.errors import AttributeNotIndexed
from services.index.number_order import NumberOrder
from services.index.vector_index import VectorIndex
from services.paging import paginate
from services.query.filters import Filter, Range

MAX_BINS = 12
_STEPS = (1, 2, 5, 10)
_FEW = 10
"""Bins that the spread of the numbers is divided into before their width is rounded up."""


@dataclass(frozen=True, slots=True)
class Bin:
    """How many products have a number from `start`, included, to `end`, not included."""

    start: float
    end: float
    count: int


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of an attribute.

    Attributes:
        count: How many products have one.
        min: The smallest; None where there is none.
        max: The largest; None where there is none.
        histogram: At most `MAX_BINS` bins of one width (1, 2 or 5 times a power of ten) that meet, from the one of
            `min` to that of `max`. A product with several numbers counts once in each bin that has one of them.
    """

    count: int
    min: float | None
    max: float | None
    histogram: tuple[Bin, ...] = ()


def numbers(index: VectorIndex, key: str, kind: AttributeKind, filter: Filter | None = None) -> Numbers:
    """The numbers at a declared attribute of the products that pass a filter.

    Where the index cannot order the numbers, all products that pass the filter are read. What is written meanwhile may
    be in some of the figures.
    """
    if (spread := _spread(index, key, filter)) is None:
        return Numbers(0, None, None)
    low, high = spread
    bounds = bounds_of(low, high, whole=kind is AttributeKind.INTEGER)
    histogram = tuple(
        Bin(_plain(start), _plain(end), index.count(with_number(filter, key, inside)))
        for start, end, inside in _inside(bounds)
    )
    return Numbers(index.count(with_number(filter, key)), _plain(low), _plain(high), histogram)


def bounds_of(low: float, high: float, *, whole: bool) -> list[float]:
    """The bounds of equal bins, one more than there are bins, that hold the numbers from `low` to `high`.

    Each is a multiple of their width, so that it has few digits. `whole`: the width is a whole number.
    """
    least, most = Decimal(repr(low)), Decimal(repr(high))
    width = _width(least, most, whole)
    first = (least / width).to_integral_value(ROUND_FLOOR)
    last = (most / width).to_integral_value(ROUND_FLOOR) + 1
    bounds = [float((first + n) * width) for n in range(int(last - first))]
    # The last bound is above all numbers, also where floats are further apart than the bins; then bins coincide, too.
    bounds.append(max(float(last * width), nextafter(high, inf)))
    largest = sys.float_info.max
    return sorted({min(max(bound, -largest), largest) for bound in bounds})


def _width(least: Decimal, most: Decimal, whole: bool) -> Decimal:
    """The width of bins: 1, 2 or 5 times a power of ten, so that there are at most `MAX_BINS`."""
    spread = most - least
    # Where all numbers are the same, the power of ten of their first digit.
    rough = spread / _FEW if spread else Decimal(1).scaleb(most.adjusted() if most else 0)
    power = Decimal(1).scaleb(rough.adjusted())
    width = next(step * power for step in _STEPS if step * power >= rough)
    return max(width, Decimal(1)) if whole else width


def _inside(bounds: list[float]) -> Iterator[tuple[float, float, Range | None]]:
    """Each bin, and the range of its numbers; the first and the last are open, since all numbers are between them."""
    pairs = list(pairwise(bounds))
    for n, (start, end) in enumerate(pairs):
        limits: dict[str, float] = {}
        if n > 0:
            limits["gte"] = start
        if n < len(pairs) - 1:
            limits["lt"] = end
        yield start, end, Range(**limits) if limits else None


def _spread(index: VectorIndex, key: str, filter: Filter | None) -> tuple[float, float] | None:
    """The smallest and the largest number; None where there is none."""
    try:
        first = index.ordered(NumberOrder(key), limit=1, filter=filter)
        last = index.ordered(NumberOrder(key, descending=True), limit=1, filter=filter)
        return (first[0][0], last[0][0]) if first and last else None
    except AttributeNotIndexed:
        spread: tuple[float, float] | None = None
        for point in paginate(lambda cursor: index.scroll(after=cursor, limit=PAGE, filter=filter)):
            if found := numbers_at(point.attributes, key):
                spread = min(*found, *(spread or found)), max(*found, *(spread or found))
        return spread


def _plain(bound: float) -> float:
    """A whole number without its .0."""
    return int(bound) if bound.is_integer() and abs(bound) <= 2**53 else bound
