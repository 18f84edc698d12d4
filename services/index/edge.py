"""The vector index in this process: Qdrant Edge, one shard in one folder."""

import math
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import qdrant_edge as qdrant

from services.descriptions import AttributeKind, Quantization
from services.errors import DataNotWritable
from services.index import edge_filters, edge_order, edge_points, field_indexes, payload
from services.index.edge_fields import EdgeFields, create_own
from services.index.edge_folder import ShardFolder
from services.index.edge_graph import GraphBuilder
from services.index.edge_shard import LiveShard, Shard
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
from services.paging import paginate
from services.query.filters import Filter, checked_keys
from services.records import AttributeUpdate, Facet, Graph, Neighbor, OtherKinds, Point, Revision, Tombstone, Vector

FLUSH_SECONDS = 5.0
"""Seconds of writes that the log may hold to replay: Qdrant's default (storage.performance.flush_interval_sec)."""

_PAGE = 1000
_AT_ONCE = 8
"""Vectors that are searched for at once. A scan reads what is stored once for all of them: at 20,000 products of 2,048
numbers each takes 8 ms of a processor instead of 26 (`bench/together.py`). More would hold up other threads."""
_SEARCHES = 101
"""Searches of which `graph` tells the median seconds."""


class EdgeIndex:
    """`VectorIndex` in a folder that only one process at a time may open.

    Search is exact until `optimize` builds the graph; points written after that are searched exactly beside it.
    """

    def __init__(
        self, folder: ShardFolder, shard: Shard, dim: int, quantization: Quantization, flush_seconds: float
    ) -> None:
        self.dim = dim
        self._quantization: Quantization = quantization
        self._folder = folder
        self._live = LiveShard(shard)
        self._flush_seconds = flush_seconds
        # So the first flush is a full one: otherwise a series of short-lived processes would let the log grow.
        self._flushed = -math.inf
        # A write is read back to learn its outcome; no other write may come in between.
        self._writing = threading.RLock()
        self._fields = EdgeFields(self._schema, self._update)
        config = edge_points.config(dim, quantization)
        self._builder = GraphBuilder(folder, self._live, self._writing, config, self.max_version)
        self._seconds: deque[float] = deque(maxlen=_SEARCHES)

    @classmethod
    def open(
        cls, path: Path, dim: int, quantization: Quantization = "none", *, flush_seconds: float = FLUSH_SECONDS
    ) -> Self:
        """Opens the index in the folder `path`; creates it if it is missing or incomplete.

        `flush_seconds` bounds the log: it holds at most that many seconds of writes to replay.

        Raises `DataLocked` if it is open in another process, `DataCorrupt` if it is damaged or of another dimension,
        `DataNotWritable` if the folder cannot be written to.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataNotWritable(f"The index folder {path} cannot be created: {error.strerror}.") from error
        folder = ShardFolder(path)
        index = cls(
            folder, Shard.load(folder.shard, edge_points.config(dim, quantization)), dim, quantization, flush_seconds
        )
        # Of a build that was killed. Not earlier: now no other process has the index.
        folder.tidy()
        create_own(index._update)
        return index

    def upsert(self, points: Sequence[Point | Tombstone]) -> list[bool]:
        newest = {point.product_id: point for point in sorted(points, key=lambda point: point.version)}
        written = [edge_points.written(point, self.dim) for point in newest.values()]
        guards = [edge_filters.older(id, point.version) for id, point in newest.items()]
        with self._writing:
            self._builder.note(newest)
            field_indexes.admit(self._fields, [point.attributes for point in points if isinstance(point, Point)])
            for page in _pages(len(written)):
                # Points that are not stored yet are inserted; the condition applies to stored ones only.
                guard = qdrant.Filter(should=[*guards[page]])
                self._update(qdrant.UpdateOperation.upsert_points(written[page], guard))
            stored = self.versions([point.product_id for point in points])
        return [point.version == version for point, version in zip(points, stored, strict=True)]

    def update_attributes(self, updates: Sequence[AttributeUpdate]) -> list[bool]:
        with self._writing:
            self._builder.note(update.product_id for update in updates)
            field_indexes.admit(self._fields, [update.attributes for update in updates])
            for update in updates:
                guard = edge_filters.updatable(update)
                self._update(qdrant.UpdateOperation.set_payload_by_filter(guard, payload.updated(update)))
            stored = self.get([update.product_id for update in updates])
        return [done(update, point) for update, point in zip(updates, stored, strict=True)]

    def revise(self, revisions: Sequence[Revision]) -> list[bool]:
        with self._writing:
            self._builder.note(revision.point.product_id for revision in revisions)
            there = self.get([revision.point.product_id for revision in revisions])
            for revision in [each for each, stored in zip(revisions, there, strict=True) if revisable(each, stored)]:
                point = edge_points.written(revision.point, self.dim)
                self._update(qdrant.UpdateOperation.upsert_points([point]))
            there = self.get([revision.point.product_id for revision in revisions])
        return [stored is not None and holds(each, stored) for each, stored in zip(revisions, there, strict=True)]

    def get(self, product_ids: Sequence[str], *, vectors: bool = False) -> list[Point | None]:
        found = self._retrieve(product_ids, True, vectors)
        records = [found.get(point_id(product_id)) for product_id in product_ids]
        return [
            _point(record) if record and "removed_at" not in edge_points.stored(record) else None for record in records
        ]

    def versions(self, product_ids: Sequence[str]) -> list[int | None]:
        found = self._retrieve(product_ids, ["version"], False)
        records = [found.get(point_id(product_id)) for product_id in product_ids]
        return [edge_points.stored(record)["version"] if record else None for record in records]

    def scroll(
        self, *, after: str | None = None, limit: int = 100, filter: Filter | None = None, vectors: bool = False
    ) -> tuple[list[Point], str | None]:
        records, cursor = self._scroll(checked_cursor(after), limit, edge_filters.alive(filter), vectors)
        return [_point(record) for record in records], cursor

    def ordered(
        self, order: NumberOrder, *, limit: int = 100, filter: Filter | None = None
    ) -> list[tuple[float, Point]]:
        found = edge_order.ordered(self._shard, self._fields.built, order, limit, edge_filters.alive(filter))
        return [(number, _point(record)) for number, record in found]

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
        wanted = checked_vector(vector, self.dim)
        passing = edge_filters.alive(filter, exclude)
        began = time.perf_counter()
        with self._shard() as shard:
            params = edge_points.search_params(shard, self.dim, self._quantization, passing if filter else None)
            hits = shard.query(edge_points.nearest(wanted, passing, params, limit, offset, min_score))
        self._seconds.append(time.perf_counter() - began)
        return edge_points.neighbors(hits)

    def search_each(
        self, vectors: Sequence[Vector], *, limit: int = 10, min_score: float | None = None, exclude: Sequence[str] = ()
    ) -> list[list[Neighbor]]:
        wanted = [checked_vector(vector, self.dim) for vector in vectors]
        passing, params = edge_filters.alive(exclude=exclude), edge_points.each_params(self._quantization)
        queries = [edge_points.nearest(vector, passing, params, limit, 0, min_score) for vector in wanted]
        if not queries:
            return []
        # The first alone, as it tells what a search costs: by that a graph becomes due, whoever searches.
        began = time.perf_counter()
        found = self._asked(queries[:1])
        self._seconds.append(time.perf_counter() - began)
        for page in _pages(len(queries) - 1, _AT_ONCE):
            found += self._asked(queries[1:][page])
        return [edge_points.neighbors(hits) for hits in found]

    def count(self, filter: Filter | None = None) -> int:
        with self._shard() as shard:
            return shard.count(qdrant.CountRequest(exact=True, filter=edge_filters.alive(filter)))

    def facets(self, attribute: str, *, limit: int = 10, filter: Filter | None = None) -> list[Facet]:
        if not field_indexes.faceted(self._fields.built(), attribute):
            raise no_facets(attribute)
        key = edge_filters.key(attribute)
        request = qdrant.FacetRequest(key, limit=limit, exact=True, filter=edge_filters.alive(filter))
        with self._shard() as shard:
            return [Facet(hit.value, hit.count) for hit in shard.facet(request).hits]

    def declare(self, attributes: Mapping[str, AttributeKind]) -> dict[str, OtherKinds]:
        checked_keys(attributes)
        return field_indexes.declare(self._fields, attributes, self.scroll, self._writing)

    def max_version(self) -> int:
        newest = qdrant.OrderBy("version", qdrant.Direction.Desc)
        request = qdrant.ScrollRequest(limit=1, order_by=newest, with_payload=["version"], with_vector=False)
        with self._shard() as shard:
            records, _ = shard.scroll(request)
        return max((edge_points.stored(record)["version"] for record in records), default=0)

    def tombstones(self, *, before: float) -> Iterator[Tombstone]:
        records = paginate(lambda cursor: self._scroll(cursor, _PAGE, edge_filters.removed(before), False))
        return (Tombstone(**edge_points.stored(record)) for record in records)

    def purge(self, tombstones: Sequence[Tombstone]) -> None:
        for page in _pages(len(tombstones)):
            still = qdrant.Filter(should=[edge_filters.still(tombstone) for tombstone in tombstones[page]])
            with self._writing:
                self._builder.note(tombstone.product_id for tombstone in tombstones[page])
                self._update(qdrant.UpdateOperation.delete_points_by_filter(still))

    def graph(self) -> Graph:
        """See `VectorIndex`. A product whose newer version came before an older one of others may count as indexed."""
        vectors = self.count()
        with self._shard() as shard:
            # Vectors that have been replaced or removed since then count here, too.
            indexed = shard.info().indexed_vectors_count
            if indexed and self._folder.graph_version is not None:
                old = edge_filters.alive_until(self._folder.graph_version)
                indexed = shard.count(qdrant.CountRequest(exact=True, filter=old))
        seconds = self._seconds.copy()
        return Graph(vectors, min(indexed, vectors), statistics.median(seconds) if seconds else None)

    def optimize(self, *, check_space: Callable[[int], None] = anything, canceled: Callable[[], bool] = never) -> bool:
        if built := self._builder.build(check_space, canceled):
            self._seconds.clear()
        return built

    def flush(self) -> None:
        # Syncing the write-ahead log is enough: it is replayed when the index is opened. A full flush takes the library
        # some forty syncs, during which it holds the GIL.
        with self._live.use() as shard:
            shard.sync_log()
            # A power cut would take the log away with the switch to its shard.
            self._folder.sync()
            if time.monotonic() - self._flushed > self._flush_seconds:
                self._flushed = time.monotonic()
                # Not while the shard's files are copied.
                with self._writing:
                    shard.edge.flush()

    def close(self) -> None:
        self._builder.stop()
        self._live.close()

    def _asked(self, queries: list[qdrant.QueryRequest]) -> list[list[qdrant.ScoredPoint]]:
        with self._shard() as shard:
            return shard.query_batch(qdrant.QueryBatchRequest(queries))

    @contextmanager
    def _shard(self) -> Iterator[qdrant.EdgeShard]:
        """Yields the shard, which stays open until the block ends."""
        with self._live.use() as shard:
            yield shard.edge

    def _schema(self) -> Mapping[str, Any]:
        with self._shard() as shard:
            return shard.info().payload_schema

    def _update(self, operation: qdrant.UpdateOperation) -> None:
        # Field indexes are also declared while no write is in progress.
        with self._writing, self._shard() as shard:
            shard.update(operation)

    def _retrieve(
        self, product_ids: Sequence[str], payload: bool | list[str], vectors: bool
    ) -> dict[str, qdrant.Record]:
        ids = [point_id(product_id) for product_id in product_ids]
        with self._shard() as shard:
            records = shard.retrieve([*ids], with_payload=payload, with_vector=vectors)
        return {str(record.id): record for record in records}

    def _scroll(
        self, after: str | None, limit: int, filter: qdrant.Filter, vectors: bool
    ) -> tuple[list[qdrant.Record], str | None]:
        request = qdrant.ScrollRequest(offset=after, limit=limit, filter=filter, with_payload=True, with_vector=vectors)
        with self._shard() as shard:
            records, cursor = shard.scroll(request)
        return records, None if cursor is None else str(cursor)


def _pages(length: int, size: int = _PAGE) -> Iterator[slice]:
    """Slices of limited length: the library holds the GIL during a call, so large calls are split."""
    return (slice(start, start + size) for start in range(0, length, size))


def _point(record: qdrant.Record) -> Point:
    return payload.point(edge_points.stored(record), record.vector)
