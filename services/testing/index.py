"""A vector index in a dict."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from services.descriptions import AttributeKind
from services.index.number_order import NumberOrder
from services.index.vector_index import (
    anything,
    checked_cursor,
    checked_vector,
    done,
    holds,
    never,
    no_facets,
    point_id,
    revisable,
)
from services.kinds import leaves_at, shown
from services.query.filters import Filter, Steps, checked_keys, is_key, steps
from services.records import (
    Attributes,
    AttributeUpdate,
    Facet,
    Graph,
    Neighbor,
    OtherKinds,
    Point,
    Revision,
    Tombstone,
    Vector,
)
from services.testing.filters import leaves, matches

_FACETED = {AttributeKind.KEYWORD: str, AttributeKind.INTEGER: int, AttributeKind.BOOL: bool}
_OF_KIND: Mapping[AttributeKind, tuple[type, ...]] = {
    AttributeKind.KEYWORD: (str,),
    AttributeKind.INTEGER: (int,),
    AttributeKind.FLOAT: (int, float),
    AttributeKind.BOOL: (bool,),
}


class MemoryIndex:
    """`VectorIndex` in a dict: every search looks at every product."""

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self._stored: dict[str, Point | Tombstone] = {}
        self._kinds: dict[Steps, AttributeKind] = {}
        self._writing = threading.RLock()

    def upsert(self, points: Sequence[Point | Tombstone]) -> list[bool]:
        checked = [self._checked(point) for point in points]
        with self._writing:
            self._admit([point.attributes for point in checked if isinstance(point, Point)])
            for point in checked:
                if self._version(point.product_id) < point.version:
                    self._stored[point.product_id] = point
            return [self._version(point.product_id) == point.version for point in points]

    def update_attributes(self, updates: Sequence[AttributeUpdate]) -> list[bool]:
        with self._writing:
            self._admit([update.attributes for update in updates])
            for update in updates:
                point = self._alive(update.product_id)
                if point and point.version < update.version and update.image in (None, point.image):
                    url = update.url or point.url
                    moved = replace(point, attributes=dict(update.attributes), version=update.version, url=url)
                    self._stored[update.product_id] = moved
            return [done(update, self._alive(update.product_id)) for update in updates]

    def revise(self, revisions: Sequence[Revision]) -> list[bool]:
        with self._writing:
            there = self.get([revision.point.product_id for revision in revisions])
            for revision, stored in zip(revisions, there, strict=True):
                if revisable(revision, stored):
                    self._stored[revision.point.product_id] = self._checked(revision.point)
            there = self.get([revision.point.product_id for revision in revisions])
            return [stored is not None and holds(each, stored) for each, stored in zip(revisions, there, strict=True)]

    def get(self, product_ids: Sequence[str], *, vectors: bool = False) -> list[Point | None]:
        points = [self._alive(product_id) for product_id in product_ids]
        return [point and _shown(point, vectors) for point in points]

    def versions(self, product_ids: Sequence[str]) -> list[int | None]:
        stored = [self._stored.get(product_id) for product_id in product_ids]
        return [point.version if point else None for point in stored]

    def scroll(
        self, *, after: str | None = None, limit: int = 100, filter: Filter | None = None, vectors: bool = False
    ) -> tuple[list[Point], str | None]:
        start = checked_cursor(after) or ""
        points = {point_id(point.product_id): point for point in self._matching(filter)}
        ids = sorted(id for id in points if id >= start)
        page = [_shown(points[id], vectors) for id in ids[:limit]]
        return page, ids[limit] if len(ids) > limit else None

    def ordered(
        self, order: NumberOrder, *, limit: int = 100, filter: Filter | None = None
    ) -> list[tuple[float, Point]]:
        kind = self._kinds.get(steps(order.key)) if is_key(order.key) else None
        if kind not in (AttributeKind.INTEGER, AttributeKind.FLOAT):
            raise order.missing()
        found = [
            (number, _shown(point, False))
            for point in self._matching(filter)
            for number in {float(leaf) for leaf in leaves(point.attributes, order.key) if leaf is not None}
            if order.start is None or (number <= order.start if order.descending else number >= order.start)
        ]
        return sorted(found, key=lambda each: each[0], reverse=order.descending)[:limit]

    def search(
        self,
        vector: Vector,
        *,
        limit: int = 10,
        offset: int = 0,
        filter: Filter | None = None,
        min_score: float | None = None,
        exclude: Sequence[str] = (),
    ) -> list[Neighbor]:
        query = checked_vector(vector, self.dim)
        candidates = [point for point in self._matching(filter) if point.product_id not in exclude]
        neighbors = [
            Neighbor(
                *(point.product_id, float(query @ point.vector), point.attributes),
                image=point.image,
                perceptual=point.perceptual,
            )
            for point in candidates
            if point.vector is not None
        ]
        if min_score is not None:
            neighbors = [neighbor for neighbor in neighbors if neighbor.score >= np.float32(min_score)]
        neighbors.sort(key=lambda neighbor: (-neighbor.score, neighbor.product_id))
        return neighbors[offset : offset + limit]

    def search_each(
        self, vectors: Sequence[Vector], *, limit: int = 10, min_score: float | None = None, exclude: Sequence[str] = ()
    ) -> list[list[Neighbor]]:
        return [self.search(vector, limit=limit, min_score=min_score, exclude=exclude) for vector in vectors]

    def count(self, filter: Filter | None = None) -> int:
        return len(self._matching(filter))

    def facets(self, attribute: str, *, limit: int = 10, filter: Filter | None = None) -> list[Facet]:
        kind = self._kinds.get(steps(attribute)) if is_key(attribute) else None
        if kind not in _FACETED:
            raise no_facets(attribute)
        counts: Counter[Any] = Counter()
        for point in self._matching(filter):
            found = leaves(point.attributes, attribute)
            counts.update({leaf for leaf in found if type(leaf) is _FACETED[kind]})
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        return [Facet(value, count) for value, count in ranked[:limit]]

    def declare(self, attributes: Mapping[str, AttributeKind]) -> dict[str, OtherKinds]:
        checked_keys(attributes)
        new = {name: kind for name, kind in attributes.items() if self._kinds.get(steps(name)) is not kind}
        others: dict[str, OtherKinds] = {}
        with self._writing:
            for name, kind in new.items():
                wrong = {
                    point.product_id: [leaf for leaf in leaves(point.attributes, name) if not _is(leaf, kind)]
                    for point in self._matching(None)
                }
                wrong = {product_id: values for product_id, values in wrong.items() if values}
                self._kinds.pop(steps(name), None)
                if wrong:
                    some = {product_id: shown(wrong[product_id][0]) for product_id in sorted(wrong, key=point_id)[:10]}
                    others[name] = OtherKinds(kind, len(wrong), some)
                else:
                    self._kinds[steps(name)] = kind
        return others

    def max_version(self) -> int:
        return max((point.version for point in list(self._stored.values())), default=0)

    def tombstones(self, *, before: float) -> Iterator[Tombstone]:
        for point in list(self._stored.values()):
            if isinstance(point, Tombstone) and point.removed_at < before:
                yield point

    def purge(self, tombstones: Iterable[Tombstone]) -> None:
        with self._writing:
            for tombstone in tombstones:
                if self._stored.get(tombstone.product_id) == tombstone:
                    del self._stored[tombstone.product_id]

    def graph(self) -> Graph:
        return Graph(self.count(), 0)

    def optimize(self, *, check_space: Callable[[int], None] = anything, canceled: Callable[[], bool] = never) -> bool:
        return False

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass

    def _checked(self, point: Point | Tombstone) -> Point | Tombstone:
        if isinstance(point, Tombstone):
            return point
        return replace(point, vector=checked_vector(point.vector, self.dim).copy())

    def _admit(self, written: Sequence[Attributes]) -> None:
        """Ends the indexes of attributes that are to have values of another kind."""
        self._kinds = {
            path: kind
            for path, kind in self._kinds.items()
            if all(_is(leaf, kind) for attributes in written for leaf in leaves_at(attributes, path))
        }

    def _version(self, product_id: str) -> int:
        stored = self._stored.get(product_id)
        return -1 if stored is None else stored.version

    def _alive(self, product_id: str) -> Point | None:
        stored = self._stored.get(product_id)
        return stored if isinstance(stored, Point) else None

    def _matching(self, filter: Filter | None) -> list[Point]:
        points = [point for point in list(self._stored.values()) if isinstance(point, Point)]
        return [point for point in points if filter is None or matches(filter, point)]


def _shown(point: Point, vectors: bool) -> Point:
    return point if vectors else replace(point, vector=None)


def _is(leaf: object, kind: AttributeKind) -> bool:
    return leaf is None or type(leaf) in _OF_KIND[kind]
