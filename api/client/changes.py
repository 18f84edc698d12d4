"""Removing products of a running service, many at a time, and following each to its outcome."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

from httpx2 import Response

from api.client.connection import Client, problem
from api.client.job import finished
from api.client.timings import Timings
from api.client.wire import product_path
from services.catalog.removal import Removed
from services.errors import ProductNotFound
from services.records import Outcome, State, failed

AT_ONCE = 24
"""Changes in progress: the service has 48 places for requests that wait for an outcome, and others want some."""


class Removals:
    """Removes products of one catalog."""

    def __init__(self, client: Client, path: str, timings: Timings) -> None:
        """
        Args:
            client: The connection to the service.
            path: The catalog's.
            timings: How long changes are waited for.
        """
        self._client = client
        self._path = path
        self._timings = timings

    def remove(self, product_ids: Iterable[str]) -> list[Outcome]:
        """Removes products; one that is not there is a failed outcome."""
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="remove") as pool:
            return list(pool.map(self._remove, product_ids))

    def remove_matching(self, filter: Any) -> Removed:
        """Removes the products that match a filter, of which JSON is given."""
        headers, patience = {"Idempotency-Key": uuid4().hex}, self._timings.patience
        path = f"{self._path}/products/delete"
        job = self._client.json("POST", path, json={"filter": filter}, headers=headers, patience=patience)
        job = finished(self._client, job, "The removal", self._timings)
        return Removed(job["removed"], job["not_removed"])

    def _remove(self, product_id: str) -> Outcome:
        # Sent again after a lost answer, it is the same change.
        answer = self._client.send(
            "DELETE",
            product_path(self._path, product_id),
            params={"wait": self._timings.wait},
            headers={"Idempotency-Key": uuid4().hex},
            patience=self._timings.patience,
        )
        outcome = self._outcome(product_id, answer)
        if outcome.state is State.UNCHANGED:
            try:
                self._client.json("GET", product_path(self._path, product_id))
            except ProductNotFound as error:
                return failed(product_id, error)
        return outcome

    def _outcome(self, product_id: str, answer: Response) -> Outcome:
        """The outcome of a removal that was sent. Raises errors that concern more than this one."""
        if answer.status_code in (413, 422):
            refusal = problem(answer)
            return Outcome(product_id, State.FAILED, refusal["code"], refusal["detail"])
        if answer.status_code >= 400:
            raise self._client.error(answer)
        job = finished(self._client, answer.json(), f"The outcome of {product_id!r}", self._timings)
        state = next(state for state in State if job[state])
        if state is not State.FAILED:
            return Outcome(product_id, state)
        [item] = self._client.json("GET", f"/v1/jobs/{job['id']}/items", patience=self._timings.patience)["items"]
        return Outcome(product_id, State.FAILED, item["code"], item["message"])
