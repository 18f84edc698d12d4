"""The vector index in this process: Qdrant Edge, one shard in one folder."""

import re
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import qdrant_edge as qdrant

from services.errors import (
    AttributeNotIndexed,
    DataCorrupt,
    DataLocked,
    DataNotWritable,
    IndexUnavailable,
    InvalidInput,
    LookalikeError,
)
from services.filters import Filter, is_key, steps
from services.index import edge_filters, edge_points
from services.index.vector_index import checked_vector, point_id
from services.records import AttributeKind, Facet, Move, Neighbor, Point, Tombstone, Vector

_PAGE = 1000


class EdgeIndex:
    """`VectorIndex` on a folder that one process at a time may have open.

    Search is exact until `optimize` builds the graph; what is written after that is searched exactly beside it.
    """

    def __init__(self, shard: qdrant.EdgeShard, dim: int) -> None:
        self.dim = dim
        self._shard = shard
        # A write is followed by reading back what became of it; no other write may come in between.
        self._writing = threading.Lock()
        self._closed = False

    @classmethod
    def open(cls, path: Path, dim: int) -> Self:
        """The index in the folder `path`, which is made where it is not there (or was left half made).

        Raises `DataLocked` while it is open elsewhere, `DataCorrupt` (damaged, or of another dimension),
        `DataNotWritable`.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataNotWritable(f"The index folder {path} cannot be made: {error.strerror}.") from error
        with _translated(lambda reason: _not_opened(path, dim, reason)):
            index = cls(qdrant.EdgeShard.load(str(path), edge_points.config(dim)), dim)
        index._create_field_indexes()
        return index

    def upsert(self, points: Sequence[Point | Tombstone]) -> list[bool]:
        newest = {point.product_id: point for point in sorted(points, key=lambda point: point.version)}
        written = [edge_points.written(point, self.dim) for point in newest.values()]
        guards = [edge_filters.older(id, point.version) for id, point in newest.items()]
        with self._writing:
            for page in _pages(len(written)):
                # What is not stored yet is inserted, whatever the condition says.
                guard = qdrant.Filter(should=[*guards[page]])
                self._update(qdrant.UpdateOperation.upsert_points(written[page], guard))
            stored = self.versions([point.product_id for point in points])
        return [point.version == version for point, version in zip(points, stored, strict=True)]

    def move(self, moves: Sequence[Move]) -> list[bool]:
        with self._writing:
            for move in moves:
                payload = {"attributes": dict(move.attributes), "version": move.version}
                guard = edge_filters.movable(move)
                self._update(qdrant.UpdateOperation.set_payload_by_filter(guard, payload))
            stored = self.get([move.product_id for move in moves])
        return [_done(move, point) for move, point in zip(moves, stored, strict=True)]

    def get(self, product_ids: Sequence[str], *, vectors: bool = False) -> list[Point | None]:
        found = self._retrieve(product_ids, True, vectors)
        records = [found.get(point_id(product_id)) for product_id in product_ids]
        return [
            edge_points.point(record) if record and "removed_at" not in edge_points.payload(record) else None
            for record in records
        ]

    def versions(self, product_ids: Sequence[str]) -> list[int | None]:
        found = self._retrieve(product_ids, ["version"], False)
        records = [found.get(point_id(product_id)) for product_id in product_ids]
        return [edge_points.payload(record)["version"] if record else None for record in records]

    def scroll(
        self, *, after: str | None = None, limit: int = 100, filter: Filter | None = None, vectors: bool = False
    ) -> tuple[list[Point], str | None]:
        records, cursor = self._scroll(_checked_cursor(after), limit, edge_filters.alive(filter), vectors)
        return [edge_points.point(record) for record in records], cursor

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
        nearest: Any = checked_vector(vector, self.dim)
        request = qdrant.QueryRequest(
            query=qdrant.Query.Nearest(nearest, using=edge_points.VECTOR),
            limit=limit,
            offset=offset,
            filter=edge_filters.alive(filter, exclude),
            score_threshold=None if min_score is None else edge_filters.threshold(min_score),
            with_payload=["product_id", "attributes"],
            with_vector=False,
        )
        with _translated():
            hits = self._shard.query(request)
        return [edge_points.neighbor(hit) for hit in hits]

    def count(self, filter: Filter | None = None) -> int:
        with _translated():
            return self._shard.count(qdrant.CountRequest(exact=True, filter=edge_filters.alive(filter)))

    def facets(self, attribute: str, *, limit: int = 10, filter: Filter | None = None) -> list[Facet]:
        request = qdrant.FacetRequest(
            self._facet_key(attribute), limit=limit, exact=True, filter=edge_filters.alive(filter)
        )
        with _translated():
            return [Facet(hit.value, hit.count) for hit in self._shard.facet(request).hits]

    def declare(self, attributes: Mapping[str, AttributeKind]) -> None:
        for attribute in attributes:
            if not is_key(attribute):
                raise InvalidInput(f'{attribute!r} is no attribute; write size.width, tags[] or "a.b".')
        for attribute, kind in attributes.items():
            key = edge_filters.key(attribute)
            self._update(qdrant.UpdateOperation.create_field_index(key, edge_points.schema(kind)))

    def max_version(self) -> int:
        newest = qdrant.OrderBy("version", qdrant.Direction.Desc)
        request = qdrant.ScrollRequest(limit=1, order_by=newest, with_payload=["version"], with_vector=False)
        with _translated():
            records, _ = self._shard.scroll(request)
        return max((edge_points.payload(record)["version"] for record in records), default=0)

    def tombstones(self, *, before: float) -> Iterator[Tombstone]:
        after: str | None = None
        while True:
            records, after = self._scroll(after, _PAGE, edge_filters.removed(before), False)
            yield from (Tombstone(**edge_points.payload(record)) for record in records)
            if after is None:
                return

    def purge(self, tombstones: Sequence[Tombstone]) -> None:
        for page in _pages(len(tombstones)):
            still = qdrant.Filter(should=[edge_filters.still(tombstone) for tombstone in tombstones[page]])
            with self._writing:
                self._update(qdrant.UpdateOperation.delete_points_by_filter(still))

    def optimize(self) -> bool:
        with self._writing, _translated():
            return self._shard.optimize()

    def flush(self) -> None:
        with _translated():
            self._shard.flush()

    def close(self) -> None:
        with self._writing:
            if not self._closed:
                self.flush()
                self._shard.close()
                self._closed = True

    def _create_field_indexes(self) -> None:
        # Nobody searches by these, so the graph needs no links for them.
        version = qdrant.IntegerIndexParams(enable_hnsw=False)
        removed_at = qdrant.FloatIndexParams(enable_hnsw=False)
        self._update(qdrant.UpdateOperation.create_field_index("version", version))
        self._update(qdrant.UpdateOperation.create_field_index("removed_at", removed_at))

    def _facet_key(self, attribute: str) -> str:
        key = edge_filters.key(attribute)
        with _translated():
            schema = self._shard.info().payload_schema
        for name, index in schema.items():
            faceted = index.data_type != qdrant.PayloadSchemaType.Float
            if faceted and is_key(attribute) and steps(name) == steps(key):
                return key
        raise AttributeNotIndexed(
            f"{attribute!r} has no facets; declare it as keyword, integer or bool in the catalog's indexed attributes."
        )

    def _update(self, operation: qdrant.UpdateOperation) -> None:
        with _translated():
            self._shard.update(operation)

    def _retrieve(
        self, product_ids: Sequence[str], payload: bool | list[str], vectors: bool
    ) -> dict[str, qdrant.Record]:
        ids = [point_id(product_id) for product_id in product_ids]
        with _translated():
            records = self._shard.retrieve([*ids], with_payload=payload, with_vector=vectors)
        return {str(record.id): record for record in records}

    def _scroll(
        self, after: str | None, limit: int, filter: qdrant.Filter, vectors: bool
    ) -> tuple[list[qdrant.Record], str | None]:
        request = qdrant.ScrollRequest(offset=after, limit=limit, filter=filter, with_payload=True, with_vector=vectors)
        with _translated():
            records, cursor = self._shard.scroll(request)
        return records, None if cursor is None else str(cursor)


def _pages(length: int) -> Iterator[slice]:
    """The library holds the interpreter while it works, so it gets its work in portions."""
    return (slice(start, start + _PAGE) for start in range(0, length, _PAGE))


def _done(move: Move, point: Point | None) -> bool:
    return point is not None and point.version == move.version and move.image in (None, point.image)


def _checked_cursor(cursor: str | None) -> str | None:
    if cursor is None:
        return None
    with suppress(ValueError):
        if cursor == str(uuid.UUID(cursor)):
            return cursor
    raise InvalidInput(f"The cursor {cursor[:80]!r} is none that this catalog gave out; start again without one.")


@contextmanager
def _translated(translate: Callable[[str], LookalikeError] | None = None) -> Iterator[None]:
    """Gives a name to what the library raises as bare `Exception`; a narrower one is a mistake of ours."""
    try:
        yield
    except Exception as error:
        if type(error) is not Exception:
            raise
        reason = str(error)
        raise (translate or _unavailable)(reason) from error


def _unavailable(reason: str) -> LookalikeError:
    return IndexUnavailable(f"The index does not answer: {reason}.")


def _not_opened(path: Path, dim: int, reason: str) -> LookalikeError:
    if "WouldBlock" in reason:
        return DataLocked(f"The index in {path} is open in another process; stop that one first.")
    if found := re.search(r"expected vector size \d+, but got (\d+)", reason):
        return DataCorrupt(f"The index in {path} holds vectors of {found[1]} numbers, not of {dim}.")
    if "Permission denied" in reason or "Read-only" in reason:
        return DataNotWritable(f"The index in {path} may not be written: {reason}.")
    return DataCorrupt(f"The index in {path} cannot be opened; restore it from a backup. ({reason})")
