"""A catalog: products by ID, and what looks like what."""

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Self, TypedDict, Unpack

import numpy as np

from services.attributes import checked_attributes, merged
from services.encoders.encoder import Encoder
from services.encoders.weights import trained
from services.errors import (
    EncoderMismatch,
    ImageFeatureless,
    InvalidInput,
    InvalidVector,
    LookalikeError,
    MediaNotFound,
    ProductNotFound,
)
from services.filters import Filter
from services.images import Decoder
from services.index.vector_index import VectorIndex
from services.media import Media
from services.pipeline import Pipeline, failed, normalized, written
from services.product_id import checked_product_id
from services.records import (
    AttributeKind,
    Attributes,
    CatalogSpec,
    Embedding,
    Facet,
    Move,
    Neighbor,
    Outcome,
    Pixels,
    Point,
    Product,
    Put,
    Tombstone,
    Vector,
    Vectors,
)

MAX_LIMIT = 1000


class SearchOptions(TypedDict, total=False):
    """What every search takes: `limit` 1..1000 (10), `offset` (0), `filter` (none), `min_score` -1..1 (none)."""

    limit: int
    offset: int
    filter: Filter | None
    min_score: float | None


class Catalog:
    """Products, their looks and their attributes.

    What encodes is loaded when an image first needs it: reading and `neighbors` never do.
    """

    def __init__(
        self,
        spec: CatalogSpec,
        index: VectorIndex,
        media: Media,
        decoder: Decoder,
        *,
        input_size: int,
        encoder: Callable[[], Encoder],
        save: Callable[[CatalogSpec], None],
        check_space: Callable[[int], None],
        batch_size: int,
        max_image_bytes: int,
    ) -> None:
        self.spec = spec
        self._index = index
        self._media = media
        self._decoder = decoder
        self._size = input_size
        self._new_encoder = encoder
        self._save = save
        self._check_space = check_space
        self._batch_size = batch_size
        self.max_image_bytes = max_image_bytes

    @property
    def trained(self) -> bool:
        """False where the vectors came out of random weights and so mean nothing."""
        return trained(self.spec.weights)

    def put(self, puts: Iterable[Put]) -> Iterator[Outcome]:
        """Sets products: a stream in, an outcome for each out, in the order in which they are done.

        A product whose image is the stored one is not encoded again. A bad image is a failed outcome. Raises what
        concerns the whole run (`EncoderError`s, `EncoderMismatch`, `DataFull`, `IndexUnavailable`); what was done by
        then stays done.
        """
        return Pipeline(
            self._index,
            self._media,
            decode=lambda data: self._decoder.submit(data, self._size, self.spec.resample),
            load_encoder=self.load_encoder,
            encode=self._encode,
            next_version=self._next_version,
            check_space=self._check_space,
            batch_size=self._batch_size,
            max_image_bytes=self.max_image_bytes,
        ).run(puts)

    def put_embeddings(self, embeddings: Iterable[Embedding]) -> Iterator[Outcome]:
        """Sets products whose features are known already; nothing is encoded."""
        stream = iter(embeddings)
        while chunk := list(itertools.islice(stream, self._batch_size)):
            self._check_space(0)
            sound = []
            for embedding in chunk:
                try:
                    checked_product_id(embedding.product_id)
                    sound.append(embedding)
                except LookalikeError as error:
                    yield failed(embedding.product_id, error)
            stored = self._index.get([embedding.product_id for embedding in sound])
            points: list[Point | Tombstone] = []
            for embedding, point in zip(sound, stored, strict=True):
                try:
                    points.append(self._embedded(embedding, point))
                except LookalikeError as error:
                    yield failed(embedding.product_id, error)
            yield from written(self._index, points)

    def embeddings(self) -> Iterator[Embedding]:
        """Raw features, attributes and image hash of every product."""
        cursor: str | None = None
        while True:
            points, cursor = self._index.scroll(after=cursor, limit=self._batch_size, vectors=True)
            for point in points:
                assert point.vector is not None, "asked for with vectors=True"
                features = point.vector * np.float32(point.norm)
                yield Embedding(point.product_id, features, point.attributes, point.image)
            if cursor is None:
                return

    def load_encoder(self) -> None:
        """Loads the encoder now. Raises `EncoderError`s, `EncoderMismatch`."""
        self._encode(np.empty((0, self._size, self._size, 3), np.uint8))

    def patch(self, product_id: str, attributes: Attributes) -> Product:
        """Changes some attributes: JSON Merge Patch (RFC 7396), so None removes one.

        Raises `ProductNotFound`, `InvalidAttributes`.
        """
        moved = [False]
        while moved == [False]:  # another change came in between
            new = merged(self._point(product_id).attributes, attributes)
            moved = self._index.move([Move(product_id, self._next_version(), new)])
        self._index.flush()
        return self.get(product_id)

    def remove(self, product_ids: Sequence[str]) -> list[Outcome]:
        """Removes products; one that is not there is a failed outcome. Raises `InvalidProductID`."""
        now = time.time()
        product_ids = [checked_product_id(each) for each in dict.fromkeys(product_ids)]
        stored = self._index.get(product_ids)
        gone: list[Point | Tombstone] = [
            Tombstone(point.product_id, self._next_version(), now) for point in stored if point
        ]
        missing = [product_id for product_id, point in zip(product_ids, stored, strict=True) if not point]
        return written(self._index, gone) + [failed(each, self._not_found(each)) for each in missing]

    def get(self, product_id: str) -> Product:
        """Raises `ProductNotFound`."""
        return _product(self._point(product_id))

    def scroll(
        self, *, after: str | None = None, limit: int = 100, filter: Filter | None = None
    ) -> tuple[list[Product], str | None]:
        """The next products in an order of the index's own, and the cursor that goes on (None: that was all)."""
        points, cursor = self._index.scroll(after=after, limit=_checked_limit(limit), filter=filter)
        return [_product(point) for point in points], cursor

    def search(self, vector: Vector, **options: Unpack[SearchOptions]) -> list[Neighbor]:
        """The products nearest to a vector (dim,) of any length, best first.

        Raises `InvalidVector`, `InvalidInput`.
        """
        return self._search(vector, (), **options)

    def search_image(self, image: bytes, **options: Unpack[SearchOptions]) -> list[Neighbor]:
        """The products that look most like a picture, best first.

        Raises `ImageError`s, `EncoderError`s, `EncoderMismatch`, `InvalidInput`.
        """
        pixels = self._decoder.submit(image, self._size, self.spec.resample)
        self.load_encoder()
        vector, _ = normalized(self._encode(pixels.result()[np.newaxis])[0])
        return self._search(vector, (), **options)

    def neighbors(self, product_id: str, **options: Unpack[SearchOptions]) -> list[Neighbor]:
        """The products that look most like one of the catalog, best first, without itself.

        Raises `ProductNotFound`, `InvalidInput`.
        """
        vector = self._point(product_id, vectors=True).vector
        assert vector is not None, "asked for with vectors=True"
        return self._search(vector, (product_id,), **options)

    def image(self, product_id: str) -> bytes:
        """The original image. Raises `ProductNotFound`, and `MediaNotFound` where it was not kept."""
        return self._media.get(self._image_hash(product_id))

    def thumbnail(self, product_id: str) -> bytes:
        """A WebP of the image whose longer side has 320 pixels, made at the first request.

        Raises `ProductNotFound`, `MediaNotFound`, `ImageError`s.
        """
        return self._media.thumbnail(self._image_hash(product_id), self.thumbnail_of)

    def thumbnail_of(self, image: bytes) -> bytes:
        """The same of a picture that is in no catalog. Raises `ImageError`s."""
        return self._decoder.submit_thumbnail(image).result()

    def count(self, filter: Filter | None = None) -> int:
        """How many products there are."""
        return self._index.count(filter)

    def facets(self, attribute: str, *, limit: int = 10, filter: Filter | None = None) -> list[Facet]:
        """The most frequent values of an indexed attribute. Raises `AttributeNotIndexed`."""
        return self._index.facets(attribute, limit=_checked_limit(limit), filter=filter)

    def declare(self, attributes: Mapping[str, AttributeKind]) -> None:
        """Indexes attributes, so that filters on them are fast and they have facets."""
        self._index.declare(attributes)
        self.spec = replace(self.spec, indexed_attributes={**self.spec.indexed_attributes, **attributes})
        self._save(self.spec)

    def optimize(self) -> bool:
        """Builds the search graph; True if there was work. Blocks the whole process."""
        done = self._index.optimize()
        self._index.flush()
        return done

    def close(self) -> None:
        """Ends the children and the encoder's threads, and lets go of the index."""
        self._decoder.close()
        if "_encoder" in self.__dict__:
            self._encoder.close()
        self._index.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _search(self, vector: Vector, exclude: Sequence[str], **options: Unpack[SearchOptions]) -> list[Neighbor]:
        limit = _checked_limit(options.get("limit", 10))
        offset = options.get("offset", 0)
        if offset < 0:
            raise InvalidInput(f"The offset {offset} is refused; it starts at 0.")
        min_score = options.get("min_score")
        if min_score is not None and not -1 <= min_score <= 1:
            raise InvalidInput(f"The lowest score {min_score} is refused; it goes from -1 to 1.")
        return self._index.search(
            self._direction(vector),
            limit=limit,
            offset=offset,
            filter=options.get("filter"),
            min_score=min_score,
            exclude=exclude,
        )

    def _direction(self, vector: Vector) -> Vector:
        if vector.shape != (self.spec.dim,):
            raise InvalidVector(f"The vector has {vector.size} numbers; catalog {self.spec.name} has {self.spec.dim}.")
        try:
            return normalized(vector)[0]
        except ImageFeatureless:
            raise InvalidVector("The vector is all zeros or not finite, so it points nowhere; give another.") from None

    @cached_property
    def _encoder(self) -> Encoder:
        encoder = self._new_encoder()
        check_fingerprint(self.spec, encoder)
        if self.spec.fingerprint is None:
            self.spec = replace(self.spec, fingerprint=encoder.fingerprint)
            self._save(self.spec)
        return encoder

    def _encode(self, pixels: Pixels) -> Vectors:
        return self._encoder.encode(pixels)

    @cached_property
    def _versions(self) -> Iterator[int]:
        return itertools.count(self._index.max_version() + 1)

    def _next_version(self) -> int:
        return next(self._versions)

    def _point(self, product_id: str, *, vectors: bool = False) -> Point:
        [point] = self._index.get([checked_product_id(product_id)], vectors=vectors)
        if point is None:
            raise self._not_found(product_id)
        return point

    def _image_hash(self, product_id: str) -> str:
        image = self._point(product_id).image
        if image is None:
            raise MediaNotFound(f"Product {product_id!r} was imported without its image; index the image to have it.")
        return image

    def _not_found(self, product_id: str) -> ProductNotFound:
        return ProductNotFound(
            f"There is no product {product_id!r} in catalog {self.spec.name}; `lookalike show` lists what there is."
        )

    def _embedded(self, embedding: Embedding, stored: Point | None) -> Point:
        vector = np.asarray(embedding.features, np.float32)
        if vector.shape != (self.spec.dim,):
            raise InvalidVector(
                f"The features have {vector.size} numbers; catalog {self.spec.name} takes {self.spec.dim}."
            )
        direction, norm = normalized(vector)
        attributes = embedding.attributes
        if attributes is None:
            attributes = stored.attributes if stored else {}
        return Point(
            embedding.product_id,
            self._next_version(),
            direction,
            norm,
            checked_attributes(attributes),
            embedding.image,
        )


def check_fingerprint(spec: CatalogSpec, encoder: Encoder) -> None:
    """Raises `EncoderMismatch` where a catalog's vectors come from another encoder."""
    if spec.fingerprint not in (None, encoder.fingerprint):
        raise EncoderMismatch(
            f"Catalog {spec.name} holds vectors of {spec.fingerprint}, and this encoder makes {encoder.fingerprint}: "
            "give the encoder and weights it was made with, or another --catalog."
        )


def _product(point: Point) -> Product:
    return Product(point.product_id, point.attributes, point.image, point.version, point.norm)


def _checked_limit(limit: int) -> int:
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidInput(f"The limit {limit} is refused; it goes from 1 to {MAX_LIMIT}.")
    return limit
