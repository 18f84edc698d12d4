"""An index of its own for a bench, and what a scan for duplicates finds in it."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from services.catalog.duplicate_scan import DuplicateScan
from services.catalog.findings import KeptFindings
from services.descriptions import CatalogSpec
from services.explore.found_duplicates import FoundDuplicates, from_bytes
from services.index.edge import EdgeIndex
from services.index.vector_index import VectorIndex
from services.query.space import Space
from services.records import Point
from services.storage.media import Media


@contextmanager
def filled(points: Iterable[Point]) -> Iterator[EdgeIndex]:
    """An embedded index of these products, without a graph."""
    left = iter(points)
    first = list(islice(left, 64))
    assert first[0].vector is not None
    with TemporaryDirectory() as folder:
        index = EdgeIndex.open(Path(folder) / "vectors", len(first[0].vector))
        while first:
            index.upsert(first)
            first = list(islice(left, 64))
        index.flush()
        yield index
        index.close()


def scanned(index: VectorIndex, space: Callable[[], Space | None]) -> FoundDuplicates:
    """What a scan finds, which keeps it in media and reads it again as the product does."""
    described = [
        CatalogSpec("bench", "0" * 32, "stub", "random:1", "nearest", index.dim, None, "0" * 32, "2026-01-01T00:00:00Z")
    ]

    def describe(change: Callable[[CatalogSpec], CatalogSpec]) -> Any:
        described[0] = change(described[0])

    with TemporaryDirectory() as folder:
        findings = KeptFindings(Media(Path(folder)), described=lambda: described[0], describe=describe)
        finding = DuplicateScan(index, findings, space=space, fingerprint=None).run(lambda *_: None, lambda: None)
        found = from_bytes(findings.read(finding))
    assert found is not None
    return found
