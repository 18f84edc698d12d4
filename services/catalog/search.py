"""Searches of a catalog."""

from collections.abc import Callable, Sequence
from typing import TypedDict, Unpack

import numpy as np

from services.catalog.diffusion import CANDIDATES, order
from services.catalog.features import normalized
from services.descriptions import Features
from services.encoders.tuned.learned import weighted
from services.errors import ImageFeatureless, InvalidInput, InvalidVector
from services.index.vector_index import VectorIndex
from services.query.filters import Filter
from services.records import Neighbor, Pixels, Point, Vector, Vectors

MAX_LIMIT = 1000
MAX_COLOR_WEIGHT = 10


class SearchOptions(TypedDict, total=False):
    """What every search takes: `limit` 1..1000 (10), `offset` (0), `filter` (none), `min_score` -1..1 (none),
    `color_weight` 0..10 (1), by which the colors of a query are multiplied, and `rerank` (no), whether the first 50 are
    ranked again: see `services.catalog.diffusion`."""

    limit: int
    offset: int
    filter: Filter | None
    min_score: float | None
    color_weight: float | None
    rerank: bool


class Searcher:
    """Finds the products of one catalog that are nearest to a vector, an image or another product. Thread-safe.

    Args:
        index: Where the vectors are.
        catalog: The catalog's name, for error messages.
        features: Those of its vectors.
        decode: Decodes an image into the encoder's pixels.
        load_encoder: Loads the encoder, or raises why it does not belong to the catalog.
        encode: Pixels to raw features, before any batch that waits.
    """

    def __init__(
        self,
        index: VectorIndex,
        catalog: str,
        *,
        features: Features = "head",
        decode: Callable[[bytes], Pixels],
        load_encoder: Callable[[], None],
        encode: Callable[[Pixels], Vectors],
    ) -> None:
        self._index = index
        self._catalog = catalog
        self._features = features
        self._decode = decode
        self._load_encoder = load_encoder
        self._encode = encode

    def by_vector(self, vector: Vector, **options: Unpack[SearchOptions]) -> list[Neighbor]:
        """See `Catalog.search`."""
        return self._nearest(self._query_vector(vector), **options)

    def by_image(self, image: bytes, **options: Unpack[SearchOptions]) -> list[Neighbor]:
        """See `Catalog.search_image`."""
        pixels = self._decode(image)
        self._load_encoder()
        [features] = self._encode(pixels[np.newaxis])
        query, _ = normalized(features)
        return self._nearest(query, **options)

    def by_product(self, point: Point, **options: Unpack[SearchOptions]) -> list[Neighbor]:
        """See `Catalog.neighbors`; `point` has its vector."""
        assert point.vector is not None, "read with vectors=True"
        # Its length is one but for what float32 rounds, which must not show in the scores.
        return self._nearest(self._query_vector(point.vector), exclude=[point.product_id], **options)

    def _query_vector(self, vector: Vector) -> Vector:
        dim = self._index.dim
        if vector.shape != (dim,):
            raise InvalidVector(f"The vector has {vector.size} numbers; catalog {self._catalog} has {dim}.")
        try:
            return normalized(vector)[0]
        except ImageFeatureless:
            raise InvalidVector("The vector is all zeros or not finite, so it points nowhere; give another.") from None

    def _nearest(
        self, query: Vector, *, exclude: Sequence[str] = (), **options: Unpack[SearchOptions]
    ) -> list[Neighbor]:
        query = self._weighted(query, options.get("color_weight"))
        limit = checked_limit(options.get("limit", 10))
        offset = options.get("offset", 0)
        if offset < 0:
            raise InvalidInput(f"The offset {offset} is refused; it starts at 0.")
        min_score = checked_score(options.get("min_score"))
        passing = options.get("filter")
        if not options.get("rerank") or offset >= CANDIDATES:
            return self._index.search(
                query, limit=limit, offset=offset, filter=passing, min_score=min_score, exclude=exclude
            )
        # All that are ranked again, whatever page is asked for: each product is on one page.
        most = max(offset + limit, CANDIDATES)
        found = self._index.search(query, limit=most, filter=passing, min_score=min_score, exclude=exclude)
        return self._reranked(query, found)[offset : offset + limit]

    def _weighted(self, query: Vector, weight: float | None) -> Vector:
        """The query with its colors multiplied, of length one again."""
        weight = checked_weight(weight)
        if weight is None:
            return query
        if self._features != "tuned":
            raise InvalidInput(
                f"Catalog {self._catalog} has {self._features} features, in which colors are no part of their own: "
                "leave out color_weight, or build tuned features with `lookalike reindex --features tuned`."
            )
        return self._query_vector(weighted(query, weight))

    def _reranked(self, query: Vector, found: list[Neighbor]) -> list[Neighbor]:
        first = found[:CANDIDATES]
        points = self._index.get([each.product_id for each in first], vectors=True)
        vectors = {point.product_id: point.vector for point in points if point and point.vector is not None}
        there = [each for each in first if each.product_id in vectors]
        if not there:
            return found
        ranked = order(query, np.stack([vectors[each.product_id] for each in there]))
        # Those that were removed at this moment come last.
        gone = [each for each in first if each.product_id not in vectors]
        return [*(there[best] for best in ranked), *gone, *found[CANDIDATES:]]


def checked_score(score: float | None) -> float | None:
    """The lowest score itself. Raises `InvalidInput` outside of -1..1."""
    if score is not None and not -1 <= score <= 1:
        raise InvalidInput(f"The lowest score {score} is refused; it goes from -1 to 1.")
    return score


def checked_weight(weight: float | None) -> float | None:
    """The color weight itself. Raises `InvalidInput` outside of 0..`MAX_COLOR_WEIGHT`."""
    if weight is not None and not 0 <= weight <= MAX_COLOR_WEIGHT:
        raise InvalidInput(f"The color weight {weight} is refused; it goes from 0 to {MAX_COLOR_WEIGHT}.")
    return weight


def checked_limit(limit: int) -> int:
    """The limit itself. Raises `InvalidInput` outside of 1..`MAX_LIMIT`."""
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidInput(f"The limit {limit} is refused; it goes from 1 to {MAX_LIMIT}.")
    return limit
