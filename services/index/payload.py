"""What both indexes of Qdrant keep beside a vector: as the payload, the other fields of `Point`.

A tombstone is a point without a vector, whose payload has `removed_at`.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from services.records import AttributeKind, Neighbor, Point, Quantization, Tombstone

# Named, so that other vectors of a product can be added beside it without writing it anew.
VECTOR = "image"

OVERSAMPLING: Mapping[Quantization, float] = {"scalar": 2.0, "turbo": 4.0}
"""How many times the neighbors asked for are fetched by compressed vectors and ranked again by the whole ones. With
4-bit TurboQuant recall@10 is 0.97 without and 1.00 with fourfold (measured at 50,000 x 2048)."""

FILTERED_EF = 256
"""How many candidates a walk over the graph keeps where a filter is given. Products that pass are not all linked with
each other: at Qdrant's 100, 2% of questions with a range of prices found nearly nothing right, at 256 none did
(recall@10 0.977 and 0.999 at 30,000 x 2048, for half a millisecond more)."""

FACETED = (AttributeKind.KEYWORD, AttributeKind.INTEGER, AttributeKind.BOOL)


def payload(point: Point | Tombstone) -> dict[str, Any]:
    if isinstance(point, Tombstone):
        return asdict(point)
    return {
        "product_id": point.product_id,
        "version": point.version,
        "norm": point.norm,
        "attributes": dict(point.attributes),
        "image": point.image,
    }


def point(payload: Mapping[str, Any], vectors: Any) -> Point:
    """`vectors`: those of the stored point by name, or nothing where they were not asked for."""
    vector = np.asarray(vectors[VECTOR], dtype=np.float32) if vectors else None
    return Point(**payload, vector=vector)


def neighbor(payload: Mapping[str, Any], score: float) -> Neighbor:
    return Neighbor(payload["product_id"], score, payload["attributes"])


def threshold(min_score: float) -> float:
    """Qdrant answers with scores above a threshold, and we with those from `min_score` up."""
    return float(np.nextafter(np.float32(min_score), np.float32(-np.inf)))
