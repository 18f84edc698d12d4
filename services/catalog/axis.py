"""The products of a catalog along a direction, from those that have least of it to those that have most."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from services.errors import InvalidInput
from services.query.filters import Filter
from services.query.query import Query
from services.query.terms import DirectionTerm, Term
from services.records import Answer, Neighbor, Note

MAX_STOPS = 50


class Queried(Protocol):
    """A catalog, as far as it is needed here."""

    def count(self, filter: Filter | None = None) -> int: ...

    def query(self, query: Query) -> Answer: ...


@dataclass(frozen=True, slots=True)
class Stop:
    """A product on an axis. `rank` is its place among all, 1 having least. Its neighbor's score is the cosine with the
    direction; it has no percentile and no likeness, since there is nothing that it should be like."""

    rank: int
    neighbor: Neighbor


@dataclass(frozen=True, slots=True)
class Axis:
    """Some of `products` along a direction, and what to know of it."""

    products: int
    stops: tuple[Stop, ...]
    notes: tuple[Note, ...]


def ordered(
    catalog: Queried, name: str, *, filter: Filter | None = None, limit: int = 10, reverse: bool = False
) -> Axis:
    """The products that have most of a direction, or with `reverse` least, in order. Raises what `Catalog.query`
    does."""
    answer = catalog.query(_query(name, filter, limit=limit, is_low=reverse))
    products = catalog.count(filter)
    places = range(products)[:: 1 if reverse else -1]
    found = [_stop(rank, each, is_low=reverse) for rank, each in zip(places, answer.neighbors, strict=False)]
    return Axis(products, tuple(found), answer.notes)


def stops(catalog: Queried, name: str, count: int, *, filter: Filter | None = None) -> Axis:
    """So many products at even ranks from least to most of a direction, the ends among them; all, if there are fewer.

    Each is asked for from the end that is nearer, which is quicker. Of a catalog that changes meanwhile, or where
    several have the same score, one may be missing.

    Raises `InvalidInput` outside of 2 to `MAX_STOPS`, and what `Catalog.query` does.
    """
    if not 2 <= count <= MAX_STOPS:
        raise InvalidInput(f"The stops {count} are refused; an axis has 2 to {MAX_STOPS}.")
    products = catalog.count(filter)
    notes: tuple[Note, ...] = ()
    found: dict[str, Stop] = {}
    for rank in _even(products, count):
        is_low = 2 * rank <= products
        offset = rank if is_low else products - 1 - rank
        answer = catalog.query(_query(name, filter, limit=1, offset=offset, is_low=is_low))
        notes = answer.notes
        for each in answer.neighbors:
            found.setdefault(each.product_id, _stop(rank, each, is_low=is_low))
    return Axis(products, tuple(found.values()), notes)


def along(answer: Answer, *, reverse: bool) -> Answer:
    """An answer to a query along a direction alone, as what it says of each product: its score is the cosine with the
    direction, whichever end comes first, and it has no percentile."""
    return replace(answer, neighbors=[_along(each, reverse) for each in answer.neighbors], good=None)


def _query(name: str, filter: Filter | None, *, limit: int, offset: int = 0, is_low: bool) -> Query:
    near = (Term(DirectionTerm(name), -1.0 if is_low else 1.0),)
    return Query(near=near, filter=filter, limit=limit, offset=offset)


def _stop(rank: int, found: Neighbor, *, is_low: bool) -> Stop:
    return Stop(rank + 1, _along(found, is_low))


def _along(found: Neighbor, is_low: bool) -> Neighbor:
    """What was found from the low end, or from the other one, with its cosine with the direction."""
    return Neighbor(found.product_id, -found.score if is_low else found.score, found.attributes)


def _even(products: int, count: int) -> Sequence[int]:
    """Ranks from 0 to `products` - 1 in even steps; at least one, so that a name that is wrong is told."""
    if products <= count:
        return range(max(products, 1))
    return [round(place * (products - 1) / (count - 1)) for place in range(count)]
