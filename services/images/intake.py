"""Images on their way in: from wherever they are to pixels, the originals kept on the way."""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from services.descriptions import Form
from services.errors import Closed, FetchError, ImageError, InvalidInput, NotFound
from services.failpoints import hit
from services.images.budget import IN_HAND, RESERVE, ByteBudget
from services.images.decoder import Decoder
from services.images.files import read
from services.records import ImageSource, Pixels, RemoteImage, StoredImage
from services.storage.media import Media
from services.thumbnails import THUMBNAIL_SIDE

LATE = 32
"""How many images may be late at a time, of all batches together: half of what is fetched at a time."""
QUIET_SECONDS = 0.5
"""When no image of a batch has arrived for so long, those that are missing are late."""

Fault = ImageError | FetchError | InvalidInput | NotFound
"""An error of one image. Any other error concerns the whole batch."""

Observe = Callable[[str, float], None]
"""Called with measurements: the name of a stage and its seconds, or what is counted and how many."""


def nothing(name: str, value: float) -> None:
    """Observes nothing."""


class Fetches(Protocol):
    """Fetches images from URLs. Raises `FetchError`s, and `ImageUnsupported` for what is no image."""

    def fetch(self, url: str) -> bytes: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Picture:
    """An image that was taken in: its pixels, the SHA-256 of its original in hex, and its perceptual hash.

    `forms` are the pixels by form: of those that were asked for, one that could not be made is missing.
    """

    hash: str
    pixels: Pixels
    perceptual: str
    forms: Mapping[Form, Pixels] = field(default_factory=dict)


Taken = Picture | Fault | None
"""What became of an image; None where it is the one that was known."""


class Intake:
    """Takes images in: reads or fetches `threads` of a batch at a time and decodes them in child processes.

    An original is stored in `media` before its pixels are returned, and its bytes are released then. Thread-safe.

    Args:
        check_space: Raises where so many bytes more would fill the disk.
        budget: How many bytes of originals may be in memory, those of searches and thumbnails included.
        quiet_seconds: When no image of a batch has arrived for so long, those that are missing are late.
    """

    def __init__(
        self,
        media: Media,
        decoder: Decoder,
        fetcher: Fetches,
        *,
        threads: int,
        max_bytes: int,
        check_space: Callable[[int], None],
        budget: ByteBudget | None = None,
        quiet_seconds: float = QUIET_SECONDS,
    ) -> None:
        self.media = media
        self.decoder = decoder
        self.fetcher = fetcher
        self.max_bytes = max_bytes
        self._threads = threads
        self.check_space = check_space
        self._budget = budget or ByteBudget(IN_HAND, RESERVE)
        self.quiet_seconds = quiet_seconds
        # No child is idle with that, and a search or a thumbnail has few before it.
        self._decoding = threading.Semaphore(2 * decoder.processes)
        self._late = 0
        self._lock = threading.Lock()
        self._closed = False

    def pictures(
        self,
        images: Sequence[tuple[ImageSource, str | None]],
        form: Form,
        observe: Observe = nothing,
        *,
        early: bool = False,
        others: Collection[Form] = (),
    ) -> list[Taken | Future[Taken]]:
        """Takes in each image of a batch.

        Args:
            images: Where each image is, and the hash of the one that is stored already (None: none is).
            form: What the pixels in the result are to be.
            observe: Called with the seconds of the stages fetch and decode.
            early: Whether to return without images that are late, unless too many are: see `LATE`.
            others: Other forms in which the pixels are needed.

        Returns:
            For each image the `Picture`; None where it is the one that is stored already; the fault where it cannot be
            taken in; the future of these where it is late.

        Raises, as a future does, what is no image's fault: `DecodingUnavailable`, `DataFull`, `DataNotWritable`,
        `Closed`.
        """
        started = time.perf_counter()
        spent: list[tuple[float, float]] = []
        pool = ThreadPoolExecutor(self._threads, thread_name_prefix="intake")
        try:
            futures = [pool.submit(self._take, *image, form, others, spent) for image in images]
            late = self._late_of(futures) if early else frozenset()
            taken = [future if future in late else future.result() for future in futures]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
        # Its threads end after what is late.
        pool.shutdown(wait=False)
        _observe(observe, list(spent), time.perf_counter() - started)
        return taken

    def picture_now(self, data: bytes, form: Form) -> Picture:
        """A picture for which someone waits, within the budget of bytes and ahead of batches; it is not stored.

        Raises `ImageError`s, `DecodingUnavailable`, `Closed`.
        """
        with self._closing(), self._budget.hold(len(data), urgent=True):
            pixels, perceptual = self.decoder.submit_hashed(data, form).result()
            return Picture(sha256(data).hexdigest(), pixels, perceptual, {form: pixels})

    def thumbnail(self, data: bytes, side: int = THUMBNAIL_SIDE) -> bytes:
        """A WebP of an image whose longer side has so many pixels at most, within the budget and ahead of batches.

        Raises what `picture_now` does.
        """
        with self._closing(), self._budget.hold(len(data), urgent=True):
            return self.decoder.submit_thumbnail(data, side).result()

    def size(self, data: bytes) -> tuple[int, int]:
        """Width and height of an image in pixels, as `thumbnail` takes it."""
        with self._closing(), self._budget.hold(len(data), urgent=True):
            return self.decoder.submit_size(data).result()

    def _take(
        self,
        source: ImageSource,
        known: str | None,
        form: Form,
        others: Collection[Form],
        spent: list[tuple[float, float]],
    ) -> Taken:
        """Takes one image in and appends the seconds of its two stages to `spent`."""
        try:
            with self._closing(), self._budget.hold(self._expected(source)) as correct:
                begun = time.perf_counter()
                data = self._read(source)
                fetched = time.perf_counter()
                correct(len(data))
                picture = self._picture(data, known, form, others)
                spent.append((fetched - begun, time.perf_counter() - fetched))
                return picture
        except Exception as error:
            if isinstance(error, Fault):
                # A new one: this one references the frames it passed, and they the image's bytes.
                return type(error)(str(error))
            raise

    @contextmanager
    def _closing(self) -> Iterator[None]:
        """Whatever fails after `close` fails because of it: raises `Closed` instead."""
        try:
            yield
        except Exception:
            if self._closed:
                raise Closed("No image is taken in any more, because this process ends; try again.") from None
            raise

    def _late_of(self, futures: Sequence[Future[Taken]]) -> frozenset[Future[Taken]]:
        """Waits until all images have arrived, or until those that have not count as late; returns these."""
        missing = set(futures)
        while missing:
            came, missing = wait(missing, self.quiet_seconds)
            if missing and not came and self._may_be_late(len(missing)):
                for each in missing:
                    each.add_done_callback(self._not_late)
                break
        return frozenset(missing)

    def _may_be_late(self, count: int) -> bool:
        with self._lock:
            may = self._late + count <= LATE
            self._late += count if may else 0
            return may

    def _not_late(self, _: Future[Taken]) -> None:
        with self._lock:
            self._late -= 1

    def fetch(self, url: str) -> bytes:
        """The image that a URL names. Raises `FetchError`s and `ImageUnsupported`."""
        return self.fetcher.fetch(url)

    def close(self) -> None:
        """Ends the child processes and connections; calls in progress raise `Closed`."""
        self._closed = True
        self.decoder.close()
        self.fetcher.close()

    def _picture(self, data: bytes, known: str | None, form: Form, others: Collection[Form]) -> Picture | None:
        hash = sha256(data).hexdigest()
        if hash == known:
            return None
        hit("decode")
        with self._decoding:
            pixels, perceptual = self.decoder.submit_hashed(data, form).result()
            more = {each: self._other(data, each) for each in others if each != form}
        self.check_space(len(data))
        self.media.put(data, hash)
        found = {each: found for each, found in more.items() if found is not None}
        return Picture(hash, pixels, perceptual, {form: pixels, **found})

    def _other(self, data: bytes, form: Form) -> Pixels | None:
        """The pixels of an image in another form; None where they cannot be made, which is no fault of the image's
        product: it has its pixels."""
        try:
            return self.decoder.submit(data, form).result()
        except ImageError:
            return None

    def copy(self, hash: str, originals: Media) -> None:
        """Copies an original from another store, unless it is here or is missing there."""
        if not self.media.exists(hash) and originals.exists(hash):
            data = originals.get(hash)
            self.check_space(len(data))
            self.media.put(data, hash)

    def _read(self, source: ImageSource) -> bytes:
        hit("fetch")
        match source:
            case RemoteImage():
                return self.fetch(source.url)
            case StoredImage():
                return self.media.get(source.hash)
            case bytes():
                return source
        return read(source, self.max_bytes)

    def _expected(self, source: ImageSource) -> int | None:
        """The size of an image before it is in memory; None where it is unknown."""
        match source:
            case bytes():
                return len(source)
            case Path():
                try:
                    return min(source.stat().st_size, self.max_bytes)
                except (OSError, ValueError):
                    return 0
        return None


def _observe(observe: Observe, spent: Sequence[tuple[float, float]], seconds: float) -> None:
    """Observes the seconds of a batch, divided between the stages in the ratio of the seconds of all images."""
    fetching, decoding = (sum(each) for each in zip((0.0, 0.0), *spent, strict=True))
    share = fetching / (fetching + decoding or 1.0)
    observe("fetch", seconds * share)
    observe("decode", seconds * (1 - share))
