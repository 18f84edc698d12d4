"""Tasks of a running service that a command begins and waits for."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

from api.client.connection import Client, kind_of
from api.client.job import finished
from api.client.timings import Timings
from services.errors import Conflict


def telling(report: Callable[[int, int], object]) -> Callable[[Mapping[str, Any]], object]:
    """Watches a task: reports how much is done, and of how much, as soon as that is known."""

    def watch(task: Mapping[str, Any]) -> None:
        if task["total"]:
            report(task["done"], task["total"])

    return watch


def done_task(
    client: Client,
    path: str,
    what: str,
    timings: Timings,
    *,
    method: str = "POST",
    body: Mapping[str, Any] | None = None,
    watch: Callable[[Mapping[str, Any]], object] = lambda _: None,
) -> Mapping[str, Any]:
    """Begins a task and returns its result; Ctrl-C cancels it.

    Args:
        client: The connection to the service.
        path: Where the request is sent that begins it.
        what: What it makes, for messages.
        timings: How long it is waited for.
        method: That of the request.
        body: What the request says, as JSON.
        watch: Called with the task, again and again.

    Raises what the task ended with, `Conflict` where it was canceled.
    """
    sent: dict[str, Any] = {} if body is None else {"json": body}
    key = {"Idempotency-Key": uuid4().hex}

    def begun() -> Mapping[str, Any]:
        job: Mapping[str, Any] = client.json(method, path, headers=key, patience=timings.patience, **sent)
        return job

    job: Mapping[str, Any] = {}
    try:
        job = begun()
        job = finished(client, job, what, timings, lambda now: watch(now["task"]))
    except KeyboardInterrupt:
        # Its answer may not have come yet: the same request again tells which job it has become.
        client.json("POST", f"/v1/jobs/{(job or begun())['id']}/cancel")
        raise
    task = job["task"]
    if task["result"] is not None:
        result: Mapping[str, Any] = task["result"]
        return result
    if task["message"] is None:
        raise Conflict(f"{what} was not finished: job {job['id']} was canceled; begin it again.")
    raise (kind_of(task["code"]) or Conflict)(task["message"])
