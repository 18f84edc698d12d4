"""The same for programs that await: `AsyncClient` and `AsyncCatalog` have the methods of `Client` and `Catalog`."""

import asyncio
from collections.abc import Mapping
from typing import Any, Self, TypeVar, overload

import httpx2

from lookalike.aio_catalog import AsyncCatalog
from lookalike.errors import Unanswered
from lookalike.jobs import Jobs, Sent, Watch, ended, item_of, jobs_of
from lookalike.other_requests import requested
from lookalike.pages import AsyncPages, page_of
from lookalike.records import CatalogInfo, Item, Job, job_of, of
from lookalike.retries import PATIENCE, asked
from lookalike.steps import Call, Effect, Pause, Request, Response, Steps, Together
from lookalike.transport import AT_ONCE, answer_of, connection, sending, unanswered
from lookalike.wire import read

T = TypeVar("T")


class AsyncClient:
    """A connection to a service, for one event loop of asyncio. Arguments and errors are those of `Client`."""

    def __init__(self, url: str, api_key: str | None = None, *, patience: float = PATIENCE) -> None:
        self.url = url.rstrip("/")
        self.patience = patience
        self._http = httpx2.AsyncClient(**connection(url, api_key))
        self._jobs = Jobs(patience)
        self._was_there = False
        self._places = asyncio.Semaphore(AT_ONCE)

    def __repr__(self) -> str:
        return f"AsyncClient({self.url!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Ends the connections."""
        await self._http.aclose()

    def catalog(self, name: str) -> AsyncCatalog:
        """A catalog; nothing is asked yet."""
        return AsyncCatalog(name, self.run, self.patience)

    async def catalogs(self) -> list[CatalogInfo]:
        """As `Client.catalogs`."""
        answer = await self.run(asked(read("/v1/catalogs"), self.patience))
        return [of(CatalogInfo, each) for each in answer["catalogs"]]

    async def create_catalog(
        self,
        name: str,
        *,
        indexed_attributes: Mapping[str, str] | None = None,
        encoder: str | None = None,
        weights: str | None = None,
        resample: str | None = None,
        features: str | None = None,
        quantization: str | None = None,
    ) -> AsyncCatalog:
        """As `Client.create_catalog`."""
        catalog = self.catalog(name)
        await catalog.declare(
            indexed_attributes=indexed_attributes,
            encoder=encoder,
            weights=weights,
            resample=resample,
            features=features,
            quantization=quantization,
        )
        return catalog

    async def remove_catalog(self, name: str) -> None:
        """As `Client.remove_catalog`."""
        await self.catalog(name).remove()

    async def job(self, id: str) -> Job:
        """As `Client.job`."""
        return await self.run(self._jobs.get(id))

    def jobs(self, *, catalog: str | None = None, state: str | None = None) -> AsyncPages[Job]:
        """As `Client.jobs`."""
        return AsyncPages(self.run, lambda cursor: page_of(self._jobs.page(cursor, catalog, state), "jobs", job_of))

    def items(self, job: Job | str, *, state: str = "failed") -> AsyncPages[Item]:
        """As `Client.items`."""
        id = job if isinstance(job, str) else job.id
        return AsyncPages(self.run, lambda cursor: page_of(self._jobs.items(id, cursor, state), "items", item_of))

    async def cancel(self, job: Job | str) -> Job:
        """As `Client.cancel`."""
        return await self.run(self._jobs.cancel(job if isinstance(job, str) else job.id))

    async def retry(self, job: Job | str) -> Job:
        """As `Client.retry`."""
        return await self.run(self._jobs.retry(job if isinstance(job, str) else job.id))

    @overload
    async def wait(self, begun: Sent, *, on_progress: Watch | None = None, timeout: float | None = None) -> Sent: ...

    @overload
    async def wait(
        self, begun: Job | str, *, on_progress: Watch | None = None, timeout: float | None = None
    ) -> Job: ...

    async def wait(
        self, begun: Job | str | Sent, *, on_progress: Watch | None = None, timeout: float | None = None
    ) -> Job | Sent:
        """As `Client.wait`; `on_progress` is called and not awaited."""
        return ended(begun, await self.run(self._jobs.finished(jobs_of(begun), on_progress, timeout)))

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        key: str | None = None,
    ) -> Any:
        """As `Client.request`."""
        return await self.run(requested(method, path, params, json, key, self.patience))

    async def run(self, steps: Steps[T]) -> T:
        """Carries out an operation."""
        try:
            effect = next(steps)
            while True:
                try:
                    done = await self._done(effect)
                except BaseException as error:  # noqa: BLE001  the steps raise it again
                    effect = steps.throw(error)
                else:
                    effect = steps.send(done)
        except StopIteration as end:
            result: T = end.value
            return result

    async def _done(self, effect: Effect) -> Any:
        match effect:
            case Request():
                return await self._sent(effect)
            case Pause():
                return await asyncio.sleep(effect.seconds)
            case Call():
                return await asyncio.to_thread(effect.function)
            case Together():
                return await self._together(effect)

    async def _sent(self, request: Request) -> Response | Unanswered:
        with sending(request, is_async=True) as given:
            try:
                response = await self._http.request(**given)
            except httpx2.RequestError as error:
                return unanswered(self.url, error, was_there=self._was_there)
        self._was_there = True
        return answer_of(response)

    async def _together(self, effect: Together) -> list[Any]:
        async def placed(steps: Steps[Any]) -> Any:
            async with self._places:
                return await self.run(steps)

        tasks = [asyncio.ensure_future(placed(each)) for each in effect.steps]
        try:
            return [await each for each in tasks]
        finally:
            for each in tasks:
                each.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
