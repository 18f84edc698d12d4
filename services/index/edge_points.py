"""Points as Qdrant Edge takes them."""

from typing import Any

import qdrant_edge as qdrant

from services.index.payload import FILTERED_EF, OVERSAMPLING, VECTOR, payload
from services.index.vector_index import checked_vector, point_id
from services.records import AttributeKind, Point, Quantization, Tombstone


def config(dim: int, quantization: Quantization) -> qdrant.EdgeConfig:
    vector = qdrant.EdgeVectorParams(
        size=dim,
        distance=qdrant.Distance.Cosine,
        quantization_config=_quantization(quantization),
        on_disk=quantization != "none",
    )
    # In KB: a catalog of any size gets its graph when `optimize` is called, which alone optimizes.
    optimizers = qdrant.EdgeOptimizersConfig(indexing_threshold=1)
    return qdrant.EdgeConfig(vectors={VECTOR: vector}, optimizers=optimizers)


def search_params(quantization: Quantization, *, filtered: bool) -> qdrant.SearchParams:
    rescored = None
    if quantization != "none":
        rescored = qdrant.QuantizationSearchParams(rescore=True, oversampling=OVERSAMPLING[quantization])
    return qdrant.SearchParams(hnsw_ef=FILTERED_EF if filtered else None, quantization=rescored)


def schema(kind: AttributeKind) -> qdrant.PayloadSchemaType:
    return {
        AttributeKind.KEYWORD: qdrant.PayloadSchemaType.Keyword,
        AttributeKind.INTEGER: qdrant.PayloadSchemaType.Integer,
        AttributeKind.FLOAT: qdrant.PayloadSchemaType.Float,
        AttributeKind.BOOL: qdrant.PayloadSchemaType.Bool,
    }[kind]


def written(point: Point | Tombstone, dim: int) -> qdrant.Point:
    """Raises `InvalidVector`."""
    vectors: Any = {} if isinstance(point, Tombstone) else {VECTOR: checked_vector(point.vector, dim)}
    return qdrant.Point(point_id(point.product_id), vectors, payload(point))


def stored(record: qdrant.Record | qdrant.ScoredPoint) -> dict[str, Any]:
    return record.payload or {}


def _quantization(quantization: Quantization) -> Any:
    # The copy stays in memory in place of the whole vectors, of which a search reads those it ranks again.
    if quantization == "turbo":
        return qdrant.TurboQuantQuantizationConfig(bits=qdrant.TurboQuantBitSize.Bits4, always_ram=True)
    if quantization == "scalar":
        return qdrant.ScalarQuantizationConfig(qdrant.ScalarType.Int8, always_ram=True)
    return None
