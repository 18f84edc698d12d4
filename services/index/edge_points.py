"""How Qdrant Edge keeps a product: a point with the vector and, as its payload, the other fields of `Point`.

A tombstone is a point without a vector, whose payload has `removed_at`.
"""

from dataclasses import asdict
from typing import Any

import numpy as np
import qdrant_edge as qdrant

from services.index.vector_index import checked_vector, point_id
from services.records import AttributeKind, Neighbor, Point, Tombstone

# Named, so that other vectors of a product can be added beside it without writing it anew.
VECTOR = "image"


def config(dim: int) -> qdrant.EdgeConfig:
    vector = qdrant.EdgeVectorParams(size=dim, distance=qdrant.Distance.Cosine)
    # In KB: a catalog of any size gets its graph when `optimize` is called, which alone optimizes.
    optimizers = qdrant.EdgeOptimizersConfig(indexing_threshold=1)
    return qdrant.EdgeConfig(vectors={VECTOR: vector}, optimizers=optimizers)


def schema(kind: AttributeKind) -> qdrant.PayloadSchemaType:
    return {
        AttributeKind.KEYWORD: qdrant.PayloadSchemaType.Keyword,
        AttributeKind.INTEGER: qdrant.PayloadSchemaType.Integer,
        AttributeKind.FLOAT: qdrant.PayloadSchemaType.Float,
        AttributeKind.BOOL: qdrant.PayloadSchemaType.Bool,
    }[kind]


def written(point: Point | Tombstone, dim: int) -> qdrant.Point:
    """Raises `InvalidVector`."""
    id = point_id(point.product_id)
    if isinstance(point, Tombstone):
        return qdrant.Point(id, {}, asdict(point))
    stored = {
        "product_id": point.product_id,
        "version": point.version,
        "norm": point.norm,
        "attributes": dict(point.attributes),
        "image": point.image,
    }
    return qdrant.Point(id, {VECTOR: checked_vector(point.vector, dim)}, stored)  # type: ignore[dict-item]


def point(record: qdrant.Record) -> Point:
    vectors: Any = record.vector
    vector = np.asarray(vectors[VECTOR], dtype=np.float32) if vectors else None
    return Point(**payload(record), vector=vector)


def neighbor(hit: qdrant.ScoredPoint) -> Neighbor:
    stored = payload(hit)
    return Neighbor(stored["product_id"], hit.score, stored["attributes"])


def payload(record: qdrant.Record | qdrant.ScoredPoint) -> dict[str, Any]:
    return record.payload or {}
