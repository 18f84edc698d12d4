"""The vector index on a Qdrant server, which other processes may use at the same time."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from qdrant_client import models

from services.descriptions import AttributeKind, Quantization
from services.errors import IndexUnavailable
from services.index import field_indexes, payload, server_filters, server_order, server_points
from services.index.client import WRITE_SECONDS, Client
from services.index.number_order import NumberOrder
from services.index.server_fields import ServerFields
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

_PAGE = 1000
_AT_ONCE = 64
"""Vectors that one request searches for: some 3 MB as JSON."""
_WRITE_PAGE = 250
"""Points in one write: a vector of 2,048 numbers is 43 kB as JSON, and Qdrant accepts requests of up to 32 MB."""

# All writes of a product go through one replica, so that the condition of a write sees the writes before it.
_READ = models.ReadConsistencyType.MAJORITY
_WRITE: dict[str, Any] = {"ordering": models.WriteOrdering.MEDIUM, "timeout": WRITE_SECONDS}


class ServerIndex:
    """`VectorIndex` on one collection of a Qdrant server.

    The collection must exist; after it is removed, calls raise `CatalogNotFound`. Search is exact until the server
    has built its graph, which it does by itself. With replicas, writes are read back from a majority of them.
    """

    def __init__(
        self,
        client: Client,
        collection: str,
        *,
        catalog: str,
        dim: int,
        quantization: Quantization = "none",
    ) -> None:
        self.dim = dim
        self.collection = collection
        self._client = client
        self._catalog = catalog
        self._quantization: Quantization = quantization
        self._closed = threading.Event()
        self._fields = ServerFields(self._call, _WRITE)

    def upsert(self, points: Sequence[Point | Tombstone]) -> list[bool]:
        newest = {point.product_id: point for point in sorted(points, key=lambda point: point.version)}
        written = [server_points.written(point, self.dim) for point in newest.values()]
        # Points that are not stored yet are inserted; the condition applies to stored ones only.
        guards = [server_filters.older({id: point.version}) for id, point in newest.items()]
        field_indexes.admit(self._fields, [point.attributes for point in points if isinstance(point, Point)])
        for page in _pages(len(written), _WRITE_PAGE):
            self._call("upsert", written[page], update_filter=models.Filter(should=[*guards[page]]), **_WRITE)
        stored = self.versions([point.product_id for point in points])
        return [_applied(point, version) for point, version in zip(points, stored, strict=True)]

    def update_attributes(self, updates: Sequence[AttributeUpdate]) -> list[bool]:
        operations: list[models.UpdateOperation] = [
            models.SetPayloadOperation(
                set_payload=models.SetPayload(
                    payload=payload.updated(update),
                    filter=server_filters.updatable(update),
                )
            )
            for update in updates
        ]
        if operations:
            field_indexes.admit(self._fields, [update.attributes for update in updates])
            self._call("batch_update_points", operations, **_WRITE)
        stored = self.get([update.product_id for update in updates])
        return [done(update, point) for update, point in zip(updates, stored, strict=True)]

    def revise(self, revisions: Sequence[Revision]) -> list[bool]:
        there = self.get([revision.point.product_id for revision in revisions])
        due = [each for each, stored in zip(revisions, there, strict=True) if revisable(each, stored)]
        for page in _pages(len(due), _WRITE_PAGE):
            written = [server_points.written(each.point, self.dim) for each in due[page]]
            # One that is purged between the question and this is inserted: nobody purges what was there just now.
            guard = server_filters.revisable(due[page])
            self._call("upsert", written, update_filter=guard, **_WRITE)
        stored = self.get([revision.point.product_id for revision in revisions])
        return [point is not None and holds(each, point) for each, point in zip(revisions, stored, strict=True)]

    def get(self, product_ids: Sequence[str], *, vectors: bool = False) -> list[Point | None]:
        found = self._retrieve(product_ids, True, vectors)
        records = [found.get(point_id(product_id)) for product_id in product_ids]
        return [
            server_points.point(record)
            if record and server_filters.REMOVED not in server_points.stored(record)
            else None
            for record in records
        ]

    def versions(self, product_ids: Sequence[str]) -> list[int | None]:
        found = self._retrieve(product_ids, ["version"], False)
        records = [found.get(point_id(product_id)) for product_id in product_ids]
        return [server_points.stored(record)["version"] if record else None for record in records]

    def scroll(
        self, *, after: str | None = None, limit: int = 100, filter: Filter | None = None, vectors: bool = False
    ) -> tuple[list[Point], str | None]:
        records, cursor = self._scroll(checked_cursor(after), limit, server_filters.alive(filter), vectors)
        return [server_points.point(record) for record in records], cursor

    def ordered(
        self, order: NumberOrder, *, limit: int = 100, filter: Filter | None = None
    ) -> list[tuple[float, Point]]:
        found = server_order.ordered(self._call, self._fields.read, order, limit, server_filters.alive(filter))
        return [(number, server_points.point(record)) for number, record in found]

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
        nearest = checked_vector(vector, self.dim).tolist()
        answer = self._call(
            "query_points",
            nearest,
            using=payload.VECTOR,
            limit=limit,
            offset=offset,
            query_filter=server_filters.alive(filter, exclude),
            score_threshold=None if min_score is None else payload.threshold(min_score),
            with_payload=[*payload.NEIGHBOR],
            search_params=server_points.search_params(self._quantization, filtered=filter is not None),
        )
        return server_points.neighbors(answer)

    def search_each(
        self, vectors: Sequence[Vector], *, limit: int = 10, min_score: float | None = None, exclude: Sequence[str] = ()
    ) -> list[list[Neighbor]]:
        wanted = [checked_vector(vector, self.dim).tolist() for vector in vectors]
        shared: dict[str, Any] = {
            "using": payload.VECTOR,
            "limit": limit,
            "filter": server_filters.alive(exclude=exclude),
            "score_threshold": None if min_score is None else payload.threshold(min_score),
            "with_payload": [*payload.NEIGHBOR],
            "params": server_points.each_params(self._quantization),
        }
        found: list[list[Neighbor]] = []
        for page in _pages(len(wanted), _AT_ONCE):
            queries = [models.QueryRequest(query=vector, **shared) for vector in wanted[page]]
            found += map(server_points.neighbors, self._call("query_batch_points", queries))
        return found

    def count(self, filter: Filter | None = None) -> int:
        answer: models.CountResult = self._call("count", server_filters.alive(filter), exact=True)
        return answer.count

    def facets(self, attribute: str, *, limit: int = 10, filter: Filter | None = None) -> list[Facet]:
        if not field_indexes.faceted(self._fields.read(), attribute):
            raise no_facets(attribute)
        answer = self._call(
            "facet",
            server_filters.PREFIX + attribute,
            facet_filter=server_filters.alive(filter),
            limit=limit,
            exact=True,
        )
        return [Facet(hit.value, hit.count) for hit in answer.hits]

    def declare(self, attributes: Mapping[str, AttributeKind]) -> dict[str, OtherKinds]:
        """See `VectorIndex`. Until all products are read, filters may treat values of another kind as missing."""
        checked_keys(attributes)
        return field_indexes.declare(self._fields, attributes, self.scroll)

    def max_version(self) -> int:
        newest = models.OrderBy(key="version", direction=models.Direction.DESC)
        records, _ = self._call("scroll", limit=1, order_by=newest, with_payload=["version"])
        return max((server_points.stored(record)["version"] for record in records), default=0)

    def tombstones(self, *, before: float) -> Iterator[Tombstone]:
        records = paginate(lambda cursor: self._scroll(cursor, _PAGE, server_filters.removed(before), False))
        return (Tombstone(**server_points.stored(record)) for record in records)

    def purge(self, tombstones: Sequence[Tombstone]) -> None:
        for page in _pages(len(tombstones)):
            still = models.FilterSelector(filter=server_filters.still(tombstones[page]))
            self._call("delete", still, **_WRITE)

    def graph(self) -> Graph:
        vectors = self.count()
        return Graph(vectors, min(self._call("get_collection").indexed_vectors_count or 0, vectors))

    def optimize(self, *, check_space: Callable[[int], None] = anything, canceled: Callable[[], bool] = never) -> bool:
        """Does nothing: the server builds its graphs by itself."""
        return False

    def flush(self) -> None:
        """Does nothing: a write that the server has acknowledged is in its log."""

    def close(self) -> None:
        self._closed.set()

    def create_field_indexes(self) -> None:
        """Creates the payload indexes that every collection needs."""
        # Vector searches never filter by these, so the graph needs no links for them.
        self._index_field("version", models.IntegerIndexParams(type=models.IntegerIndexType.INTEGER, enable_hnsw=False))
        self._index_field(
            server_filters.REMOVED, models.FloatIndexParams(type=models.FloatIndexType.FLOAT, enable_hnsw=False)
        )

    def _index_field(self, key: str, schema: Any) -> None:
        self._call("create_payload_index", key, schema, **_WRITE)

    def _call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        if self._closed.is_set():
            raise IndexUnavailable("The index was closed: its catalog was removed, or the process ends.")
        return self._client.call(method, self.collection, *args, **kwargs)

    def _retrieve(
        self, product_ids: Sequence[str], fields: bool | list[str], vectors: bool
    ) -> dict[str, models.Record]:
        ids = [point_id(product_id) for product_id in product_ids]
        records = self._call("retrieve", ids, with_payload=fields, with_vectors=vectors, consistency=_READ)
        return {str(record.id): record for record in records}

    def _scroll(
        self, after: str | None, limit: int, filter: models.Filter, vectors: bool
    ) -> tuple[list[models.Record], str | None]:
        records, cursor = self._call(
            "scroll",
            scroll_filter=filter,
            limit=limit,
            offset=after,
            with_payload=True,
            with_vectors=vectors,
        )
        return records, None if cursor is None else str(cursor)


def _applied(point: Point | Tombstone, stored: int | None) -> bool:
    """Whether the version read back shows that a write was applied; others may have written and purged meanwhile."""
    if stored is None and isinstance(point, Tombstone):
        return True
    if stored is None or stored < point.version:
        raise IndexUnavailable(
            "Qdrant does not show a write that it acknowledged: a replica is behind; try again in a moment."
        )
    return stored == point.version


def _pages(length: int, size: int = _PAGE) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, length, size))
