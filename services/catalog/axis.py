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
    direction; a percentile or a likeness it has not, as nothing is looked for."""

    rank: int
    neighbor: Neighbor


@dataclass(frozen=True, slots=True)
class Stops:
    """Products at even ranks on an axis, of so many `products`, and what to know of them."""

    products: int
    stops: tuple[Stop, ...]
    notes: tuple[Note, ...]


def along(name: str, *, filter: Filter | None = None, limit: int = 10, reverse: bool = False) -> Query:
    """The query for the products that have most of a direction, or with `reverse` least."""
    return Query(near=(Term(DirectionTerm(name), -1.0 if reverse else 1.0),), filter=filter, limit=limit)


def stops(catalog: Queried, name: str, count: int, *, filter: Filter | None = None) -> Stops:
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
        is_low = 2 * rank < products
        query = along(name, filter=filter, limit=1, reverse=is_low)
        answer = catalog.query(replace(query, offset=rank if is_low else products - 1 - rank))
        notes = answer.notes
        for each in answer.neighbors:
            score = -each.score if is_low else each.score
            neighbor = Neighbor(each.product_id, score, each.attributes, image=each.image, perceptual=each.perceptual)
            found.setdefault(each.product_id, Stop(rank + 1, neighbor))
    return Stops(products, tuple(found.values()), notes)


def _even(products: int, count: int) -> Sequence[int]:
    """Ranks from 0 to `products` - 1 in even steps; at least one, so that a name that is wrong is told."""
    if products <= count:
        return range(max(products, 1))
    return [round(place * (products - 1) / (count - 1)) for place in range(count)]
