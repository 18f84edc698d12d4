"""The making of a catalog's map."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from services.catalog.copying import read_points
from services.catalog.labels import group_at
from services.catalog.map import Map, Marks, in_frame, mark_of, quantized, summary_bytes, to_bytes
from services.catalog.map_reader import MAP, SUMMARY, MapReader, Told
from services.descriptions import AttributeKind, Finding, rfc3339
from services.errors import FindingNotFound, TooFewProducts
from services.explore.layout import LANDMARKS, ROUNDS, laid_out
from services.explore.regions import NO_REGION, Points, regions_of
from services.failpoints import hit
from services.query.query import MAX_LIMIT
from services.records import Point, Vectors

NEXT = "map:next"
"""That of a new layout, until all products stand on it: who is interrupted then does not lay it out again."""
CHANGED = 2.0
"""A catalog that has so many times as many products as it had when its map was laid out, or as few, gets a new one."""
_PAGE = 256
_SEEN = 25
"""Rounds between two reports."""

Report = Callable[[int, int], object]


def no_report(done: int, total: int) -> None:
    """Tells nobody."""


class KeptMap(MapReader):
    """The map of a catalog, and its making. Thread-safe, but for `make`, of which one call at a time is of use."""

    def make(
        self, *, anew: bool = False, report: Report = no_report, check: Callable[[], object] = lambda: None
    ) -> Told:
        """Brings the map up to date, and returns what `told` does.

        New products are placed among its landmarks, others keep their places, and those that are gone leave it. It is
        laid out anew where there is none, where the catalog has other vectors now or many more or fewer products, and
        where that is asked for.

        Args:
            anew: Lays it out anew: everything may stand elsewhere afterwards.
            report: Called with how far it is and how far it goes: rounds of the layout, if one is made, and products.
            check: Called often; what it raises ends this.

        Raises `TooFewProducts` for an empty catalog, `IndexUnavailable`, `CatalogNotFound`, `DataFull`,
        `DataNotWritable`.
        """
        version, count = self._index.max_version(), self._index.count()
        if not count:
            raise TooFewProducts(
                f"Catalog {self._described().name} has no products to make a map of: index some first."
            )
        base = None if anew else self._usable(MAP, count)
        rounds = 0
        if base is None:
            rounds = ROUNDS
            base = self._usable(NEXT, count) or self._laid_out(count, version, report, check)
        made = self._completed(base, lambda done: report(rounds + done, rounds + max(count, done)), check)
        found = self._finding(MAP, len(made.product_ids), version)
        self._findings.keep_all([(found, to_bytes(made)), (replace(found, name=SUMMARY), summary_bytes(made))])
        self._findings.remove(NEXT)
        return self.told()

    def _usable(self, name: str, count: int) -> Map | None:
        """A map that was kept, if the catalog still has such vectors, and about as many."""
        found = self._findings.find(name)
        if found is None or found.fingerprint != self._described().fingerprint:
            return None
        try:
            made = self.read(found)
        except FindingNotFound:
            return None
        return made if made.grown_from / CHANGED < count < made.grown_from * CHANGED else None

    def _laid_out(self, count: int, version: int, report: Report, check: Callable[[], object]) -> Map:
        """A map with nothing but landmarks, which is kept as the next one."""
        points = self._sample(check)
        vectors = np.stack([point.vector for point in points if point.vector is not None]).astype(np.float16)

        def watch(done: int, rounds: int) -> None:
            hit("map_round")
            check()
            if done % _SEEN == 0:
                report(done, rounds + count)

        places = in_frame(laid_out(vectors.astype(np.float32), watch))
        try:
            number = self.told()["version"] + 1
        except FindingNotFound:
            number = 1
        made = Map(
            version=number,
            grown_from=count,
            landmarks=vectors,
            places=places,
            product_ids=tuple(point.product_id for point in points),
            marks=np.array([mark_of(point) for point in points], np.uint64),
            points=quantized(places),
            labels=np.full(len(points), NO_REGION, np.uint16),
        )
        self._findings.keep(replace(self._finding(NEXT, len(points), version), cursor=""), to_bytes(made))
        hit("map_laid_out")
        return made

    def _sample(self, check: Callable[[], object]) -> list[Point]:
        """The first products, which are a random sample: they come in the order of hashes of their IDs."""
        found: list[Point] = []
        for point in read_points(self._index, _PAGE):
            if not len(found) % _PAGE:
                check()
            if point.vector is not None:
                found.append(point)
            if len(found) == LANDMARKS:
                break
        if not found:
            raise TooFewProducts(f"Catalog {self._described().name} has no products any more: there is nothing to map.")
        return found

    def _completed(self, base: Map, report: Callable[[int], object], check: Callable[[], object]) -> Map:
        """A map with all products that there are now, and no others."""
        keys = [key for key, kind in self._described().indexed_attributes.items() if kind is AttributeKind.KEYWORD]
        columns: dict[str, list[str | None]] = {key: [] for key in keys}
        rows = {product_id: row for row, product_id in enumerate(base.product_ids)}
        ids: list[str] = []
        marks: list[Marks] = [np.zeros(0, np.uint64)]
        points: list[Points] = [np.zeros((0, 2), np.uint16)]
        cursor: str | None = None
        while True:
            check()
            page, cursor = self._index.scroll(after=cursor, limit=MAX_LIMIT)
            some, marked, places = self._placed(page, base, rows, check)
            ids += [point.product_id for point in some]
            marks.append(marked)
            points.append(places)
            for key in keys:
                columns[key] += [group_at(point.attributes, key) for point in some]
            report(len(ids))
            if cursor is None:
                break
        if not ids:
            raise TooFewProducts(f"Catalog {self._described().name} has no products any more: there is nothing to map.")
        everywhere = np.concatenate(points)

        def watch() -> None:
            check()
            # A worker learns from its reports that a task was canceled.
            report(len(ids))
            hit("map_named")

        labels, regions = regions_of(everywhere, columns, watch)
        return replace(
            base,
            product_ids=tuple(ids),
            marks=np.concatenate(marks),
            points=everywhere,
            labels=labels,
            regions=regions,
        )

    def _placed(
        self, page: list[Point], base: Map, rows: Mapping[str, int], check: Callable[[], object]
    ) -> tuple[list[Point], Marks, Points]:
        """The products of a page that are there, with their marks and places: those that they had, or new ones."""
        marked = np.array([mark_of(point) for point in page], np.uint64)
        known = np.array([rows.get(point.product_id, -1) for point in page], np.int64)
        is_kept = (known >= 0) & (base.marks[known] == marked)
        places = base.points[known]
        is_there = np.ones(len(page), np.bool_)
        new = np.flatnonzero(~is_kept)
        for at in range(0, len(new), _PAGE):
            check()
            some = new[at : at + _PAGE]
            found = self._index.get([page[row].product_id for row in some], vectors=True)
            vectors = [None if point is None else point.vector for point in found]
            # Who was removed since the page was read has none.
            is_there[some] = has = np.array([vector is not None for vector in vectors])
            if has.any():
                places[some[has]] = base.place(_stacked(vectors))
        here = np.flatnonzero(is_there)
        return [page[row] for row in here], marked[here], places[here]

    def _finding(self, name: str, products: int, version: int) -> Finding:
        now = rfc3339(datetime.now(UTC))
        return Finding(name, "", self._described().fingerprint, products, version, now)


def _stacked(vectors: list[Any]) -> Vectors:
    return np.stack([vector for vector in vectors if vector is not None])
