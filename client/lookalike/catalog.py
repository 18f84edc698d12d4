"""A catalog of a service: its products, and what looks like what."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar, Unpack

from lookalike.changes import Change, ImageSource
from lookalike.feeds import PIECE, Feed
from lookalike.filters import FilterLike
from lookalike.jobs import Sent
from lookalike.pages import Page, Pages, page_of
from lookalike.products import Products, rows_at_once, rows_of
from lookalike.records import Answer, CatalogInfo, Facets, Job, Product, product_of
from lookalike.searching import QueryOptions, Searches, SearchOptions
from lookalike.steps import Steps
from lookalike.terms import TermLike
from lookalike.vectors import VectorLike, Vectors
from lookalike.wire import catalog_path

T = TypeVar("T")


class Run(Protocol):
    """Carries out operations."""

    def __call__(self, steps: Steps[T], /) -> T: ...


class Catalog:
    """A catalog of a service, made by `Client.catalog`. Every method raises `LookalikeError`s."""

    def __init__(self, name: str, run: Run, patience: float) -> None:
        self.name = name
        self._run = run
        self._patience = patience
        self._path = catalog_path(name)
        self._products = Products(self._path, patience)
        self._searches = Searches(self._path, patience)

    def __repr__(self) -> str:
        return f"Catalog({self.name!r})"

    def describe(self) -> CatalogInfo:
        """What the service says of it. Raises `NotFound`."""
        return self._run(self._products.describe())

    def declare(self, **options: Any) -> CatalogInfo:
        """Makes it, or indexes attributes: see `Client.create_catalog`."""
        return self._run(self._products.create(options))

    def remove(self) -> None:
        """Removes it and all that it has."""
        self._run(self._products.remove())

    def put(
        self,
        product_id: str,
        image: ImageSource,
        attributes: Mapping[str, Any] | None = None,
        *,
        wait: float | None = None,
        refuse_duplicates: bool = False,
    ) -> Job:
        """Sets a product.

        Args:
            product_id: Its ID.
            image: A file, the bytes of one, a URL, or the `image` of a product.
            attributes: They replace what is stored; None keeps it.
            wait: Seconds, up to 60, to wait for the outcome; None: what is accepted is enough.
            refuse_duplicates: Whether it fails where another product shows the picture.

        Raises:
            ChangeFailed: It was waited for and failed; `code` says why, such as `image_corrupt`.
        """
        duplicates = "refuse" if refuse_duplicates else None
        return self._run(self._products.change("PUT", product_id, image, attributes, wait=wait, duplicates=duplicates))

    def patch(
        self,
        product_id: str,
        attributes: Mapping[str, Any] | None = None,
        image: ImageSource | None = None,
        *,
        wait: float | None = None,
    ) -> Job:
        """Changes a product: attributes are merged into what is stored, None removes a name. Raises `ChangeFailed`."""
        return self._run(self._products.change("PATCH", product_id, image, attributes, wait=wait))

    def delete(self, product_id: str, *, wait: float | None = None) -> Job:
        """Removes a product; one that is not there ends as `unchanged`."""
        return self._run(self._products.change("DELETE", product_id, wait=wait))

    def put_many(
        self,
        changes: Iterable[Change],
        *,
        key: str | None = None,
        piece: int = PIECE,
        refuse_duplicates: bool = False,
    ) -> Sent:
        """Sends many changes: `Put`, `Patch` and `Delete`.

        No more are taken from `changes` than can be sent: memory stays the same whatever their number, and a service
        whose queue is full is waited for. A change that the service cannot take fails alone. Returns when all are
        accepted; `Client.wait` waits until they have ended.

        Args:
            changes: May be a generator; each is asked for once.
            key: Sent again with this key within a day, the same changes in the same order are the same jobs, whatever
                was accepted before. None: a new one, with which each request is repeated.
            piece: Changes of one request, and so of one job.
            refuse_duplicates: Whether puts fail whose pictures other products show.

        What interrupts it, Ctrl-C included, gets a note that says what was accepted by then; that goes on.
        """
        feed = Feed(self._path, self._patience, piece=piece, key=key, refuse_duplicates=refuse_duplicates)
        with feed.telling():
            for change in changes:
                if feed.add(change):
                    self._run(feed.take())
            return self._run(feed.end())

    def delete_matching(self, filter: FilterLike) -> Job:
        """Removes the products that match a filter when all that was accepted before has ended."""
        return self._run(self._products.delete_matching(filter))

    def get(self, product_id: str) -> Product:
        """Raises `NotFound`."""
        return self._run(self._products.get(product_id))

    def image(self, product_id: str) -> bytes:
        """The original picture of a product. Raises `NotFound`."""
        return self._run(self._products.file(product_id, "image"))

    def thumbnail(self, product_id: str) -> bytes:
        """A WebP of it whose longer side has 320 pixels. Raises `NotFound`."""
        return self._run(self._products.file(product_id, "thumbnail"))

    def products(
        self,
        *,
        filter: FilterLike | None = None,
        sort: str | None = None,
        total: bool | None = None,
        facets: Sequence[str] = (),
        with_vector: bool | None = None,
        limit: int | None = None,
    ) -> Pages[Product]:
        """All products, page by page: `for each in shop.products(): ...`.

        Args:
            filter: Which ones.
            sort: An attribute that is indexed as a number: `price`, or `-price`, largest first.
            total: Whether pages tell how many there are.
            facets: Attributes of which pages tell the facets.
            with_vector: Whether products have their vectors.
            limit: Products of a page.
        """
        options = {"sort": sort, "total": total, "with_vector": with_vector, "limit": limit}
        options["facets"] = ",".join(facets) or None

        def ask(cursor: str | None) -> Steps[Page[Product]]:
            return page_of(self._products.page(cursor, filter, options), "products", product_of)

        return Pages(self._run, ask)

    def vectors(
        self, *, filter: FilterLike | None = None, limit: int | None = None
    ) -> Iterator[tuple[list[str], Vectors]]:
        """The vectors of all products, `limit` at a time: their IDs, and float32 of shape (n, dim), of length one.

        Without `limit` as many as a few megabytes hold. Imports numpy.
        """
        limit = limit or rows_at_once(self.describe().dim)
        for page in self.products(filter=filter, with_vector=True, limit=limit).pages():
            yield rows_of(page.items)

    def count(self, filter: FilterLike | None = None) -> int:
        """How many products there are, or pass a filter."""
        return self._run(self._products.count(filter))

    def neighbors(self, product_id: str, **options: Unpack[SearchOptions]) -> Answer:
        """What looks like a product, best first, without itself. Raises `NotFound`."""
        return self._run(self._searches.neighbors(product_id, options))

    def search(
        self,
        *,
        product_id: str | None = None,
        image: Path | bytes | str | None = None,
        vector: VectorLike | None = None,
        **options: Unpack[SearchOptions],
    ) -> Answer:
        """What looks like a product, a picture (a file, the bytes of one, a URL) or a vector, best first."""
        return self._run(self._searches.search(options, product_id=product_id, image=image, vector=vector))

    def query(
        self,
        near: Sequence[TermLike] = (),
        *,
        like: Sequence[TermLike] = (),
        unlike: Sequence[TermLike] = (),
        **options: Unpack[QueryOptions],
    ) -> Answer:
        """What is near several things at once, and away from others.

        Args:
            near: Terms with weights: `[product("sneaker-12"), product("mug-3", -1), direction("floral", 0.5)]`.
            like: Examples of what is wanted.
            unlike: Examples of what is not.
            options: As of a search, and `exclude`, `min_percentile`, `diversity`, `group_by`, `group_size`, `explain`.
        """
        return self._run(self._searches.query(near, like, unlike, options))

    def path(
        self,
        start: TermLike,
        end: TermLike,
        *,
        steps: int | None = None,
        filter: FilterLike | None = None,
        color_weight: float | None = None,
    ) -> Answer:
        """So many products (6) that lead from one look to another."""
        return self._run(self._searches.path(start, end, steps, filter, color_weight))

    def facets(
        self, attributes: Sequence[str], *, filter: FilterLike | None = None, limit: int | None = None
    ) -> list[Facets]:
        """What products have for indexed attributes: up to `limit` (10) values of each."""
        return self._run(self._searches.facets(attributes, filter, limit))
