"""A job of a running service that a command waits for."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from api.client.connection import Client
from api.client.timings import Timings
from services.errors import Closed
from services.paging import paginate
from services.records import Outcome, Progress, State

PAGE = 1000
PAUSE = 0.1


def finished(
    client: Client,
    job: Mapping[str, Any],
    what: str,
    timings: Timings,
    watch: Callable[[Mapping[str, Any]], object] = lambda _: None,
) -> Mapping[str, Any]:
    """A job when it has finished; `watch` is called with it each time it is asked for.

    Raises `Closed`, which names what is not waited for any more.
    """
    while job["finished_at"] is None:
        if client.hurry.wait(timings.poll):
            raise Closed(f"{what} is not waited for any more: ask for job {job['id']}.")
        job = client.json("GET", f"/v1/jobs/{job['id']}", patience=timings.patience)
        watch(job)
    return job


class FollowedJob:
    """Tells what has happened to a job since it was last asked."""

    def __init__(self, client: Client, job: Mapping[str, Any], patience: float) -> None:
        """
        Args:
            client: The connection to the service.
            job: The job as the API describes it.
            patience: Seconds in which a service that cannot answer now is asked again.
        """
        self.id = str(job["id"])
        self._client = client
        self._path = f"/v1/jobs/{self.id}"
        self._patience = patience
        self._job = job
        self._told = dict.fromkeys(State, 0)
        self._failures_told = False

    @property
    def has_finished(self) -> bool:
        return self._job["finished_at"] is not None

    def ask(self) -> None:
        """Asks how far it is."""
        self._job = self._client.json("GET", self._path, patience=self._patience)

    def cancel(self, seconds: float) -> None:
        """Cancels the changes that wait, and waits so long at most for those that a worker has."""
        self._job = self._client.json("POST", f"{self._path}/cancel")
        until = time.monotonic() + seconds
        while not self.has_finished and time.monotonic() < until:
            time.sleep(PAUSE)
            self.ask()

    def news(self) -> Progress:
        """The changes that ended since this was last called."""
        counts = {state: int(self._job[state]) - told for state, told in self._told.items() if self._job[state] > told}
        self._told |= {state: int(self._job[state]) for state in State}
        return Progress(counts)

    def removal(self) -> Progress:
        """What it removed because nothing names it any more, once it has finished."""
        return Progress(removed=int(self._job.get("removed", 0)), not_removed=self._job.get("not_removed"))

    def failures(self) -> tuple[Outcome, ...]:
        """Its changes that failed, the first time this is called."""
        if self._failures_told:
            return ()
        self._failures_told = True
        return tuple(
            Outcome(item["product_id"], State.FAILED, item["code"], item["message"]) for item in paginate(self._page)
        )

    def _page(self, cursor: str | None) -> tuple[list[Any], str | None]:
        params = {"state": "failed", "limit": PAGE} | ({"cursor": cursor} if cursor else {})
        page = self._client.json("GET", f"{self._path}/items", params=params, patience=self._patience)
        return page["items"], page["next"]
