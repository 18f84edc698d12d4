"""Searches of a catalog."""

from collections.abc import Callable, Sequence
from typing import TypedDict, Unpack

import numpy as np

from services.catalog.features import normalized
from services.errors import ImageFeatureless, InvalidInput, InvalidVector
from services.index.vector_index import VectorIndex
from services.query.filters import Filter
from services.records import Neighbor, Pixels, Point, Vector, Vectors

MAX_LIMIT = 1000


class SearchOptions(TypedDict, total=False):
    """What every search takes: `limit` 1..1000 (10), `offset` (0), `filter` (none), `min_score` -1..1 (none)."""

    limit: int
    offset: int
    filter: Filter | None
    min_score: float | None


class Searcher:
    """Finds the products of one catalog that are nearest to a vector, an image or another product. Thread-safe.

    Args:
        index: Where the vectors are.
        catalog: The catalog's name, for error messages.
        decode: Decodes an image into the encoder's pixels.
        load_encoder: Loads the encoder, or raises why it does not belong to the catalog.
        encode: Pixels to raw features, before any batch that waits.
    """

    def __init__(
        self,
        index: VectorIndex,
        catalog: str,
        *,
        decode: Callable[[bytes], Pixels],
        load_encoder: Callable[[], None],
        encode: Callable[[Pixels], Vectors],
    ) -> None:
        self._index = index
        self._catalog = catalog
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
        limit = checked_limit(options.get("limit", 10))
        offset = options.get("offset", 0)
        if offset < 0:
            raise InvalidInput(f"The offset {offset} is refused; it starts at 0.")
        min_score = options.get("min_score")
        if min_score is not None and not -1 <= min_score <= 1:
            raise InvalidInput(f"The lowest score {min_score} is refused; it goes from -1 to 1.")
        return self._index.search(
            query, limit=limit, offset=offset, filter=options.get("filter"), min_score=min_score, exclude=exclude
        )


def checked_limit(limit: int) -> int:
    """The limit itself. Raises `InvalidInput` outside of 1..`MAX_LIMIT`."""
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidInput(f"The limit {limit} is refused; it goes from 1 to {MAX_LIMIT}.")
    return limit
