"""Features that were made elsewhere: into an index, and out of it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import numpy as np

from services.attributes import checked_attributes
from services.catalog.features import normalized
from services.catalog.versions import Versions
from services.errors import InvalidVector, LookalikeError
from services.index.vector_index import VectorIndex
from services.kinds import Kinds
from services.names import checked_product_id
from services.paging import paginate
from services.records import Embedding, Outcome, Point, State, failed


def write_embeddings(
    index: VectorIndex,
    embeddings: Iterable[Embedding],
    versions: Versions,
    kinds: Callable[[], Kinds],
    *,
    batch_size: int,
    check_space: Callable[[int], None],
    written: Callable[[Sequence[str]], None],
) -> Iterator[Outcome]:
    """Sets products; the outcome of each is given when the write survives the process, and `written` was called with
    the IDs of its batch."""
    stream = iter(embeddings)
    while batch := list(islice(stream, batch_size)):
        check_space(0)
        sound = []
        for embedding in batch:
            try:
                checked_product_id(embedding.product_id)
                sound.append(embedding)
            except LookalikeError as error:
                yield failed(embedding.product_id, error)
        points = []
        declared = kinds()
        for embedding, stored in zip(sound, index.get([each.product_id for each in sound]), strict=True):
            try:
                points.append(_point(embedding, stored, index.dim, versions, declared))
            except LookalikeError as error:
                yield failed(embedding.product_id, error)
        outcomes = _upserted(index, points)
        written([each.product_id for each in points])
        yield from outcomes


def read_embeddings(index: VectorIndex, batch_size: int) -> Iterator[Embedding]:
    """Raw features, attributes and image hash of every product."""
    for point in paginate(lambda cursor: index.scroll(after=cursor, limit=batch_size, vectors=True)):
        assert point.vector is not None, "asked for with vectors=True"
        features = point.vector * np.float32(point.norm)
        yield Embedding(point.product_id, features, point.attributes, point.image, point.perceptual, point.url)


def _point(embedding: Embedding, stored: Point | None, dim: int, versions: Versions, kinds: Kinds) -> Point:
    features = np.asarray(embedding.features, np.float32)
    if features.shape != (dim,):
        raise InvalidVector(f"The features have {features.size} numbers; this catalog takes {dim}.")
    vector, norm = normalized(features)
    if embedding.attributes is None:
        checked = checked_attributes(stored.attributes if stored else {})
    else:
        checked = kinds.checked(checked_attributes(embedding.attributes))
    version = versions.next(stored.version if stored else 0)
    return Point(
        *(embedding.product_id, version, vector, norm, checked),
        *(embedding.image, embedding.perceptual, embedding.url),
    )


def _upserted(index: VectorIndex, points: Sequence[Point]) -> list[Outcome]:
    applied = index.upsert(points)
    index.flush()
    return [
        Outcome(point.product_id, State.APPLIED if is_applied else State.SUPERSEDED)
        for point, is_applied in zip(points, applied, strict=True)
    ]
