"""What comes page by page: the next page is asked for when the items before it have been taken."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from lookalike.records import Facets, FilterWarning, facets_of, warnings_of
from lookalike.steps import Steps

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """One page. `total` and `facets` are of all pages and there if asked for; `warnings` say why there are no items."""

    items: Sequence[Item]
    next: str | None
    total: int | None = None
    facets: Sequence[Facets] | None = None
    warnings: Sequence[FilterWarning] = ()


PageSteps: TypeAlias = Callable[[str | None], Steps[Page[Item]]]
"""Asks for the page that a cursor names."""


def page_of(asked: Steps[Any], name: str, item: Callable[[Any], Item]) -> Steps[Page[Item]]:
    """A page out of the answer, which has its items under a name."""
    json = yield from asked
    facets = json.get("facets")
    return Page(
        [item(each) for each in json[name]],
        json["next"],
        total=json.get("total"),
        facets=None if facets is None else [facets_of(each) for each in facets],
        warnings=warnings_of(json),
    )


class Pages(Generic[Item]):
    """All items, to be iterated; `pages` gives them page by page."""

    def __init__(self, run: Callable[[Steps[Page[Item]]], Page[Item]], ask: PageSteps[Item]) -> None:
        self._run = run
        self._ask = ask

    def __iter__(self) -> Iterator[Item]:
        for page in self.pages():
            yield from page.items

    def pages(self, cursor: str | None = None) -> Iterator[Page[Item]]:
        """From the first page on, or from that of a cursor."""
        while True:
            page = self._run(self._ask(cursor))
            yield page
            if (cursor := page.next) is None:
                return


class AsyncPages(Generic[Item]):
    """All items, to be iterated; `pages` gives them page by page."""

    def __init__(self, run: Callable[[Steps[Page[Item]]], Awaitable[Page[Item]]], ask: PageSteps[Item]) -> None:
        self._run = run
        self._ask = ask

    async def __aiter__(self) -> AsyncIterator[Item]:
        async for page in self.pages():
            for item in page.items:
                yield item

    async def pages(self, cursor: str | None = None) -> AsyncIterator[Page[Item]]:
        """From the first page on, or from that of a cursor."""
        while True:
            page = await self._run(self._ask(cursor))
            yield page
            if (cursor := page.next) is None:
                return
