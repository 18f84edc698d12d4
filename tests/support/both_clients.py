"""One way to speak with both clients: scenarios await, and a client that does not await is made one that does."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import Any

from lookalike import AsyncClient, Client
from lookalike.catalog import Catalog
from lookalike.pages import Pages

NOT_AWAITED = ("catalog", "products", "items", "jobs", "vectors")
"""Methods that ask nothing by themselves."""


class _Pages:
    def __init__(self, pages: Pages[Any]) -> None:
        self._pages = pages

    def __aiter__(self) -> AsyncIterator[Any]:
        return _each(self._pages)

    def pages(self, *arguments: Any) -> AsyncIterator[Any]:
        return _each(self._pages.pages(*arguments))


class Awaited:
    """A `Client` or its `Catalog` with the interface of those that await. It waits in a thread, beside the loop."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._real, name)
        if not callable(member):
            return member
        if name in NOT_AWAITED:
            return lambda *arguments, **named: _wrapped(member(*arguments, **named))

        async def call(*arguments: Any, **named: Any) -> Any:
            return _wrapped(await asyncio.to_thread(member, *arguments, **named))

        return call


def _wrapped(result: Any) -> Any:
    if isinstance(result, Catalog):
        return Awaited(result)
    if isinstance(result, Pages):
        return _Pages(result)
    if isinstance(result, Iterator):
        return _each(result)
    return result


async def _each(items: Iterable[Any]) -> AsyncIterator[Any]:
    for item in items:
        yield item


def carry_out(kind: str, url: str, scenario: Callable[[Any], Awaitable[None]], **options: Any) -> None:
    """Has the client of a kind, `sync` or `async`, go through a scenario."""

    async def run() -> None:
        if kind == "async":
            async with AsyncClient(url, **options) as client:
                await scenario(client)
        else:
            with Client(url, **options) as client:
                await scenario(Awaited(client))

    asyncio.run(run())
