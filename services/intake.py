"""Images on their way in: from wherever they are to pixels, the originals kept on the way."""

import stat
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from services.errors import Closed, FetchError, ImageError, ImageNotReadable, ImageTooLarge, InvalidInput, NotFound
from services.faults import reach
from services.images import Decoder
from services.media import Media
from services.records import ImageSource, Pixels, RemoteImage, Resample, StoredImage

IN_HAND = 64 << 20
"""Bytes of originals in memory at a time, of all batches together; one larger image goes alone."""

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
        self._room = Room(IN_HAND)
        # No child is idle with that, and a search or a thumbnail has few before it.
        self._decoding = threading.Semaphore(2 * decoder.processes)
        self._closed = False

    def pictures(
        self,
        images: Sequence[tuple[ImageSource, str | None]],
        size: int,
        resample: Resample,
        observe: Observe,
    ) -> list[Picture | Fault | None]:
        """Takes in each image that has not the hash given with it: None where it has, a fault where it cannot be.

        Observes the stages fetch and decode. Raises what is no image's fault: `DecodingUnavailable`, `DataFull`,
        `DataNotWritable`.
        """
        started = time.perf_counter()
        spent: list[tuple[float, float]] = []

        def take(source: ImageSource, known: str | None) -> Picture | Fault | None:
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
            taken = [future.result() for future in futures]
        finally:
            pool.shutdown(cancel_futures=True)
        _observe(observe, spent, time.perf_counter() - started)
        return taken

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
        reach("decode")
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
        reach("fetch")
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


class Room:
    """Bytes in hand: whoever would make them more than `limit` waits, unless nobody else has any."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._usual = 0.0
        self._door = threading.Lock()
        self._change = threading.Condition()

    @contextmanager
    def hold(self, size: int | None) -> Iterator[Callable[[int], None]]:
        """Waits for room for `size` bytes (None: as many as was usual lately); gives what corrects the number."""
        # One waits at a time, so that many small images do not keep a large one waiting for ever.
        with self._door, self._change:
            held = int(self._usual) if size is None else size
            self._change.wait_for(lambda: not self._held or self._held + held <= self._limit)
            self._held += held

        def correct(size: int) -> None:
            # Never waits: who has bytes in hand must be able to finish.
            nonlocal held
            with self._change:
                self._held += size - held
                self._usual = max(size, 0.9 * self._usual)
                self._change.notify_all()
            held = size

        try:
            yield correct
        finally:
            with self._change:
                self._held -= held
                self._change.notify_all()


def read(path: Path, max_bytes: int) -> bytes:
    """The bytes of an image file. Raises `ImageNotReadable` and `ImageTooLarge`, which name it."""
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            raise ImageNotReadable(f"{path} is not a file; give the picture itself.")
        if about.st_size > max_bytes:
            raise ImageTooLarge(
                f"{path} has {about.st_size:,} bytes, more than the {max_bytes:,} of LOOKALIKE_MAX_IMAGE_BYTES: "
                "save it smaller, or raise the limit."
            )
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ImageNotReadable(f"{path} cannot be read ({reason}); check the path and its rights.") from error


def _observe(observe: Observe, spent: Sequence[tuple[float, float]], seconds: float) -> None:
    """Many images are in hand at a time: the seconds are divided between the stages as their work was."""
    fetching, decoding = (sum(each) for each in zip((0.0, 0.0), *spent, strict=True))
    share = fetching / (fetching + decoding or 1.0)
    observe("fetch", seconds * share)
    observe("decode", seconds * (1 - share))
