"""A catalog of a service, for programs that await: the methods are those of `Catalog`."""

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar, Unpack

from lookalike.changes import Change, ImageSource
from lookalike.feeds import PIECE, Feed
from lookalike.filters import FilterLike
from lookalike.jobs import Sent
from lookalike.pages import AsyncPages, Page, page_of
from lookalike.products import Products, rows_at_once, rows_of
from lookalike.records import Answer, CatalogInfo, Facets, Job, Product, product_of
from lookalike.searching import QueryOptions, Searches, SearchOptions
from lookalike.steps import Steps
from lookalike.terms import TermLike
from lookalike.vectors import VectorLike, Vectors
from lookalike.wire import catalog_path

T = TypeVar("T")


class AsyncRun(Protocol):
    """Carries out operations."""

    async def __call__(self, steps: Steps[T], /) -> T: ...


class AsyncCatalog:
    """A catalog of a service, made by `AsyncClient.catalog`."""

    def __init__(self, name: str, run: AsyncRun, patience: float) -> None:
        self.name = name
        self._run = run
        self._patience = patience
        self._path = catalog_path(name)
        self._products = Products(self._path, patience)
        self._searches = Searches(self._path, patience)

    def __repr__(self) -> str:
        return f"AsyncCatalog({self.name!r})"

    async def describe(self) -> CatalogInfo:
        """As `Catalog.describe`."""
        return await self._run(self._products.describe())

    async def declare(self, **options: Any) -> CatalogInfo:
        """As `Catalog.declare`."""
        return await self._run(self._products.create(options))

    async def remove(self) -> None:
        """As `Catalog.remove`."""
        await self._run(self._products.remove())

    async def put(
        self,
        product_id: str,
        image: ImageSource,
        attributes: Mapping[str, Any] | None = None,
        *,
        wait: float | None = None,
        refuse_duplicates: bool = False,
    ) -> Job:
        """As `Catalog.put`."""
        duplicates = "refuse" if refuse_duplicates else None
        return await self._run(
            self._products.change("PUT", product_id, image, attributes, wait=wait, duplicates=duplicates)
        )

    async def patch(
        self,
        product_id: str,
        attributes: Mapping[str, Any] | None = None,
        image: ImageSource | None = None,
        *,
        wait: float | None = None,
    ) -> Job:
        """As `Catalog.patch`."""
        return await self._run(self._products.change("PATCH", product_id, image, attributes, wait=wait))

    async def delete(self, product_id: str, *, wait: float | None = None) -> Job:
        """As `Catalog.delete`."""
        return await self._run(self._products.change("DELETE", product_id, wait=wait))

    async def put_many(
        self,
        changes: Iterable[Change] | AsyncIterable[Change],
        *,
        key: str | None = None,
        piece: int = PIECE,
        refuse_duplicates: bool = False,
    ) -> Sent:
        """As `Catalog.put_many`; `changes` may be an asynchronous generator."""
        feed = Feed(self._path, self._patience, piece=piece, key=key, refuse_duplicates=refuse_duplicates)
        with feed.telling():
            async for change in _awaited(changes):
                if feed.add(change):
                    await self._run(feed.take())
            return await self._run(feed.end())

    async def delete_matching(self, filter: FilterLike) -> Job:
        """As `Catalog.delete_matching`."""
        return await self._run(self._products.delete_matching(filter))

    async def get(self, product_id: str) -> Product:
        """As `Catalog.get`."""
        return await self._run(self._products.get(product_id))

    async def image(self, product_id: str) -> bytes:
        """As `Catalog.image`."""
        return await self._run(self._products.file(product_id, "image"))

    async def thumbnail(self, product_id: str) -> bytes:
        """As `Catalog.thumbnail`."""
        return await self._run(self._products.file(product_id, "thumbnail"))

    def products(
        self,
        *,
        filter: FilterLike | None = None,
        sort: str | None = None,
        total: bool | None = None,
        facets: Sequence[str] = (),
        with_vector: bool | None = None,
        limit: int | None = None,
    ) -> AsyncPages[Product]:
        """As `Catalog.products`: `async for product in shop.products(): ...`."""
        options = {"sort": sort, "total": total, "with_vector": with_vector, "limit": limit}
        options["facets"] = ",".join(facets) or None

        def ask(cursor: str | None) -> Steps[Page[Product]]:
            return page_of(self._products.page(cursor, filter, options), "products", product_of)

        return AsyncPages(self._run, ask)

    async def vectors(
        self, *, filter: FilterLike | None = None, limit: int | None = None
    ) -> AsyncIterator[tuple[list[str], Vectors]]:
        """As `Catalog.vectors`."""
        limit = limit or rows_at_once((await self.describe()).dim)
        async for page in self.products(filter=filter, with_vector=True, limit=limit).pages():
            yield rows_of(page.items)

    async def count(self, filter: FilterLike | None = None) -> int:
        """As `Catalog.count`."""
        return await self._run(self._products.count(filter))

    async def neighbors(self, product_id: str, **options: Unpack[SearchOptions]) -> Answer:
        """As `Catalog.neighbors`."""
        return await self._run(self._searches.neighbors(product_id, options))

    async def search(
        self,
        *,
        product_id: str | None = None,
        image: Path | bytes | str | None = None,
        vector: VectorLike | None = None,
        **options: Unpack[SearchOptions],
    ) -> Answer:
        """As `Catalog.search`."""
        return await self._run(self._searches.search(options, product_id=product_id, image=image, vector=vector))

    async def query(
        self,
        near: Sequence[TermLike] = (),
        *,
        like: Sequence[TermLike] = (),
        unlike: Sequence[TermLike] = (),
        **options: Unpack[QueryOptions],
    ) -> Answer:
        """As `Catalog.query`."""
        return await self._run(self._searches.query(near, like, unlike, options))

    async def path(
        self,
        start: TermLike,
        end: TermLike,
        *,
        steps: int | None = None,
        filter: FilterLike | None = None,
        color_weight: float | None = None,
    ) -> Answer:
        """As `Catalog.path`."""
        return await self._run(self._searches.path(start, end, steps, filter, color_weight))

    async def facets(
        self, attributes: Sequence[str], *, filter: FilterLike | None = None, limit: int | None = None
    ) -> list[Facets]:
        """As `Catalog.facets`."""
        return await self._run(self._searches.facets(attributes, filter, limit))


async def _awaited(changes: Iterable[Change] | AsyncIterable[Change]) -> AsyncIterator[Change]:
    if isinstance(changes, AsyncIterable):
        async for change in changes:
            yield change
    else:
        for change in changes:
            yield change
