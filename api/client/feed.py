"""Many changes of a running service's catalog as one job: images are uploaded, one feed names them, and the job is
followed to its end."""

import json
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile, gettempdir
from typing import IO, Any
from uuid import uuid4

from api.client.connection import Client
from api.client.job import FollowedJob
from api.client.timings import Timings
from api.client.uploads import Uploads
from api.errors import Forbidden
from services.backoff import pauses
from services.errors import Closed, EncoderError, EncoderMismatch, LookalikeError, ServiceUnavailable
from services.records import Change, Progress, RemoteImage, State, StoredImage
from services.storage.disk import disk_errors

CHUNK = 1 << 16
IN_MEMORY = 1 << 20
"""Bytes of the feed that are kept in memory; more go to a temporary file."""
ACCEPT_SECONDS = 1000.0
"""That a service may take to accept a feed: it looks at every line."""
FIRST_PAUSE = 0.05


@dataclass(frozen=True, slots=True)
class Sync:
    """That a feed names all products, and those that it does not name are removed.

    Attributes:
        named: Products that it names without changing them; asked when all changes have been taken.
        max_removed: The share of the products that may go.
    """

    named: Callable[[], Iterable[str]]
    max_removed: float


class Feed:
    """Sends changes of one catalog as a feed, and follows its job."""

    def __init__(
        self, client: Client, path: str, uploads: Uploads, load_encoder: Callable[[], None], timings: Timings
    ) -> None:
        """
        Args:
            client: The connection to the service.
            path: The catalog's.
            uploads: Uploads images into it.
            load_encoder: Has the service load the catalog's encoder, and raises where it cannot.
            timings: How long the job is waited for.
        """
        self._client = client
        self._path = f"{path}/products"
        self._uploads = uploads
        self._load_encoder = load_encoder
        self._timings = timings

    def put(self, changes: Iterable[Change], sync: Sync | None = None) -> Generator[Progress, None, None]:
        """Sends puts of files, bytes and URLs as one job, with `sync` as a feed that names all products.

        What cannot be read, or is refused as an image, is a failure and not part of the feed, which only names it. At
        Ctrl-C, and where this is closed, the changes that wait are canceled, and what was done by then is told. Where
        one change refuses duplicates, all do. Raises errors that concern all changes.
        """
        with SpooledTemporaryFile(IN_MEMORY) as spool, closing(self._uploads.ready(changes)) as batches:
            lines, refuses = 0, False
            for batch in batches:
                lines += len(batch.changes)
                refuses = refuses or any(each.refuse_duplicates for each in batch.changes)
                named = [failure.product_id for failure in batch.failures] if sync else []
                lines += len(named)
                with disk_errors(gettempdir()):
                    spool.writelines(map(_line, batch.changes))
                    spool.writelines(map(_keeping, named))
                yield Progress(
                    {State.FAILED: len(batch.failures)},
                    tuple(batch.failures),
                    uploaded=len(batch.changes) + len(batch.failures),
                )
            if sync:
                named = list(sync.named())
                lines += len(named)
                with disk_errors(gettempdir()):
                    spool.writelines(map(_keeping, named))
            if lines:
                query = {"mode": "replace", "max_removed": repr(sync.max_removed)} if sync else {}
                yield from self._sent(spool, query | ({"duplicates": "refuse"} if refuses else {}))

    def _sent(self, spool: IO[bytes], query: Mapping[str, str]) -> Generator[Progress, None, None]:
        # In a thread, because Ctrl-C must not lose the answer, without which the job cannot be canceled.
        pool = ThreadPoolExecutor(1, thread_name_prefix="feed")
        posted = pool.submit(self._post, spool, query)
        try:
            job = posted.result()
            yield Progress(job=job.id)
            yield from self._followed(job)
        except KeyboardInterrupt:
            if canceled := self._canceled(posted):
                yield Progress(job=canceled.id)
                yield canceled.news()
                yield Progress(failures=canceled.failures())
            raise
        except (GeneratorExit, EncoderError, EncoderMismatch):
            self._canceled(posted)
            raise
        finally:
            pool.shutdown(wait=False)

    def _post(self, spool: IO[bytes], query: Mapping[str, str]) -> FollowedJob:
        # Sent again after a lost answer, it is the same feed.
        headers = {
            "Content-Type": "application/x-ndjson",
            "Content-Length": str(spool.tell()),
            "Idempotency-Key": uuid4().hex,
        }
        answer = self._client.json(
            "POST",
            self._path,
            params={"on_error": "skip", **query},
            content=_FromTheStart(spool),
            headers=headers,
            seconds=ACCEPT_SECONDS,
            patience=self._timings.patience,
        )
        return FollowedJob(self._client, answer, self._timings.patience)

    def _followed(self, job: FollowedJob) -> Generator[Progress, None, None]:
        """What becomes of a job, until it has finished."""
        heard = time.monotonic()
        for pause in pauses(FIRST_PAUSE, self._timings.poll):
            if (news := job.news()).counts:
                heard = time.monotonic()
                yield news
            if job.has_finished:
                break
            if self._client.hurry.wait(pause):
                raise Closed(f"What was accepted is not waited for any more: it goes on as job {job.id}.")
            if time.monotonic() - heard > self._timings.silence:
                # A key that may not search: the worker will say. A service that is away is waited for below.
                with suppress(Forbidden, ServiceUnavailable):
                    self._load_encoder()
                heard = time.monotonic()
            try:
                job.ask()
            except ServiceUnavailable as error:
                raise ServiceUnavailable(f"{error} What was accepted is kept there, as job {job.id}.") from error
        yield job.removal()
        yield Progress(failures=job.failures())

    def _canceled(self, posted: Future[FollowedJob]) -> FollowedJob | None:
        """The job without what waited; None where none was accepted."""
        self._client.hurry.set()
        try:
            job = posted.result()
        except ServiceUnavailable:
            raise  # it may have been accepted
        except LookalikeError:
            return None
        job.cancel(self._timings.ending)
        return job


class _FromTheStart:
    """What was written to a file, whenever it is asked for."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def __iter__(self) -> Iterator[bytes]:
        self._file.seek(0)
        while chunk := self._file.read(CHUNK):
            yield chunk


def _keeping(product_id: str) -> bytes:
    return json.dumps({"product_id": product_id, "op": "keep"}, ensure_ascii=False).encode() + b"\n"


def _line(change: Change) -> bytes:
    fields: dict[str, Any] = {"product_id": change.product_id}
    match change.image:
        case StoredImage():
            fields["image"] = change.image.hash
        case RemoteImage():
            fields["image_url"] = change.image.url
        case _:
            raise TypeError("a feed names images by hash or URL")
    if change.attributes is not None:
        fields["attributes"] = change.attributes
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
