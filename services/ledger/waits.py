"""What work waits for: no worker lives, or those that do put it off until something is there again."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from services.ledger.store import Store, translated
from services.records import Job, JobState, Waiting

NO_WORKERS = "no_workers"
NOBODY = "No worker is running; start one with `lookalike worker`, or look at the logs of those that have ended."


def with_waits(store: Store, found: Sequence[tuple[Job, Mapping[bytes, bytes]]]) -> list[Job]:
    """The jobs, each given with its hash; those that have not finished tell what they wait for.

    Raises `LedgerUnavailable`.
    """
    open = [(job, fields) for job, fields in found if job.state in (JobState.ENQUEUED, JobState.PROCESSING)]
    if not open:
        return [job for job, _ in found]
    with translated():
        pipeline = store.redis.pipeline(transaction=False)
        pipeline.time()
        pipeline.zrange("la:workers", 0, 0, desc=True, withscores=True)
        for job, fields in open:
            pipeline.hgetall(_key(fields[b"c"].decode(), job))
        (seconds, microseconds), newest, *reasons = pipeline.execute()
    ended = newest[0][1] / 1000 if newest else 0.0
    waits: dict[str, Waiting | None] = {}
    for (job, _), reason in zip(open, reasons, strict=True):
        # Without a worker nobody knows whether the rest is still so.
        waits[job.id] = _nobody(job, ended) if ended <= seconds + microseconds / 1e6 else _waiting(reason)
    return [replace(job, waiting_for=waits.get(job.id)) for job, _ in found]


def waits(store: Store) -> dict[str, Waiting]:
    """What the changes of catalogs that workers put off wait for, by catalog ID. Raises `LedgerUnavailable`."""
    with translated():
        ids = store.redis.lrange("la:catalogs", 0, -1)
        pipeline = store.redis.pipeline(transaction=False)
        for each in ids:
            pipeline.hgetall(b"la:waits:" + each)
        found = zip(ids, pipeline.execute(), strict=True)
    return {id.decode(): reason for id, fields in found if (reason := _waiting(fields))}


def _key(catalog_id: str, job: Job) -> str:
    return f"la:waits:{catalog_id}:{job.id}" if job.task else f"la:waits:{catalog_id}"


def _waiting(fields: Mapping[bytes, bytes]) -> Waiting | None:
    if b"s" not in fields:
        return None
    return Waiting(fields[b"c"].decode(), fields.get(b"m", b"").decode(), int(fields[b"s"]) / 1000)


def _nobody(job: Job, ended: float) -> Waiting:
    return Waiting(NO_WORKERS, NOBODY, max(job.created_at, ended))
