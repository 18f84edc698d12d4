"""The client: a connection to a service, its catalogs and its jobs."""

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self, TypeVar, overload

import httpx2

from lookalike.catalog import Catalog
from lookalike.errors import Unanswered
from lookalike.jobs import Jobs, Sent, Watch, ended, item_of, jobs_of
from lookalike.other_requests import requested
from lookalike.pages import Pages, page_of
from lookalike.records import CatalogInfo, Item, Job, job_of, of
from lookalike.retries import PATIENCE, asked
from lookalike.steps import Call, Effect, Pause, Request, Response, Steps, Together
from lookalike.transport import AT_ONCE, answer_of, connection, sending, unanswered
from lookalike.wire import read

T = TypeVar("T")


class Interrupted(Exception):
    """Something else failed, or was interrupted, that this was done together with."""


class Client:
    """A connection to a service, for many threads at a time.

    Args:
        url: Where the service answers, `http://127.0.0.1:8080`.
        api_key: The key to send; None: LOOKALIKE_API_KEY of the environment, if there is one.
        patience: Seconds in which a request is sent again where that can help and does no harm.

    Every method raises `LookalikeError`s: what the service refused, or `Unanswered`.
    """

    def __init__(self, url: str, api_key: str | None = None, *, patience: float = PATIENCE) -> None:
        self.url = url.rstrip("/")
        self.patience = patience
        self._http = httpx2.Client(**connection(url, api_key))
        self._jobs = Jobs(patience)
        self._was_there = False
        self._none = threading.Event()
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connections."""
        if self._pool:
            self._pool.shutdown(wait=False, cancel_futures=True)
        self._http.close()

    def catalog(self, name: str) -> Catalog:
        """A catalog; nothing is asked yet."""
        return Catalog(name, self.run, self.patience)

    def catalogs(self) -> list[CatalogInfo]:
        """All catalogs, by name."""
        return [of(CatalogInfo, each) for each in self.run(asked(read("/v1/catalogs"), self.patience))["catalogs"]]

    def create_catalog(
        self,
        name: str,
        *,
        indexed_attributes: Mapping[str, str] | None = None,
        encoder: str | None = None,
        weights: str | None = None,
        resample: str | None = None,
        features: str | None = None,
        quantization: str | None = None,
    ) -> Catalog:
        """Makes a catalog, or finds that it is there with these options, and indexes attributes, by their kinds:
        `keyword`, `integer`, `float`, `bool`. Options left out are as the service has them."""
        catalog = self.catalog(name)
        catalog.declare(
            indexed_attributes=indexed_attributes,
            encoder=encoder,
            weights=weights,
            resample=resample,
            features=features,
            quantization=quantization,
        )
        return catalog

    def remove_catalog(self, name: str) -> None:
        """Removes a catalog and all that it has."""
        self.catalog(name).remove()

    def job(self, id: str) -> Job:
        """How far a job is."""
        return self.run(self._jobs.get(id))

    def jobs(self, *, catalog: str | None = None, state: str | None = None) -> Pages[Job]:
        """Jobs, the newest first."""
        return Pages(self.run, lambda cursor: page_of(self._jobs.page(cursor, catalog, state), "jobs", job_of))

    def items(self, job: Job | str, *, state: str = "failed") -> Pages[Item]:
        """The changes of a job that failed, or with `waiting` those that have not ended."""
        id = job if isinstance(job, str) else job.id
        return Pages(self.run, lambda cursor: page_of(self._jobs.items(id, cursor, state), "items", item_of))

    def cancel(self, job: Job | str) -> Job:
        """Cancels the changes of a job that wait; those that a worker has are finished."""
        return self.run(self._jobs.cancel(job if isinstance(job, str) else job.id))

    def retry(self, job: Job | str) -> Job:
        """A new job of the changes of a finished one that failed."""
        return self.run(self._jobs.retry(job if isinstance(job, str) else job.id))

    @overload
    def wait(self, begun: Sent, *, on_progress: Watch | None = None, timeout: float | None = None) -> Sent: ...

    @overload
    def wait(self, begun: Job | str, *, on_progress: Watch | None = None, timeout: float | None = None) -> Job: ...

    def wait(
        self, begun: Job | str | Sent, *, on_progress: Watch | None = None, timeout: float | None = None
    ) -> Job | Sent:
        """Waits until a job has finished, or all of what `put_many` sent.

        Args:
            begun: The job, its ID, or what `put_many` returned.
            on_progress: Called again and again with how far it is.
            timeout: Seconds that it may take; None: as long as it takes.

        Raises:
            TimeoutError: It has not finished in that time. Like Ctrl-C, this leaves the job going on, and its notes say
                how far it is.
        """
        return ended(begun, self.run(self._jobs.finished(jobs_of(begun), on_progress, timeout)))

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        key: str | None = None,
    ) -> Any:
        """Any request of the HTTP API that has no method here, and its answer as JSON; None where that is empty.

        Reading is sent again where that can help; anything else only with an Idempotency-Key.
        """
        return self.run(requested(method, path, params, json, key, self.patience))

    def run(self, steps: Steps[T]) -> T:
        """Carries out an operation."""
        return self._run(steps, self._none)

    def _run(self, steps: Steps[T], hurry: threading.Event) -> T:
        try:
            effect = next(steps)
            while True:
                try:
                    done = self._done(effect, hurry)
                except BaseException as error:  # noqa: BLE001  the steps raise it again
                    effect = steps.throw(error)
                else:
                    effect = steps.send(done)
        except StopIteration as end:
            result: T = end.value
            return result

    def _done(self, effect: Effect, hurry: threading.Event) -> Any:
        match effect:
            case Request():
                return self._sent(effect)
            case Pause():
                if hurry.wait(effect.seconds):
                    raise Interrupted
                return None
            case Call():
                return effect.function()
            case Together():
                return self._together(effect)

    def _sent(self, request: Request) -> Response | Unanswered:
        with sending(request, is_async=False) as given:
            try:
                response = self._http.request(**given)
            except httpx2.RequestError as error:
                return unanswered(self.url, error, was_there=self._was_there)
        self._was_there = True
        return answer_of(response)

    def _together(self, effect: Together) -> list[Any]:
        with self._lock:
            self._pool = self._pool or ThreadPoolExecutor(AT_ONCE, thread_name_prefix="lookalike")
        hurry = threading.Event()
        futures = [self._pool.submit(self._run, each, hurry) for each in effect.steps]
        try:
            return [each.result() for each in futures]
        except BaseException:
            hurry.set()
            for each in futures:
                each.cancel()
            raise
