"""One encoder for all threads of a process: loaded at the first use, searches before batches."""

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from math import ceil

import numpy as np

from services.encoders.encoder import Encoder
from services.errors import Closed
from services.records import Pixels, Vectors


@dataclass(slots=True, eq=False)
class _Batch:
    """Pixels that a call waits for, and the vectors encoded so far."""

    pixels: Pixels
    vectors: Vectors
    future: Future[Vectors] = field(default_factory=Future)
    taken: int = 0
    given: int = 0

    def take(self, most: int) -> slice:
        part = slice(self.taken, min(self.taken + most, len(self.pixels)))
        self.taken = part.stop
        return part


@dataclass(frozen=True, slots=True)
class _Part:
    """What one turn encodes of a batch."""

    batch: _Batch
    where: slice

    @property
    def pixels(self) -> Pixels:
        return self.batch.pixels[self.where]


class SharedEncoder:
    """An encoder that many threads use, and that encodes in threads of its own: as many as it has lanes.

    After `close` every call raises `Closed`.

    Args:
        load: Makes the encoder, in the thread that needs it first; the others wait. Where it fails all of them get the
            error, and the next call tries again.
        close_seconds: How long `close` waits for the turns in progress.
    """

    def __init__(self, load: Callable[[], Encoder], close_seconds: float = 10.0) -> None:
        self._load = load
        self._close_seconds = close_seconds
        self._changed = threading.Condition()
        self._loading: Future[Encoder] | None = None
        self._closed = False
        self._turns = 0
        self.loading_seconds = 0.0
        """How long loading took; 0 before."""
        self._lanes: ThreadPoolExecutor | None = None
        self._urgent: deque[_Batch] = deque()
        self._batches: deque[_Batch] = deque()

    def fingerprint(self) -> str:
        """Of the encoder, which is loaded for that. Raises `EncoderError`s."""
        return self._loaded().fingerprint

    def encode(self, pixels: Pixels, *, urgent: bool = False) -> Vectors:
        """Raw features, float32 (n, dim), of uint8 RGB pixels (n, size, size, 3).

        Batches are encoded in their order, in turns that small ones fill together, one turn a lane at a time; what is
        urgent is encoded before the next turn. Raises `EncoderError`s, `Closed`.
        """
        encoder = self._loaded()
        batch = _Batch(pixels, np.empty((len(pixels), encoder.dim), np.float32))
        if not len(pixels):
            return batch.vectors
        self._add(batch, self._urgent if urgent else self._batches, encoder)
        return batch.future.result()

    @property
    def waiting(self) -> tuple[int, int]:
        """How many urgent requests, and how many others, have pictures that no turn has taken yet."""
        with self._changed:
            return len(self._urgent), len(self._batches)

    def close(self) -> None:
        """Closes the encoder after the turns in progress; calls that wait raise `Closed`. Idempotent."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            if self._lanes:
                self._lanes.shutdown(wait=False, cancel_futures=True)
            for waiting in (self._urgent, self._batches):
                while waiting:
                    waiting.popleft().future.set_exception(_closed())
        loading = self._loading
        if loading is None or not loading.done() or loading.exception():
            return
        # A device that hangs must not keep the process.
        with self._changed:
            ended = self._changed.wait_for(lambda: not self._turns, self._close_seconds)
        if ended:
            loading.result().close()

    def _loaded(self) -> Encoder:
        with self._changed:
            if self._closed:
                raise _closed()
            if mine := self._loading is None or (self._loading.done() and self._loading.exception() is not None):
                self._loading = Future()
            loading = self._loading
        if mine:
            self._fulfill(loading)
        return loading.result()

    def _fulfill(self, loading: Future[Encoder]) -> None:
        started = time.monotonic()
        try:
            encoder = self._load()
        except BaseException as error:
            loading.set_exception(error)
            raise
        self.loading_seconds = time.monotonic() - started
        with self._changed:
            if not self._closed:
                self._lanes = ThreadPoolExecutor(encoder.lanes, thread_name_prefix="encoder")
                loading.set_result(encoder)
                return
        encoder.close()
        loading.set_exception(_closed())

    def _add(self, batch: _Batch, waiting: deque[_Batch], encoder: Encoder) -> None:
        with self._changed:
            if self._closed or self._lanes is None:
                raise _closed()
            waiting.append(batch)
            for _ in range(min(ceil(len(batch.pixels) / encoder.turn), encoder.lanes)):
                self._lanes.submit(self._work, encoder)

    def _work(self, encoder: Encoder) -> None:
        """Turns until nothing waits. Searches do not hold up batches for longer than a turn, whatever their number."""
        while self._turn(encoder, self._urgent, 1) | self._turn(encoder, self._batches, encoder.turn):
            pass

    def _turn(self, encoder: Encoder, waiting: deque[_Batch], full: int) -> bool:
        """One turn of what has waited longest: a device at its full rate, however small the batches are."""
        parts = self._taken(waiting, encoder.turn, full)
        if not parts:
            return False
        try:
            encoded = encoder.encode(np.concatenate([part.pixels for part in parts]))
        except Exception as error:  # noqa: BLE001  whatever it is, it is raised where the vectors are waited for
            self._drop([part.batch for part in parts], waiting, error)
        else:
            ends = np.cumsum([len(part.pixels) for part in parts])
            for part, vectors in zip(parts, np.split(encoded, ends[:-1]), strict=True):
                self._give(part, vectors)
        finally:
            with self._changed:
                self._turns -= 1
                self._changed.notify_all()
        return True

    def _taken(self, waiting: deque[_Batch], turn: int, full: int) -> list[_Part]:
        """The parts of the next turn, which has begun with that; none where fewer than `full` pictures wait and another
        turn is in progress: its lane takes them next, with those that come meanwhile (as Nagle's
        algorithm, RFC 896, has a small segment wait for what is in flight). Nor is a small rest left for a turn."""
        parts: list[_Part] = []
        with self._changed:
            pictures = sum(len(batch.pixels) - batch.taken for batch in waiting)
            if self._turns and pictures < full:
                return parts
            room = turn if pictures >= 2 * turn else pictures
            while room:
                batch = waiting[0]
                parts.append(_Part(batch, batch.take(room)))
                room -= len(parts[-1].pixels)
                if batch.taken == len(batch.pixels):
                    waiting.popleft()
            self._turns += bool(parts)
        return parts

    def _give(self, part: _Part, vectors: Vectors) -> None:
        batch = part.batch
        with self._changed:
            batch.vectors[part.where] = vectors
            batch.given += len(vectors)
            # Another of its parts may have failed.
            if batch.given == len(batch.pixels) and not batch.future.done():
                batch.future.set_result(batch.vectors)

    def _drop(self, batches: list[_Batch], waiting: deque[_Batch], error: Exception) -> None:
        with self._changed:
            for batch in batches:
                if batch in waiting:
                    waiting.remove(batch)
                if not batch.future.done():
                    batch.future.set_exception(error)


def _closed() -> Closed:
    return Closed("The encoder was closed, because this process ends; try again.")
