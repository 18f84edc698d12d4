"""Images on their way in: from wherever they are to pixels, the originals kept on the way."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from services.errors import Closed, FetchError, ImageError, InvalidInput, NotFound
from services.failpoints import hit
from services.images.budget import IN_HAND, ByteBudget
from services.images.decoder import Decoder
from services.images.files import read
from services.records import ImageSource, Pixels, RemoteImage, Resample, StoredImage
from services.storage.media import Media

LATE = 32
"""Images at most that a batch may go on without, of all batches together: half of what is fetched at a time."""
QUIET_SECONDS = 0.5
"""Where no image of a batch came for so long, those that are missing are late."""

Fault = ImageError | FetchError | InvalidInput | NotFound
"""What one image does wrong. Anything else is no image's fault and concerns all."""

Observe = Callable[[str, float], None]
"""Is told what happens: the name of a stage and its seconds, or what is counted and how many."""


def nothing(name: str, value: float) -> None:
    """Observes nothing."""


class Fetches(Protocol):
    """What brings images from URLs. Raises `FetchError`s."""

    def fetch(self, url: str) -> bytes: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Picture:
    """An image that was taken in: its pixels, and the SHA-256 of its original in hex."""

    hash: str
    pixels: Pixels


Taken = Picture | Fault | None
"""What became of an image; None where it is the one that was known."""


class Intake:
    """Takes images in: `threads` of one call at a time, decoded in child processes. Thread-safe.

    An original is in `media` before its pixels are given out, and its bytes are dropped then. `check_space` raises
    where so many bytes more would fill the disk.
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
    ) -> None:
        self.media = media
        self.decoder = decoder
        self._fetcher = fetcher
        self.max_bytes = max_bytes
        self._threads = threads
        self.check_space = check_space
        self._room = ByteBudget(IN_HAND)
        # No child is idle with that, and a search or a thumbnail has few before it.
        self._decoding = threading.Semaphore(2 * decoder.processes)
        self._late = 0
        self._lock = threading.Lock()
        self._closed = False

    def pictures(
        self,
        images: Sequence[tuple[ImageSource, str | None]],
        size: int,
        resample: Resample,
        observe: Observe,
        *,
        early: bool = False,
    ) -> list[Taken | Future[Taken]]:
        """Takes in each image that has not the hash given with it: None where it has, a fault where it cannot be.

        With `early` it waits for no image that is late, unless there are too many, and gives the future of such a one.
        Observes the stages fetch and decode. Raises, as a future does, what is no image's fault:
        `DecodingUnavailable`, `DataFull`, `DataNotWritable`.
        """
        started = time.perf_counter()
        spent: list[tuple[float, float]] = []

        def take(source: ImageSource, known: str | None) -> Taken:
            try:
                with self._room.hold(self._expected(source)) as correct:
                    begun = time.perf_counter()
                    data = self._read(source)
                    fetched = time.perf_counter()
                    correct(len(data))
                    picture = self._picture(data, known, size, resample)
                    spent.append((fetched - begun, time.perf_counter() - fetched))
                    return picture
            except Exception as error:
                if self._closed:
                    raise Closed("No image is taken in any more, because this process ends; try again.") from None
                if isinstance(error, Fault):
                    # A fresh one: this one holds on to the frames it passed, and they to the image's bytes.
                    return type(error)(str(error))
                raise

        pool = ThreadPoolExecutor(self._threads, thread_name_prefix="intake")
        try:
            futures = [pool.submit(take, *image) for image in images]
            late = self._late_of(futures) if early else frozenset()
            taken = [future if future in late else future.result() for future in futures]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
        # Its threads end after what is late.
        pool.shutdown(wait=False)
        _observe(observe, list(spent), time.perf_counter() - started)
        return taken

    def _late_of(self, futures: Sequence[Future[Taken]]) -> frozenset[Future[Taken]]:
        """Waits until all have come, or those that have not may be called late."""
        missing = set(futures)
        while missing:
            came, missing = wait(missing, QUIET_SECONDS)
            if missing and not came and self._may_be_late(len(missing)):
                for each in missing:
                    each.add_done_callback(self._is_late_no_more)
                break
        return frozenset(missing)

    def _may_be_late(self, count: int) -> bool:
        with self._lock:
            may = self._late + count <= LATE
            self._late += count if may else 0
            return may

    def _is_late_no_more(self, _: Future[Taken]) -> None:
        with self._lock:
            self._late -= 1

    def fetch(self, url: str) -> bytes:
        """The bytes that a URL names. Raises `FetchError`s."""
        return self._fetcher.fetch(url)

    def close(self) -> None:
        """Ends the child processes and connections; what waits for them is canceled."""
        self._closed = True
        self.decoder.close()
        self._fetcher.close()

    def _picture(self, data: bytes, known: str | None, size: int, resample: Resample) -> Picture | None:
        hash = sha256(data).hexdigest()
        if hash == known:
            return None
        hit("decode")
        with self._decoding:
            pixels = self.decoder.submit(data, size, resample).result()
        self.check_space(len(data))
        self.media.put(data, hash)
        return Picture(hash, pixels)

    def copy(self, hash: str, originals: Media) -> None:
        """Takes an original over, unless it is here or was not kept there."""
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
        """The size of an image before it is in memory; None where nobody knows."""
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
    """Many images are in hand at a time: the seconds are divided between the stages as their work was."""
    fetching, decoding = (sum(each) for each in zip((0.0, 0.0), *spent, strict=True))
    share = fetching / (fetching + decoding or 1.0)
    observe("fetch", seconds * share)
    observe("decode", seconds * (1 - share))
