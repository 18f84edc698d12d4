"""Many changes: pictures are uploaded, and feeds in pieces name them. A piece is one job, however often it is sent."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Any
from uuid import uuid4

from lookalike.changes import Change, Delete, hash_of, is_local, line_of
from lookalike.errors import Busy, error_of, problem_of
from lookalike.jobs import Failure, Sent
from lookalike.records import Job, job_of
from lookalike.retries import asked, sent
from lookalike.steps import Call, Pause, Request, Steps, Together
from lookalike.wire import dumped, keyed, with_json

PIECE = 10_000
"""Changes of one request, and so of one job."""
PIECE_BYTES = 32 << 20
BATCH = 64
"""Changes that are held at a time, and whose pictures are asked for in one request."""
BATCH_BYTES = 8 << 20
"""Bytes of pictures that are held at a time."""
IN_MEMORY = 1 << 20
"""Bytes of a piece that are kept in memory; more go to a temporary file."""
ACCEPT_SECONDS = 1000.0
"""That a service may take to accept a piece: it looks at every line."""
ROOM_SECONDS = 86_400.0
"""That a full queue is waited for."""
ROOM_PAUSE = 5.0
NAMED = 1000


class Feed:
    """Sends changes to one catalog. Each batch is uploaded and spooled before the next one is taken, and each piece is
    accepted before the next one is begun: no more is held than one batch, and a full queue is waited for.

    Args:
        path: The catalog's.
        patience: Seconds in which a request is sent again.
        piece: Changes of one request.
        key: Of the whole: with it the same changes become the same jobs.
        refuse_duplicates: Whether puts fail whose pictures other products show.
    """

    def __init__(self, path: str, patience: float, *, piece: int, key: str | None, refuse_duplicates: bool) -> None:
        if piece < 1:
            raise ValueError(f"piece is {piece}; a piece has one change at least")
        self._path = path
        self._patience = patience
        self._piece = piece
        self._key = key or uuid4().hex
        self._params = {"on_error": "skip"} | ({"duplicates": "refuse"} if refuse_duplicates else {})
        self._jobs: list[Job] = []
        self._failures: list[Failure] = []
        self._not_sent = 0
        self._batch: list[Change] = []
        self._held = 0
        self._lines = 0
        self._spool: IO[bytes] = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115  `telling` does

    @contextmanager
    def telling(self) -> Iterator[None]:
        """What interrupts it says what was accepted by then, and how to go on; at the end all is closed."""
        try:
            yield
        except BaseException as interruption:
            interruption.add_note(self._standing())
            raise
        finally:
            self._spool.close()

    def _standing(self) -> str:
        accepted = ", ".join(job.id for job in self._jobs[-10:]) or "none"
        changes = sum(job.total for job in self._jobs)
        return (
            f"Accepted by then: {changes:,} changes in {len(self._jobs)} jobs (the last: {accepted}), which go on in "
            f"the service. The same put_many with key={self._key!r} goes on from there."
        )

    def add(self, change: Change) -> bool:
        """Holds a change; True if no more are to be held before `take`."""
        self._batch.append(change)
        self._held += _held(change)
        return len(self._batch) == BATCH or self._held >= BATCH_BYTES

    def end(self) -> Steps[Sent]:
        """Sends what is left."""
        yield from self.take()
        yield from self._send()
        return Sent(tuple(self._jobs), self._key, self._not_sent, tuple(self._failures))

    def take(self) -> Steps[None]:
        """Uploads the pictures of the changes that are held and spools these; sends what has become a piece."""
        batch, self._batch, self._held = self._batch, [], 0
        hashes = yield from self._uploaded(batch)
        for change, hash in zip(batch, hashes, strict=True):
            if isinstance(hash, Failure):
                self._fail(hash)
                continue
            try:
                line = dumped(line_of(change, hash)).encode() + b"\n"
            except (TypeError, ValueError) as error:
                self._fail(Failure(change.product_id, "change_invalid", f"It cannot be written as JSON: {error}."))
                continue
            if self._lines and (self._lines == self._piece or self._spool.tell() + len(line) > PIECE_BYTES):
                yield from self._send()
            self._spool.write(line)
            self._lines += 1

    def _send(self) -> Steps[None]:
        """Sends what was spooled, if anything was."""
        if not self._lines:
            return
        request = Request(
            *("POST", f"{self._path}/products", self._params),
            headers={"Content-Type": "application/x-ndjson", **keyed(f"{self._key}-{len(self._jobs) + 1}")},
            body=self._spool,
            is_safe=True,
            seconds=ACCEPT_SECONDS,
        )
        until = time.monotonic() + ROOM_SECONDS
        while True:
            try:
                self._jobs.append(job_of((yield from asked(request, self._patience))))
                break
            except Busy as full:
                if full.code != "queue_full" or time.monotonic() > until:
                    raise
                yield Pause(ROOM_PAUSE)
        self._spool.seek(0)
        self._spool.truncate()
        self._lines = 0

    def _uploaded(self, batch: Sequence[Change]) -> Steps[list[str | Failure | None]]:
        """For each change the hash of its picture, which the service has by then; None where nothing was to be sent."""
        if not any(is_local(_image(change)) for change in batch):
            return [None] * len(batch)
        judged: list[str | Failure | None] = yield Call(partial(_judged, batch))
        images = {each: _image(change) for change, each in zip(batch, judged, strict=True) if isinstance(each, str)}
        if not images:
            return judged
        question = with_json("POST", f"{self._path}/images/missing", {"images": sorted(images)})
        missing: list[str] = (yield from asked(question, self._patience))["missing"]
        ends = yield Together([self._upload(images[each]) for each in missing])
        found: Mapping[str, str | tuple[str, str]] = dict(zip(missing, ends, strict=True))
        return [
            _named(change, found.get(each, each)) if isinstance(each, str) else each
            for change, each in zip(batch, judged, strict=True)
        ]

    def _upload(self, image: Path | bytes) -> Steps[str | tuple[str, str]]:
        """The hash of what was uploaded, as the file may be another by now; or the code and message of why not."""
        request = Request(
            *("POST", f"{self._path}/images"),
            headers={"Content-Type": "application/octet-stream"},
            body=image,
            is_safe=True,
        )
        try:
            response = yield from sent(request, self._patience)
        except OSError as error:
            return "image_not_readable", _unreadable(image, error)
        problem = problem_of(response)
        if response.status in (413, 422):
            return str(problem["code"]), str(problem["detail"])
        if response.status >= 300:
            raise error_of(request, response)
        return str(problem["image"])

    def _fail(self, failure: Failure) -> None:
        self._not_sent += 1
        if len(self._failures) < NAMED:
            self._failures.append(failure)


def _held(change: Change) -> int:
    image = _image(change)
    return len(image) if isinstance(image, bytes) else 0


def _judged(batch: Sequence[Change]) -> list[str | Failure | None]:
    return [_hashed(change) for change in batch]


def _hashed(change: Change) -> str | Failure | None:
    image = _image(change)
    if not isinstance(image, Path | bytes):
        return None
    try:
        return hash_of(image)
    except OSError as error:
        return Failure(change.product_id, "image_not_readable", _unreadable(image, error))


def _image(change: Change) -> Any:
    return None if isinstance(change, Delete) else change.image


def _named(change: Change, end: str | tuple[str, str]) -> str | Failure:
    return end if isinstance(end, str) else Failure(change.product_id, *end)


def _unreadable(image: Path | bytes, error: OSError) -> str:
    return f"{image if isinstance(image, Path) else 'The picture'} cannot be read: {error.strerror or error}."
