"""What is read of a catalog's map, each part of it without the others: the whole is large."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, TypeVar

from services.catalog.findings import KeptFindings, is_stale
from services.catalog.kept_columns import ColumnBytes, KeptColumns
from services.catalog.map import Map, Standing, Summary, drawn_of, from_bytes, product_ids_of, summary_of
from services.catalog.map_columns import Column, column_of
from services.descriptions import CatalogSpec, Finding
from services.errors import FindingNotFound
from services.explore.regions import Labels, Points
from services.index.vector_index import VectorIndex

MAP = "map"
"""The name of the finding."""
SUMMARY = "map:summary"
"""That of its summary, which is kept apart: the map of a large catalog is not read to say how it is called."""
Told = Mapping[str, Any]
Read = TypeVar("Read")


class MapReader:
    """Reads the map of a catalog. Thread-safe.

    Args:
        index: Where the vectors are.
        findings: Where it is kept.
        described: The description of the catalog.
    """

    def __init__(self, index: VectorIndex, findings: KeptFindings, *, described: Callable[[], CatalogSpec]) -> None:
        self._index = index
        self._findings = findings
        self._described = described
        self._columns = KeptColumns()

    def found(self) -> Finding:
        """The map's description. Raises `FindingNotFound` where there is none."""
        return self._described_in(self._findings.all())

    def read(self, found: Finding) -> Map:
        """The map that `found` has described, whatever was made since. Raises `FindingNotFound`."""
        return self._read(found, from_bytes)

    def drawn(self, found: Finding) -> tuple[Summary, Points, Labels]:
        """What is drawn of it, without the rest. Raises what `read` does."""
        return self._read(found, drawn_of)

    def product_ids(self, found: Finding) -> tuple[str, ...]:
        """Its products, without the rest. Raises what `read` does."""
        return self._read(found, product_ids_of)

    def standing(self) -> Standing:
        """Where its products stand. Raises `FindingNotFound`."""
        made = self.read(self.found())
        return Standing(made.product_ids, made.points, made.labels, made.regions)

    def told(self) -> Told:
        """What is to be known of it, as JSON. Raises `FindingNotFound`."""
        # Both out of one description, since they are kept together.
        findings = self._findings.all()
        found = self._described_in(findings)
        told = self._summary(found, findings)
        return {
            "version": told.version,
            "found_at": found.found_at,
            "products": found.products,
            "stale": self.is_stale(found),
            "clusters": [asdict(each) for each in told.regions],
            "attributes": sorted(self._described().indexed_attributes),
            "hash": found.object,
        }

    def is_stale(self, found: Finding) -> bool:
        """Whether the catalog has changed since it was made."""
        return is_stale(found, self._described(), self._index)

    def column(self, key: str, product_ids: tuple[str, ...]) -> Column:
        """What these products have now for an attribute; nothing for those that are gone."""
        return column_of(self._index, key, product_ids, self._described().indexed_attributes.get(key))

    def column_bytes(self, key: str, found: Finding) -> ColumnBytes:
        """The same of the products of the map that `found` has described, as bytes, which are kept for a while: see
        `KeptColumns`. Raises what `read` does."""
        kind = self._described().indexed_attributes.get(key)
        state = self._index.max_version(), self._index.count()

        def read() -> Column:
            return column_of(self._index, key, self.product_ids(found), kind)

        return self._columns.get((found.object, key, kind), state, read)

    def _described_in(self, findings: Sequence[Finding]) -> Finding:
        found = next((each for each in findings if each.name == MAP), None)
        if found is None:
            name = self._described().name
            raise FindingNotFound(f"Catalog {name} has no map yet: PUT it, or let `lookalike map` make it.")
        return found

    def _summary(self, found: Finding, findings: Sequence[Finding]) -> Summary:
        for each in findings:
            if each == replace(found, name=SUMMARY, object=each.object):
                try:
                    return self._read(each, summary_of)
                except FindingNotFound:
                    break  # the map has it, too
        return self.drawn(found)[0]

    def _read(self, found: Finding, take: Callable[[bytes], Read]) -> Read:
        try:
            return take(self._findings.read(found))
        except (ValueError, TypeError, KeyError) as error:
            name = self._described().name
            raise FindingNotFound(f"The map of catalog {name} is damaged: make it again, anew.") from error
