"""Taking changes in: once, whatever the caller repeats, and with the outcome where it is waited for."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Thread

import structlog
from flask import Response, g, request, url_for

from api import schemas
from api.context import Context, context
from api.errors import Malformed, TooManyWaits
from api.jobs import shown
from api.problems import problem_of_item
from services.catalog import Catalog
from services.errors import LedgerUnavailable
from services.ledger import Refusal
from services.records import Change, Job, Lane, State

INTERACTIVE = 64
"""Changes of which somebody waits for the outcome; more are nobody's hurry."""

MAX_KEY = 255

Answer = tuple[schemas.Job, int, dict[str, str]]


def accepted(catalog: Catalog, changes: Callable[[], Iterable[Change | Refusal]], total: int, digest: str) -> Answer:
    """202 and the job of the changes, which are asked for when the request turns out to be a new one."""
    job, replayed = _once(context(), catalog, changes, total, digest)
    return _answer(job, 202, replayed)


def ended(catalog: Catalog, change: Callable[[], Change], digest: str, seconds: float) -> Answer | Response:
    """The outcome of one change: 200 and its job, the problem where it failed, or 202 after so many seconds."""
    here = context()
    with _waiting(here):
        job, replayed = _once(here, catalog, lambda: [change()], 1, digest)
        job = _waited(here, job, seconds)
    if job.finished_at is None:
        return _answer(job, 202, replayed)
    if not job.failed:
        return _answer(job, 200, replayed)
    [item], _ = here.ledger.items(job.id, state=State.FAILED, limit=1)
    _, _, headers = _answer(job, 422, replayed)
    return problem_of_item(item, headers, job=shown(job).model_dump(mode="json"))


def _once(
    here: Context, catalog: Catalog, changes: Callable[[], Iterable[Change | Refusal]], total: int, digest: str
) -> tuple[Job, bool]:
    """The job, and whether it is that of a request before this one."""
    key = _key()
    if key and (first := here.ledger.begin(key, digest)):
        return first, True
    lane = Lane.INTERACTIVE if total <= INTERACTIVE else Lane.BULK
    try:
        job = here.ledger.accept(
            catalog.spec.id,
            catalog.spec.name,
            changes(),
            lane=lane,
            max_version=catalog.max_version,
            request_id=g.request_id,
            key=key,
        )
    except LedgerUnavailable:
        # The answer does not wait for a ledger that does not answer.
        if key:
            Thread(target=_let_go, args=(here, key), daemon=True).start()
        raise
    except BaseException:
        if key:
            _let_go(here, key)
        raise
    here.wake(job.total)
    structlog.get_logger("api").info("accepted", job_id=job.id, catalog=job.catalog, changes=job.total)
    return job, False


def _key() -> str:
    """The caller's idempotency key, which is its own: other API keys may use the same. Empty: none was sent."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return ""
    if not (1 <= len(key) <= MAX_KEY and all("!" <= character <= "~" for character in key)):
        raise Malformed(f"Idempotency-Key: it takes 1 to {MAX_KEY} visible ASCII characters.", "Idempotency-Key")
    return f"{g.get('key_name', '')}:{key}"


def _let_go(here: Context, key: str) -> None:
    try:
        here.ledger.let_go(key)
    except LedgerUnavailable:
        return  # it is let go by itself after a while


@contextmanager
def _waiting(here: Context) -> Iterator[None]:
    """A place among those who wait. Raises `TooManyWaits`, before anything is accepted."""
    if not here.waits.acquire(blocking=False):
        raise TooManyWaits("Too many requests wait for outcomes: send this without wait, and ask for the job.")
    try:
        yield
    finally:
        here.waits.release()


def _waited(here: Context, job: Job, seconds: float) -> Job:
    try:
        return here.ledger.wait(job.id, seconds)
    except LedgerUnavailable:
        return job  # accepted it is


def _answer(job: Job, status: int, replayed: bool) -> Answer:
    headers = {"Location": url_for("jobs.read", job=job.id)}
    if replayed:
        headers["Idempotent-Replayed"] = "true"
    return shown(job), status, headers
