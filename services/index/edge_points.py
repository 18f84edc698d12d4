"""Conversion of points and settings to Qdrant Edge's types."""

from collections.abc import Sequence
from typing import Any

import qdrant_edge as qdrant

from services.descriptions import Quantization
from services.index import scan
from services.index.payload import NEIGHBOR, OVERSAMPLING, VECTOR, neighbor, payload, threshold
from services.index.vector_index import checked_vector, point_id
from services.records import Neighbor, Point, Tombstone, Vector


def config(dim: int, quantization: Quantization) -> qdrant.EdgeConfig:
    vector = qdrant.EdgeVectorParams(
        size=dim,
        distance=qdrant.Distance.Cosine,
        quantization_config=_quantization(quantization),
        on_disk=quantization != "none",
        hnsw_config=_graph(quantization),
    )
    # 1 KB: `optimize` builds the graph for a catalog of any size; nothing else starts optimization.
    optimizers = qdrant.EdgeOptimizersConfig(indexing_threshold=1)
    return qdrant.EdgeConfig(vectors={VECTOR: vector}, optimizers=optimizers)


def search_params(
    shard: qdrant.EdgeShard, dim: int, quantization: Quantization, passing: qdrant.Filter | None
) -> qdrant.SearchParams:
    """How to search: `passing` are the products that pass a filter, None where there is none."""
    rescored = _rescored(quantization)
    if passing is None:
        return qdrant.SearchParams(quantization=rescored)
    if quantization == "none":
        estimate = qdrant.CountRequest(exact=False, filter=passing)
        if scan.is_scanned(dim, shard.info().indexed_vectors_count, lambda: shard.count(estimate)):
            return qdrant.SearchParams(exact=True)
    acorn = qdrant.AcornSearchParams(enable=True, max_selectivity=scan.ACORN_SHARE)
    return qdrant.SearchParams(hnsw_ef=scan.CANDIDATES, quantization=rescored, acorn=acorn)


def each_params(quantization: Quantization) -> qdrant.SearchParams:
    """How to search for each of many vectors."""
    return qdrant.SearchParams(hnsw_ef=scan.NEAREST, quantization=_rescored(quantization))


def nearest(
    vector: Vector,
    passing: qdrant.Filter,
    params: qdrant.SearchParams,
    limit: int,
    offset: int,
    min_score: float | None,
) -> qdrant.QueryRequest:
    """The query for neighbors of a vector that `checked_vector` returned."""
    numbers: Any = vector
    return qdrant.QueryRequest(
        query=qdrant.Query.Nearest(numbers, using=VECTOR),
        limit=limit,
        offset=offset,
        filter=passing,
        score_threshold=None if min_score is None else threshold(min_score),
        with_payload=[*NEIGHBOR],
        with_vector=False,
        params=params,
    )


def neighbors(hits: Sequence[qdrant.ScoredPoint]) -> list[Neighbor]:
    return [neighbor(stored(hit), hit.score) for hit in hits]


def written(point: Point | Tombstone, dim: int) -> qdrant.Point:
    """The point as the library stores it. Raises `InvalidVector`."""
    vectors: Any = {} if isinstance(point, Tombstone) else {VECTOR: checked_vector(point.vector, dim)}
    return qdrant.Point(point_id(point.product_id), vectors, payload(point))


def stored(record: qdrant.Record | qdrant.ScoredPoint) -> dict[str, Any]:
    return record.payload or {}


def _rescored(quantization: Quantization) -> qdrant.QuantizationSearchParams | None:
    if quantization == "none":
        return None
    return qdrant.QuantizationSearchParams(rescore=True, oversampling=OVERSAMPLING[quantization])


def _graph(quantization: Quantization) -> qdrant.HnswIndexConfig | None:
    """Qdrant's defaults; with compressed vectors, what is scanned is for it to decide."""
    if quantization == "none":
        return None
    return qdrant.HnswIndexConfig(m=16, ef_construct=100, full_scan_threshold=scan.FULL_SCAN_KB[quantization])


def _quantization(quantization: Quantization) -> Any:
    # Compressed copies stay in memory; a search reads full vectors from disk only for the points it rescores.
    if quantization == "turbo":
        return qdrant.TurboQuantQuantizationConfig(bits=qdrant.TurboQuantBitSize.Bits4, always_ram=True)
    if quantization == "scalar":
        return qdrant.ScalarQuantizationConfig(qdrant.ScalarType.Int8, always_ram=True)
    return None
