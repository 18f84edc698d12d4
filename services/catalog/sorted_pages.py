"""Lists of products in the order of a number: pages that show each product once, whatever numbers it has.

Indexes give points by number, where a point with several numbers comes several times and the order among equal ones is
open. So the numbers only lead from tie to tie (`services.catalog.ties`); the products of one are read by a filter, in
the index's own order, and that is the order of a list among equal numbers.
"""

from collections.abc import Iterator
from heapq import nsmallest
from itertools import islice

from services.catalog.sorting import Place, Sort
from services.catalog.ties import Tie
from services.errors import AttributeNotIndexed
from services.index.number_order import NumberOrder
from services.index.vector_index import VectorIndex, point_id
from services.kinds import leaves
from services.paging import paginate
from services.query.filters import FieldCondition, Filter, Range
from services.records import Attributes, Point

PAGE = 1000
"""Products that are read at a time where the index cannot order them."""

Placed = tuple[Place, Point]


def sorted_page(
    index: VectorIndex, sort: Sort, place: Place | None, *, limit: int, filter: Filter | None
) -> tuple[list[Point], Place | None]:
    """The products from a place on (None: from the first), and the place after them (None: those were all).

    Where the index cannot order the numbers (it has values of other kinds, or integers beyond 2**53), all products that
    pass the filter are read for each page.
    """
    try:
        found = list(islice(_Ordered(index, sort, limit, filter).products(place), limit + 1))
    except AttributeNotIndexed:
        found = _searched(index, sort, place, limit + 1, filter)
    return [point for _, point in found[:limit]], found[limit][0] if len(found) > limit else None


class _Ordered:
    """The products of one list, read as they are needed, `limit` and a few at a time."""

    def __init__(self, index: VectorIndex, sort: Sort, limit: int, filter: Filter | None) -> None:
        self._index = index
        self._sort = sort
        self._limit = limit
        self._filter = filter

    def products(self, place: Place | None) -> Iterator[Placed]:
        """Those from a place on. Raises `AttributeNotIndexed`, also after some."""
        tie = None
        if place is not None and place.number is not None:
            tie = Tie.of(place.number)
            yield from self._tied(tie, place.id)
        if place is None or place.number is not None:
            yield from self._after(tie)
        yield from self._without(place.id if place is not None and place.number is None else None)

    def _after(self, tie: Tie | None) -> Iterator[Placed]:
        """The products behind a tie that have a number."""
        # One for the place of the next page, and one so that its tie is known to be whole.
        wanted = self._limit + 2
        while rows := self._rows(tie, wanted):
            last = Tie.of(rows[-1][0])
            whole: dict[str, tuple[Tie, Point]] = {}
            for number, point in rows:
                whole.setdefault(point.product_id, (Tie.of(number), point))
            placed = [
                (Place(found.near, point_id(point.product_id)), point)
                for found, point in whole.values()
                if found != last
            ]
            yield from sorted(placed, key=lambda each: _rank(self._sort, each[0]))
            yield from self._tied(last, None)
            tie = last

    def _rows(self, tie: Tie | None, wanted: int) -> list[tuple[float, Point]]:
        descending = self._sort.descending
        passing = self._filter
        if tie is not None:
            ahead, behind = (tie.below(), tie.up()) if descending else (tie.above(), tie.down())
            passing = self._passing(some=ahead, none=behind)
        start = None if tie is None else tie.end(descending)
        return self._index.ordered(NumberOrder(self._sort.key, descending, start), limit=wanted, filter=passing)

    def _tied(self, tie: Tie, after: str | None) -> Iterator[Placed]:
        """The products at a tie in the index's own order, from an ID on."""
        some, none = (tie.up(), tie.above()) if self._sort.descending else (tie.down(), tie.below())
        for point in self._scrolled(self._passing(some=some, none=none), after):
            yield Place(tie.near, point_id(point.product_id)), point

    def _without(self, after: str | None) -> Iterator[Placed]:
        """The products without a number in the index's own order, from an ID on."""
        for point in self._scrolled(_together(self._filter, must_not=_numbers(self._sort.key)), after):
            yield Place(None, point_id(point.product_id)), point

    def _scrolled(self, filter: Filter, after: str | None) -> Iterator[Point]:
        return paginate(lambda cursor: self._index.scroll(after=cursor or after, limit=self._limit + 1, filter=filter))

    def _passing(self, *, some: Range, none: Range) -> Filter:
        """The filter and: one of the product's numbers is in the first range, and none in the second."""
        key = self._sort.key
        return _together(
            self._filter,
            must=(FieldCondition(key=key, range=some),),
            must_not=(FieldCondition(key=key, range=none),),
        )


def _searched(index: VectorIndex, sort: Sort, place: Place | None, limit: int, filter: Filter | None) -> list[Placed]:
    """The same by looking at every product."""
    points = paginate(lambda cursor: index.scroll(after=cursor, limit=PAGE, filter=filter))
    placed = ((_place(sort, point), point) for point in points)
    later = (each for each in placed if place is None or _rank(sort, each[0]) >= _rank(sort, place))
    return nsmallest(limit, later, key=lambda each: _rank(sort, each[0]))


def _place(sort: Sort, point: Point) -> Place:
    numbers = numbers_at(point.attributes, sort.key)
    id = point_id(point.product_id)
    if not numbers:
        return Place(None, id)
    return Place(Tie.of(max(numbers) if sort.descending else min(numbers)).near, id)


def _rank(sort: Sort, place: Place) -> tuple[bool, float, str]:
    number = place.number or 0.0
    return place.number is None, -number if sort.descending else number, place.id


def numbers_at(attributes: Attributes, key: str) -> list[float]:
    """The numbers that a range filter on this key compares."""
    return [float(leaf) for leaf in leaves(attributes, key) if type(leaf) in (int, float)]


def with_number(filter: Filter | None, key: str, within: Range | None = None) -> Filter:
    """A filter that also asks for a number at a key, in a range if there is one."""
    if within is not None:
        return _together(filter, must=(FieldCondition(key=key, range=within),))
    return _together(filter, must=(Filter(should=_numbers(key)),))


def _numbers(key: str) -> tuple[FieldCondition, FieldCondition]:
    """Conditions of which a product with a number meets one."""
    return FieldCondition(key=key, range=Range(gte=0)), FieldCondition(key=key, range=Range(lt=0))


def _together(
    filter: Filter | None,
    must: tuple[FieldCondition | Filter, ...] = (),
    must_not: tuple[FieldCondition, ...] = (),
) -> Filter:
    """A filter and conditions, which do not count for how deep and large it may be."""
    asked = () if filter is None else (filter,)
    return Filter.model_construct(must=(*asked, *must), must_not=must_not, should=())
