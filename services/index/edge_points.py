"""Conversion of points and settings to Qdrant Edge's types."""

from typing import Any

import qdrant_edge as qdrant

from services.index.payload import FILTERED_EF, OVERSAMPLING, VECTOR, payload
from services.index.vector_index import checked_vector, point_id
from services.records import Point, Quantization, Tombstone


def config(dim: int, quantization: Quantization) -> qdrant.EdgeConfig:
    vector = qdrant.EdgeVectorParams(
        size=dim,
        distance=qdrant.Distance.Cosine,
        quantization_config=_quantization(quantization),
        on_disk=quantization != "none",
    )
    # 1 KB: `optimize` builds the graph for a catalog of any size; nothing else starts optimization.
    optimizers = qdrant.EdgeOptimizersConfig(indexing_threshold=1)
    return qdrant.EdgeConfig(vectors={VECTOR: vector}, optimizers=optimizers)


def search_params(quantization: Quantization, *, filtered: bool) -> qdrant.SearchParams:
    rescored = None
    if quantization != "none":
        rescored = qdrant.QuantizationSearchParams(rescore=True, oversampling=OVERSAMPLING[quantization])
    return qdrant.SearchParams(hnsw_ef=FILTERED_EF if filtered else None, quantization=rescored)


def written(point: Point | Tombstone, dim: int) -> qdrant.Point:
    """The point as the library stores it. Raises `InvalidVector`."""
    vectors: Any = {} if isinstance(point, Tombstone) else {VECTOR: checked_vector(point.vector, dim)}
    return qdrant.Point(point_id(point.product_id), vectors, payload(point))


def stored(record: qdrant.Record | qdrant.ScoredPoint) -> dict[str, Any]:
    return record.payload or {}


def _quantization(quantization: Quantization) -> Any:
    # Compressed copies stay in memory; a search reads full vectors from disk only for the points it rescores.
    if quantization == "turbo":
        return qdrant.TurboQuantQuantizationConfig(bits=qdrant.TurboQuantBitSize.Bits4, always_ram=True)
    if quantization == "scalar":
        return qdrant.ScalarQuantizationConfig(qdrant.ScalarType.Int8, always_ram=True)
    return None
