"""From puts to outcomes: images are read, decoded, encoded and written, each stage at work on the next batch.

    read (this thread) -> decode (child processes) -> encode (a thread) -> write (this thread)

Memory is bounded whatever the length of the input: a batch of images that decode (`AHEAD_BYTES` at most), one that
fills, two that are encoded.
"""

import hashlib
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from services.attributes import checked_attributes
from services.errors import ImageFeatureless, ImageNotReadable, ImageTooLarge, LookalikeError
from services.index.vector_index import VectorIndex
from services.media import Media
from services.product_id import checked_product_id
from services.records import Move, Outcome, Pixels, Point, Put, State, Tombstone, Vector, Vectors

AHEAD_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Item:
    """A put on its way to the index: its point, still without vector, and its image."""

    put: Put
    point: Point
    data: bytes
    pixels: "Future[Pixels]"


@dataclass(frozen=True, slots=True)
class Batch:
    items: list[Item]
    features: "Future[Vectors]"


class Pipeline:
    """One run over a stream of puts for one catalog.

    `decode` starts decoding an image, `encode` takes pixels to raw features; `load_encoder` comes first, in the same
    thread, once an image was decoded. `check_space` raises where so many bytes more would fill the disk. What an image
    does wrong is a failed outcome; anything else ends the run with an exception, and what was written by then stays.
    """

    def __init__(
        self,
        index: VectorIndex,
        media: Media,
        *,
        decode: Callable[[bytes], "Future[Pixels]"],
        load_encoder: Callable[[], None],
        encode: Callable[[Pixels], Vectors],
        next_version: Callable[[], int],
        check_space: Callable[[int], None],
        batch_size: int,
        max_image_bytes: int,
    ) -> None:
        self._index = index
        self._media = media
        self._decode = decode
        self._load_encoder = load_encoder
        self._encode = encode
        self._next_version = next_version
        self._check_space = check_space
        self._batch_size = batch_size
        self._max_image_bytes = max_image_bytes
        self._decoding: deque[Item] = deque()
        self._decoded: list[Item] = []
        self._encoding: deque[Batch] = deque()
        self._encoder: ThreadPoolExecutor | None = None
        self._loading: Future[None] | None = None
        self._under_way: set[str] = set()
        self._moved: list[Outcome] = []

    def run(self, puts: Iterable[Put]) -> Iterator[Outcome]:
        """An outcome for each put, in the order in which they are done."""
        stream = iter(puts)
        try:
            while chunk := list(islice(stream, self._batch_size)):
                yield from self._take(chunk)
            yield from self._drain()
        finally:
            for item in self._decoding:
                item.pixels.cancel()
            if self._encoder:
                # Whoever interrupts is answered at once, not when a load or a batch is done.
                self._encoder.shutdown(wait=False, cancel_futures=True)

    def _take(self, chunk: Sequence[Put]) -> Iterator[Outcome]:
        self._check_space(0)
        self._under_way = self._in_flight()
        sound = []
        for put in chunk:
            try:
                checked_product_id(put.product_id)
                checked_attributes(put.attributes or {})
                sound.append(put)
            except LookalikeError as error:
                yield failed(put.product_id, error)
        stored = self._index.get([put.product_id for put in sound])
        for put, point in zip(sound, stored, strict=True):
            try:
                data = read(put.image, self._max_image_bytes)
            except LookalikeError as error:
                yield failed(put.product_id, error)
            else:
                yield from self._put(put, point, data)
        if self._moved:
            self._index.flush()
            moved, self._moved = self._moved, []
            yield from moved

    def _put(self, put: Put, stored: Point | None, data: bytes) -> Iterator[Outcome]:
        if put.product_id in self._under_way:
            # What is stored is not what this put follows; in one run that is rare, so it may cost a wait.
            yield from self._drain()
            [stored] = self._index.get([put.product_id])
        self._under_way.add(put.product_id)
        image = hashlib.sha256(data).hexdigest()
        if stored and stored.image == image and (outcome := self._keep_vector(put, stored)):
            self._moved.append(outcome)
            return
        attributes = put.attributes
        if attributes is None:
            attributes = stored.attributes if stored else {}
        yield from self._make_room(len(data))
        point = Point(put.product_id, self._version(put), attributes=attributes, image=image)
        self._decoding.append(Item(put, point, data, self._decode(data)))

    def _keep_vector(self, put: Put, stored: Point) -> Outcome | None:
        """The outcome of a put of the image that is stored; None where another one came in between."""
        attributes = stored.attributes if put.attributes is None else put.attributes
        same = attributes == stored.attributes
        if same and put.version is None:
            return Outcome(put.product_id, State.UNCHANGED)
        if self._index.move([Move(put.product_id, self._version(put), attributes, stored.image)]) == [False]:
            return None
        return Outcome(put.product_id, State.UNCHANGED if same else State.APPLIED)

    def _version(self, put: Put) -> int:
        return self._next_version() if put.version is None else put.version

    def _start_encoder(self) -> None:
        if not self._encoder:
            self._encoder = ThreadPoolExecutor(1, thread_name_prefix="encoder")
            self._loading = self._encoder.submit(self._load_encoder)

    def _in_flight(self) -> set[str]:
        batches = [self._decoding, self._decoded, *(batch.items for batch in self._encoding)]
        return {item.put.product_id for items in batches for item in items}

    def _make_room(self, size: int) -> Iterator[Outcome]:
        while len(self._decoding) >= self._batch_size or (
            self._decoding and sum(len(item.data) for item in self._decoding) + size > AHEAD_BYTES
        ):
            yield from self._collect()

    def _collect(self) -> Iterator[Outcome]:
        """Waits for the image that has been decoding longest; a full batch goes to the encoder."""
        item = self._decoding.popleft()
        try:
            item.pixels.result()
        except LookalikeError as error:
            yield _failed_image(item.put, error)
        else:
            self._decoded.append(item)
            self._start_encoder()
        if len(self._decoded) == self._batch_size:
            yield from self._hand_over()

    def _hand_over(self) -> Iterator[Outcome]:
        """Gives the encoder its next batch: one may wait beside the one at work, so the oldest is written first."""
        if len(self._encoding) == 2:
            yield from self._write()
        items, self._decoded = self._decoded, []
        pixels = np.stack([item.pixels.result() for item in items])
        assert self._encoder, "the first decoded image starts it"
        self._encoding.append(Batch(items, self._encoder.submit(self._encode, pixels)))

    def _drain(self) -> Iterator[Outcome]:
        while self._decoding:
            yield from self._collect()
        if self._decoded:
            yield from self._hand_over()
        while self._encoding:
            yield from self._write()

    def _write(self) -> Iterator[Outcome]:
        batch = self._encoding.popleft()
        assert self._loading, "the first decoded image starts it"
        self._loading.result()
        features = batch.features.result()
        self._check_space(sum(len(item.data) for item in batch.items))
        points: list[Point | Tombstone] = []
        for item, raw in zip(batch.items, features, strict=True):
            try:
                vector, norm = normalized(raw)
            except LookalikeError as error:
                yield _failed_image(item.put, error)
            else:
                self._media.put(item.data)
                points.append(replace(item.point, vector=vector, norm=norm))
        yield from written(self._index, points)


def written(index: VectorIndex, points: Sequence[Point | Tombstone]) -> list[Outcome]:
    """Upserts points or tombstones and waits until they are safe."""
    applied = index.upsert(points)
    index.flush()
    return [
        Outcome(point.product_id, State.APPLIED if is_applied else State.SUPERSEDED)
        for point, is_applied in zip(points, applied, strict=True)
    ]


def read(image: Path | bytes, max_bytes: int) -> bytes:
    """The bytes of an image. Raises `ImageNotReadable` and `ImageTooLarge`, which name the file."""
    if isinstance(image, bytes):
        return image
    try:
        about = image.stat()
        if not stat.S_ISREG(about.st_mode):
            raise ImageNotReadable(f"{image} is not a file; give the picture itself.")
        if about.st_size > max_bytes:
            raise ImageTooLarge(
                f"{image} has {about.st_size:,} bytes, more than the {max_bytes:,} of LOOKALIKE_MAX_IMAGE_BYTES: "
                "save it smaller, or raise the limit."
            )
        return image.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ImageNotReadable(f"{image} cannot be read ({reason}); check the path and its rights.") from error


def normalized(features: Vector) -> tuple[Vector, float]:
    """Features as a direction of length one, and the length they had.

    Raises `ImageFeatureless` where they are all zero or not finite: they have no direction.
    """
    norm = float(np.linalg.norm(features.astype(np.float64)))
    if not np.isfinite(norm) or norm == 0.0:
        raise ImageFeatureless(
            "The encoder found no features in this picture (all are zero, or not finite); take another picture."
        )
    return (features / norm).astype(np.float32), norm


def failed(product_id: str, error: LookalikeError) -> Outcome:
    """The outcome of a change that ended with this error."""
    return Outcome(product_id, State.FAILED, error.code, str(error))


def _failed_image(put: Put, error: LookalikeError) -> Outcome:
    """Names the file, which whoever decoded the bytes did not know."""
    outcome = failed(put.product_id, error)
    return replace(outcome, message=f"{put.image}: {error}") if isinstance(put.image, Path) else outcome
