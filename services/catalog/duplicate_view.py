"""Groups of duplicates out of what a scan found, what was decided, and the products as they are now."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from services.explore.decisions import Decided, Decision, Decisions
from services.explore.duplicate_groups import Place, place
from services.explore.duplicates import PLACEHOLDER, components, group_id, identity, links
from services.explore.found_duplicates import FoundDuplicates
from services.explore.kinds import Kind
from services.index.vector_index import VectorIndex
from services.records import Point

_PAGE = 256


@dataclass(frozen=True, slots=True)
class Outline:
    """A group whose pictures have not been opened: its products as they are now, by ID, and what was decided.
    `overruled` are those of them about which something else was decided later, as products of another group."""

    id: str
    kind: Kind
    points: tuple[Point, ...]
    decided: Decided | None = None
    overruled: frozenset[str] = frozenset()

    @property
    def is_placeholder(self) -> bool:
        """Whether many of its products have one picture."""
        return max(Counter(map(picture_of, self.points)).values()) >= PLACEHOLDER

    @property
    def place(self) -> Place:
        """Where it is in the list."""
        return place(self.kind, len(self.points), self.id, placeholder=self.is_placeholder)

    @property
    def pictures(self) -> dict[str, str]:
        """What the picture of each product is known by, those of a decision included that are not there any more."""
        if self.decided is not None:
            return dict(self.decided.pictures)
        return {each.product_id: picture for each in self.points if (picture := picture_of(each)) is not None}


def picture_of(point: Point) -> str | None:
    """What the picture of a product is known by."""
    return identity(point.image, point.perceptual)


def holding(index: VectorIndex, decisions: Decisions) -> Decisions:
    """The decisions that settle something at this moment: without those by which products are to go for others of which
    none is there any more, with the picture that it had. Nobody has decided that all of a picture go, so what is left
    is open again. Raises `IndexUnavailable`."""
    going = [each for each in decisions.all if each.decision == "remove"]
    # A product may be in several, with different pictures.
    found = _points(index, sorted({product for each in going for product in each.keep}))
    pictures = {product: picture_of(point) for product, point in found.items()}
    return decisions.without(
        *(each.id for each in going if not any(pictures.get(at) == each.pictures[at] for at in each.keep))
    )


def open_groups(index: VectorIndex, found: FoundDuplicates, decisions: Decisions) -> Iterator[Outline]:
    """The groups in which not every pair is settled. Products that are gone, or have another picture than when they
    were found, are no part of them. Raises `IndexUnavailable`."""
    pictures = {product: picture for picture, products in found.pictures.items() for product in products}
    points = there(index, pictures)
    left = {name: [each for each in products if each in points] for name, products in found.pictures.items()}
    for each in components(links(left, found.pairs, decisions)):
        if each.is_open:
            members = tuple(points[product] for product in each.products)
            yield Outline(group_id(each.products), each.kind, members)


def decided_groups(index: VectorIndex, decisions: Decisions, decision: Decision) -> Iterator[Outline]:
    """The groups about which this was decided, as far as two of their products or more are what they were then, and not
    about all of them something was decided later. Raises `IndexUnavailable`."""
    for each in decisions.all:
        if each.decision == decision and (outline := decided_group(index, decisions, each)):
            yield outline


def decided_group(index: VectorIndex, decisions: Decisions, decided: Decided) -> Outline | None:
    """One of them; None where it is none."""
    points = there(index, decided.pictures)
    overruled = frozenset(each for each in points if not decisions.counts(decided, each))
    if len(points) < 2 or len(overruled) == len(points):
        return None
    members = tuple(points[each] for each in sorted(points))
    return Outline(decided.id, decided.kind, members, decided, overruled)


def there(index: VectorIndex, pictures: Mapping[str, str]) -> dict[str, Point]:
    """Of some products those that still have the picture that is given. Raises `IndexUnavailable`."""
    found = _points(index, pictures)
    return {name: point for name, point in found.items() if picture_of(point) == pictures[name]}


def _points(index: VectorIndex, names: Iterable[str]) -> dict[str, Point]:
    return {point.product_id: point for some in _paged(names) for point in index.get(some) if point is not None}


def _paged(names: Iterable[str]) -> Iterator[list[str]]:
    left = iter(names)
    while some := list(islice(left, _PAGE)):
        yield some
