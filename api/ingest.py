"""Accepting changes: once, however often the caller repeats the request, and with the outcome if it waits for it."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from threading import Thread
from typing import Any

import structlog
from flask import Response, g, request, url_for
from werkzeug.datastructures import ETags

from api.access.auth import asking
from api.context import Context, context
from api.errors import Malformed, TooManyWaits
from api.responses import schemas
from api.responses.jobs import etag, to_schema
from api.responses.problems import problem_of_item
from services.catalog.catalog import Catalog
from services.catalog.removal import Since
from services.errors import IdempotencyConflict, LedgerUnavailable
from services.ledger import Named, Refusal, Removal, begin_task
from services.records import Change, Job, Lane, State

POLL_SECONDS = 0.25
"""After which a request that waits for a change of a job looks at it again."""
INTERACTIVE = 64
"""Up to so many changes of one request go before those of larger ones."""

MAX_KEY = 255

Answer = tuple[schemas.Job, int, dict[str, str]]


def accepted(
    catalog: Catalog,
    changes: Callable[[], Iterable[Change | Refusal | Named]],
    total: int,
    digest: str,
    *,
    said: Mapping[str, Any] | None = None,
    removal: Removal | None = None,
) -> Answer:
    """202 and the job of the changes, which are asked for when the request turns out to be a new one.

    `said` is what the job is to tell of the feed, as JSON, and `removal` what it removes in the end.
    """
    here = context()

    def accept(key: str) -> Job:
        return _accept(here, catalog, changes(), total, key, said=said, removal=removal)

    return _answer(*_once(here, digest, accept), status=202)


def begun(catalog: Catalog) -> Since:
    """The beginning of a feed that names all products, or of a removal: called before the body is read."""
    version = context().ledger.reserve(catalog.spec.id, catalog.spec.name, catalog.max_version)
    return Since(version, catalog.count())


def retried(job_id: str, digest: str) -> Answer:
    """202 and a new job of what failed in a finished one."""
    here = context()
    return _answer(
        *_once(here, digest, lambda key: here.ledger.retry(job_id, request_id=g.request_id, key=key)), status=202
    )


def begun_task(
    catalog: Catalog,
    kind: str,
    parameters: Mapping[str, Any],
    digest: str,
    *,
    check: Callable[[], object] = lambda: None,
) -> Answer:
    """202 and the job of a task: a new one, or the same one where that has not ended.

    `check` is called where the request turns out to be a new one; what it raises ends this.
    """
    here = context()

    def begin(key: str) -> Job:
        check()
        job, _ = begin_task(
            here.ledger.store,
            catalog.spec.id,
            catalog.spec.name,
            kind,
            parameters,
            max_version=catalog.max_version,
            request_id=g.request_id,
            key=key,
        )
        return job

    return _answer(*_once(here, digest, begin), status=202)


def ended(catalog: Catalog, change: Callable[[], Change], digest: str, seconds: float) -> Answer | Response:
    """The outcome of one change: 200 and its job, the problem where it failed, or 202 after so many seconds."""
    here = context()
    with waiting(here, "send this without wait, and ask for the job"):
        job, replayed = _once(here, digest, lambda key: _accept(here, catalog, [change()], 1, key))
        job = _waited(here, job, seconds)
    if job.finished_at is None:
        return _answer(job, replayed, status=202)
    if not job.failed:
        return _answer(job, replayed, status=200)
    [item], _ = here.ledger.items(job.id, state=State.FAILED, limit=1)
    _, _, headers = _answer(job, replayed, status=422)
    return problem_of_item(item, headers, job=to_schema(job).model_dump(mode="json"))


def _accept(
    here: Context,
    catalog: Catalog,
    changes: Iterable[Change | Refusal | Named],
    total: int,
    key: str,
    *,
    said: Mapping[str, Any] | None = None,
    removal: Removal | None = None,
) -> Job:
    return here.ledger.accept(
        catalog.spec.id,
        catalog.spec.name,
        changes,
        lane=Lane.INTERACTIVE if total <= INTERACTIVE and removal is None else Lane.BULK,
        max_version=catalog.max_version,
        request_id=g.request_id,
        key=key,
        said=said,
        removal=removal,
    )


def _once(here: Context, digest: str, accept: Callable[[str], Job]) -> tuple[Job, bool]:
    """The job, and whether it is that of a request before this one. `accept` gets the idempotency key."""
    key = idempotency_key()
    if key and (first := _begun(here, key, digest)):
        return first, True
    try:
        job = accept(key)
    except LedgerUnavailable:
        # The caller should not wait for a ledger that does not answer.
        if key:
            Thread(target=_release_key, args=(here, key), daemon=True).start()
        raise
    except BaseException:
        if key:
            _release_key(here, key)
        raise
    here.wake(job.total or 1)  # a removal, which has no changes yet, or a task
    structlog.get_logger("api").info("accepted", job_id=job.id, catalog=job.catalog, changes=job.total)
    return job, False


def idempotency_key() -> str:
    """The caller's idempotency key, which is its own: other API keys may use the same. Empty: none was sent.

    Raises `Malformed`.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return ""
    if not (1 <= len(key) <= MAX_KEY and all("!" <= character <= "~" for character in key)):
        raise Malformed(f"Idempotency-Key: it takes 1 to {MAX_KEY} visible ASCII characters.", "Idempotency-Key")
    return f"{asking().name}:{key}"


def _begun(here: Context, key: str, digest: str) -> Job | None:
    try:
        return here.ledger.begin(key, digest)
    except IdempotencyConflict as error:
        # The name of the API key does not belong into the message.
        raise IdempotencyConflict(key.partition(":")[2], in_flight=error.in_flight) from None


def _release_key(here: Context, key: str) -> None:
    try:
        here.ledger.release_key(key)
    except LedgerUnavailable:
        return  # it expires after a while


@contextmanager
def waiting(here: Context, way_out: str) -> Iterator[None]:
    """A place among those who wait for what takes long, so that the others are answered. Raises `TooManyWaits`."""
    if not here.waits.acquire(blocking=False):
        raise TooManyWaits(f"Too many requests wait already: {way_out}.")
    try:
        yield
    finally:
        here.waits.release()


def awaited(here: Context, id: str, known: ETags, seconds: float) -> Job:
    """The job as soon as its ETag is none of those that are known, or, where none is, as soon as it has finished; after
    so many seconds as it is then. Raises `JobNotFound`, `TooManyWaits`."""
    found = here.ledger.job(id)
    if not seconds or not _is_awaited(found, known):
        return found
    deadline = time.monotonic() + seconds
    with waiting(here, "ask without `wait`"):
        while _is_awaited(found, known) and (left := deadline - time.monotonic()) > 0:
            found = here.ledger.wait(id, min(left, POLL_SECONDS))
    return found


def _is_awaited(job: Job, known: ETags) -> bool:
    return job.finished_at is None and (not known or known.contains_weak(etag(job)))


def _waited(here: Context, job: Job, seconds: float) -> Job:
    try:
        return here.ledger.wait(job.id, seconds)
    except LedgerUnavailable:
        return job  # it was accepted


def _answer(job: Job, replayed: bool, *, status: int) -> Answer:
    headers = {"Location": url_for("jobs.read", job=job.id)}
    if replayed:
        headers["Idempotent-Replayed"] = "true"
    return to_schema(job), status, headers
