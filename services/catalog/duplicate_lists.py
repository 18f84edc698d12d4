"""Lists of groups of duplicates, made once for many answers: of a finding, the decisions and the products by then."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from services.catalog.duplicate_view import Outline, picture_of
from services.explore.decisions import Decided, Decision
from services.explore.duplicate_groups import Place
from services.explore.kinds import Kind
from services.index.vector_index import VectorIndex
from services.records import Point

SHARE = 0.1
"""The share of the time that may go into making a list anew, where the catalog changes all the time."""

Key = tuple[str | None, str | None]
"""The objects that a list is of: what was found, and what was decided."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A group, and what the pictures of its products were known by when the list was made."""

    id: str
    kind: Kind
    place: Place
    pictures: Mapping[str, str]
    decided: Decided | None
    overruled: frozenset[str]

    @property
    def is_placeholder(self) -> bool:
        return self.place[0] == 0


@dataclass(frozen=True, slots=True)
class _List:
    groups: Sequence[Listed]
    key: Key
    state: tuple[int, int]
    until: float


class GroupLists:
    """The lists of a catalog: of open groups, and of those about which each decision was made. Thread-safe.

    To make one, every product that is in a group is looked up. It is made anew where what was found or decided is
    another; where the catalog has changed, it may be older than that by a few times of what making it takes. Whoever
    shows a group looks up its products, and asks for the list anew where they are others by now.
    """

    def __init__(self, index: VectorIndex) -> None:
        self._index = index
        self._lock = threading.Lock()
        self._lists: dict[Decision | None, _List] = {}

    def groups(
        self, decision: Decision | None, key: Key, make: Callable[[], Iterable[Outline]], *, anew: bool = False
    ) -> Sequence[Listed]:
        """One of the lists, in order.

        Args:
            decision: Which; None: open groups.
            key: What it is of.
            make: Makes its groups.
            anew: Makes it anew, whatever there is.
        """
        state = self._index.max_version(), self._index.count()
        with self._lock:
            known = self._lists.get(decision)
            now = time.monotonic()
            if known and known.key == key and not anew and (known.state == state or now < known.until):
                return known.groups
            groups = sorted(map(_listed, make()), key=lambda each: each.place)
            ended = time.monotonic()
            self._lists[decision] = _List(groups, key, state, ended + (ended - now) / SHARE)
            return groups

    def outlines(self, groups: Sequence[Listed]) -> list[Outline | None]:
        """Groups with their products; None for one of whose products one has gone, or has another picture, since the
        list was made."""
        names = sorted({name for each in groups for name in each.pictures})
        points = {point.product_id: point for point in self._index.get(names) if point is not None}
        return [_outline(each, points) for each in groups]


def _outline(group: Listed, points: Mapping[str, Point]) -> Outline | None:
    there = tuple(points[name] for name in sorted(group.pictures) if name in points)
    if {point.product_id: picture_of(point) for point in there} != group.pictures:
        return None
    return Outline(group.id, group.kind, there, group.decided, group.overruled)


def _listed(group: Outline) -> Listed:
    pictures = {point.product_id: picture_of(point) or "" for point in group.points}
    return Listed(group.id, group.kind, group.place, pictures, group.decided, group.overruled)
