"""Beginning a task: a job that is no changes, which the workers do in the bulk lane."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from services.errors import CatalogNotFound, Conflict, QueueFull
from services.ledger import jobs
from services.ledger.store import Store
from services.ledger.waits import with_waits
from services.records import Job

KEEP_SECONDS = 86_400


def begin_task(
    store: Store,
    catalog_id: str,
    catalog: str,
    kind: str,
    parameters: Mapping[str, Any],
    *,
    max_version: Callable[[], int],
    request_id: str = "",
    key: str = "",
) -> tuple[Job, bool]:
    """Accepts a task; once it returns it is not lost. A catalog's tasks are done one by one, in their order.

    Args:
        store: The Redis that holds the ledger.
        catalog_id: The catalog's ID.
        catalog: Its name.
        kind: What is to be done (`workers.tasks`).
        parameters: Of that kind, as JSON.
        max_version: As for `Ledger.accept`.
        request_id: The ID of the request, for logs.
        key: The idempotency key that was begun for this request, if any.

    Returns:
        Its job, and whether it is new: where the same one has not ended in the catalog, that one is meant.

    Raises:
        Conflict: One of its kind with other parameters has not ended.
        QueueFull: Too many tasks of the catalog wait.
        CatalogNotFound: The catalog was removed meanwhile.
        LedgerUnavailable: Redis is away.
    """
    arguments = (
        catalog_id,
        catalog,
        kind,
        json.dumps(parameters, sort_keys=True),
        request_id,
        KEEP_SECONDS,
        key,
        KEEP_SECONDS,
    )
    answer = store.run("begin_task", *arguments)
    if answer[0] == b"unknown" and store.run("introduce", catalog_id, max_version(), 0):
        answer = store.run("begin_task", *arguments)
    if answer[0] == b"tasks":
        raise QueueFull(f"Too many tasks of catalog {catalog} wait already; send this later.")
    if answer[0] == b"other":
        raise Conflict(
            f"Job {answer[1].decode()} of catalog {catalog} is another task of this kind ({kind}): wait until it has "
            "ended, or cancel it."
        )
    if not answer[0].isdigit():
        raise CatalogNotFound(f"The catalog {catalog!r} was removed meanwhile.")
    number, found, is_new = answer
    fields = dict(zip(found[::2], found[1::2], strict=True))
    return with_waits(store, [(jobs.job(number.decode(), fields), fields)])[0], bool(is_new)
