"""Bringing the images of changes to a running service, which keeps them by their hash until a feed names them."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

from api.client.connection import Client, problem
from services.attributes import checked_attributes
from services.errors import Closed, ImageError, InvalidInput
from services.images.budget import IN_HAND, ByteBudget
from services.images.files import read
from services.names import checked_product_id
from services.records import Change, Outcome, State, StoredImage, failed

AT_ONCE = 12
"""Batches in progress."""
BATCH = 64
"""Changes whose images are asked for in one request."""
BATCH_BYTES = 4 << 20
"""Images of a batch that are in memory already."""


@dataclass(slots=True)
class Ready:
    """Changes of a batch whose images the service has (or fetches), and those that cannot be sent."""

    changes: list[Change] = field(default_factory=list)
    failures: list[Outcome] = field(default_factory=list)


class Uploads:
    """Uploads images into a catalog's service: those that it does not have."""

    def __init__(self, client: Client, path: str, max_image_bytes: int, patience: float) -> None:
        """
        Args:
            client: The connection to the service.
            path: The catalog's.
            max_image_bytes: Bytes that an image may have here.
            patience: Seconds in which a request that the service cannot take now is sent again.
        """
        self._client = client
        self._path = f"{path}/images"
        self._max_image_bytes = max_image_bytes
        self._patience = patience
        self._budget = ByteBudget(IN_HAND)

    def ready(self, changes: Iterable[Change]) -> Generator[Ready, None, None]:
        """The changes in their order, their images being uploaded by then.

        No more are taken from `changes` than are in progress. Raises errors that concern all changes: then, and at
        Ctrl-C, no more is sent.
        """
        pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="upload")
        begun: deque[Future[Ready]] = deque()
        try:
            for batch in _batches(changes):
                if len(begun) == AT_ONCE:
                    yield begun.popleft().result()
                begun.append(pool.submit(self._batch, batch))
            while begun:
                yield begun.popleft().result()
        except BaseException:
            self._client.hurry.set()
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _batch(self, changes: Sequence[Change]) -> Ready:
        hashes = [self._judged(change) for change in changes]
        asked = sorted({each for each in hashes if isinstance(each, str)})
        missing = set(self._ask_missing(asked)) if asked else set()
        ready = Ready()
        for change, judged in zip(changes, hashes, strict=True):
            if self._client.hurry.is_set():
                raise Closed("No more is sent, because this process ends; try again.")
            sent = self._upload(change) if judged in missing else judged
            if isinstance(sent, Outcome):
                ready.failures.append(sent)
                continue
            if sent:
                missing.discard(sent)
            ready.changes.append(replace(change, image=StoredImage(sent)) if sent else change)
        return ready

    def _judged(self, change: Change) -> str | Outcome | None:
        """The hash of the image, None of one that the service fetches; the failure of what need not be sent."""
        try:
            checked_product_id(change.product_id)
            if change.attributes is not None:
                checked_attributes(change.attributes)
            if not isinstance(change.image, Path | bytes):
                return None
            with self._budget.hold(_size(change.image)) as correct:
                return sha256(self._read(change.image, correct)).hexdigest()
        except (InvalidInput, ImageError) as error:
            return failed(change.product_id, error)

    def _ask_missing(self, hashes: list[str]) -> list[str]:
        path = f"{self._path}/missing"
        answer = self._client.json("POST", path, json={"images": hashes}, patience=self._patience)
        missing: list[str] = answer["missing"]
        return missing

    def _upload(self, change: Change) -> str | Outcome:
        """The hash of what was uploaded: the file may be another by now."""
        assert isinstance(change.image, Path | bytes), "what is missing was read"
        try:
            with self._budget.hold(_size(change.image)) as correct:
                answer = self._client.send(
                    "POST",
                    self._path,
                    content=self._read(change.image, correct),
                    headers={"Content-Type": "application/octet-stream"},
                    patience=self._patience,
                )
        except ImageError as error:
            return failed(change.product_id, error)
        if answer.status_code in (413, 422):
            refusal = problem(answer)
            return Outcome(change.product_id, State.FAILED, refusal["code"], refusal["detail"])
        if answer.status_code >= 400:
            raise self._client.error(answer)
        hash: str = answer.json()["image"]
        return hash

    def _read(self, image: Path | bytes, correct: Callable[[int], None]) -> bytes:
        data = image if isinstance(image, bytes) else read(image, self._max_image_bytes)
        correct(len(data))
        return data


def _batches(changes: Iterable[Change]) -> Iterator[list[Change]]:
    batch: list[Change] = []
    held = 0
    for change in changes:
        batch.append(change)
        held += len(change.image) if isinstance(change.image, bytes) else 0
        if len(batch) == BATCH or held > BATCH_BYTES:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _size(image: Path | bytes) -> int:
    """Bytes of an image, 0 where they are not known."""
    if isinstance(image, bytes):
        return len(image)
    with suppress(OSError, ValueError):
        return image.stat().st_size
    return 0
