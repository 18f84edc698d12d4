"""Conversion of points and settings to a Qdrant server's types."""

from typing import Any

from qdrant_client import models

from services.descriptions import Quantization
from services.index import payload, scan
from services.index.vector_index import checked_vector, point_id
from services.records import Neighbor, Point, Tombstone


def vectors_config(dim: int, quantization: Quantization) -> dict[str, models.VectorParams]:
    """Parameters of a new collection: with quantization, compressed vectors are in memory and full ones on disk."""
    scalar = models.ScalarQuantizationConfig(type=models.ScalarType.INT8, always_ram=True)
    turbo = models.TurboQuantQuantizationConfig(bits=models.TurboQuantBitSize.BITS4, always_ram=True)
    config: Any = {
        "none": None,
        "scalar": models.ScalarQuantization(scalar=scalar),
        "turbo": models.TurboQuantization(turbo=turbo),
    }[quantization]
    vector = models.VectorParams(
        size=dim,
        distance=models.Distance.COSINE,
        quantization_config=config,
        on_disk=quantization != "none",
        hnsw_config=models.HnswConfigDiff(full_scan_threshold=scan.FULL_SCAN_KB[quantization]),
    )
    return {payload.VECTOR: vector}


def search_params(quantization: Quantization, *, filtered: bool) -> models.SearchParams:
    rescored = _rescored(quantization)
    if not filtered:
        return models.SearchParams(quantization=rescored)
    acorn = models.AcornSearchParams(enable=True, max_selectivity=scan.ACORN_SHARE)
    return models.SearchParams(hnsw_ef=scan.CANDIDATES, quantization=rescored, acorn=acorn)


def _rescored(quantization: Quantization) -> models.QuantizationSearchParams | None:
    if quantization == "none":
        return None
    return models.QuantizationSearchParams(rescore=True, oversampling=payload.OVERSAMPLING[quantization])


def each_params(quantization: Quantization) -> models.SearchParams:
    """How to search for each of many vectors."""
    return models.SearchParams(hnsw_ef=scan.NEAREST, quantization=_rescored(quantization))


def written(point: Point | Tombstone, dim: int) -> models.PointStruct:
    """The point as Qdrant stores it. Raises `InvalidVector`."""
    vectors: Any = {} if isinstance(point, Tombstone) else {payload.VECTOR: checked_vector(point.vector, dim).tolist()}
    return models.PointStruct(id=point_id(point.product_id), vector=vectors, payload=payload.payload(point))


def stored(record: models.Record | models.ScoredPoint) -> dict[str, Any]:
    return record.payload or {}


def neighbors(answer: models.QueryResponse) -> list[Neighbor]:
    return [payload.neighbor(stored(hit), hit.score) for hit in answer.points]


def point(record: models.Record) -> Point:
    return payload.point(stored(record), record.vector)
