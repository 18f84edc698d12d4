"""A catalog of a running service, for commands: what they use of `Catalog`, over the HTTP API."""

import json
from base64 import b64decode
from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Unpack

from api.client.changes import Removals
from api.client.connection import Client
from api.client.directions import RemoteDirections
from api.client.duplicates import RemoteDuplicates
from api.client.feed import Feed, Sync
from api.client.maps import RemoteMap
from api.client.outliers import RemoteOutliers
from api.client.queries import Queries
from api.client.tasks import done_task
from api.client.timings import TIMINGS, Timings
from api.client.uploads import Uploads
from api.client.wire import (
    catalog_path,
    product_path,
    search_json,
    to_facets,
    to_neighbor,
    to_other_kinds,
    to_product,
    to_spec,
    to_warning,
)
from services.catalog.facets import AttributeFacets
from services.catalog.removal import Removed
from services.catalog.search import SearchOptions
from services.descriptions import AttributeKind, CatalogSpec
from services.encoders.specs import trained
from services.errors import ImageError, ProductNotFound
from services.images.decoder import Decoder
from services.images.limits import Limits
from services.names import checked_product_id
from services.paging import paginate
from services.query.filters import Filter, as_json
from services.query.query import MAX_LIMIT, Query
from services.query.terms import Example
from services.records import Answer, Change, FilterWarning, Neighbor, OtherKinds, Outcome, Product, Progress
from services.settings import Settings

LOAD_SECONDS = 1000.0
"""That an encoder may take to load, its weights being fetched first."""

ASKED_AT_ONCE = 8

PIXEL = b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4//8/AAX+Av4N70a4AAAAAElFTkSuQmCC")
"""A white one, as PNG."""


class RemoteCatalog:
    """A catalog of a running service: products, their looks and their attributes, as `Catalog` has them."""

    def __init__(
        self, client: Client, description: Mapping[str, Any], settings: Settings, timings: Timings = TIMINGS
    ) -> None:
        """
        Args:
            client: The connection to the service.
            description: The catalog as the API describes it.
            settings: Those of this command.
            timings: How long changes are waited for.
        """
        self._client = client
        self._settings = settings
        self._path = catalog_path(description["name"])
        self._description: Mapping[str, Any] | None = description
        uploads = Uploads(client, self._path, settings.max_image_bytes, timings.patience)
        self._feed = Feed(client, self._path, uploads, self.load_encoder, timings)
        self._removals = Removals(client, self._path, timings)
        self._queries = Queries(client, self._path, LOAD_SECONDS)
        self.directions = RemoteDirections(client, self._path, lambda: self.spec.features, timings)
        self.outliers = RemoteOutliers(client, self._path, timings)
        self.map = RemoteMap(client, self._path, timings)
        self.duplicates = RemoteDuplicates(client, self._path, timings)
        self._timings = timings

    @property
    def spec(self) -> CatalogSpec:
        """What the service says of it; `id` and `generation` are the service's own and empty here."""
        return to_spec(self._described())

    @property
    def trained(self) -> bool:
        """False where the vectors came out of random weights and so mean nothing."""
        return trained(self.spec.weights)

    @property
    def max_image_bytes(self) -> int:
        """Bytes that an image may have here; the service has a limit of its own."""
        return self._settings.max_image_bytes

    def feed(self, changes: Iterable[Change], sync: Sync | None = None) -> Generator[Progress, None, None]:
        """Sends puts as one job, as `Feed.put` does."""
        try:
            yield from self._feed.put(changes, sync)
        finally:
            self._description = None

    def held(self, product_ids: Collection[str]) -> set[str]:
        """Those of these products that there are."""
        # A page of products is about as dear as one of them.
        if len(product_ids) * MAX_LIMIT > self.count():
            asked = frozenset(product_ids)
            products = paginate(lambda cursor: self.scroll(after=cursor, limit=MAX_LIMIT))
            return {product.product_id for product in products if product.product_id in asked}
        with ThreadPoolExecutor(ASKED_AT_ONCE, thread_name_prefix="held") as pool:
            return {
                each for each, is_here in zip(product_ids, pool.map(self._has, product_ids), strict=True) if is_here
            }

    def remove(self, product_ids: Sequence[str]) -> list[Outcome]:
        """Removes products; one that is not there is a failed outcome. Raises `InvalidProductID`."""
        product_ids = [checked_product_id(each) for each in dict.fromkeys(product_ids)]
        self._description = None
        return self._removals.remove(product_ids)

    def remove_matching(self, filter: Filter) -> Removed:
        """Removes the products that match a filter. Raises `InvalidFilter` where it has no condition."""
        self._description = None
        return self._removals.remove_matching(as_json(filter))

    def load_encoder(self) -> None:
        """Has the service load the encoder now. Raises `EncoderError`s, `EncoderMismatch`."""
        with suppress(ImageError):  # it was loaded, and found nothing in this
            self.search_image(PIXEL, limit=1)
        self._description = None

    def get(self, product_id: str) -> Product:
        """Raises `ProductNotFound`."""
        return to_product(self._client.json("GET", product_path(self._path, product_id)))

    def scroll(
        self, *, after: str | None = None, limit: int = 100, filter: Filter | None = None, sort: str | None = None
    ) -> tuple[list[Product], str | None]:
        """The next products, and the cursor of the next page (None: there is none), as `Catalog.scroll` gives them."""
        page = self._products(cursor=after, limit=limit, filter=filter, sort=sort)
        return [to_product(each) for each in page["products"]], page["next"]

    def attribute_facets(
        self, attributes: Sequence[str], *, limit: int = 10, filter: Filter | None = None
    ) -> list[AttributeFacets]:
        """What the products that pass a filter have for indexed attributes, as `Catalog.attribute_facets` does."""
        body = {"attributes": [*attributes], "limit": limit}
        if filter is not None:
            body["filter"] = as_json(filter)
        return [to_facets(each) for each in self._client.json("POST", f"{self._path}/facets", json=body)["facets"]]

    def warnings(self, filter: Filter | None) -> list[FilterWarning]:
        """Keys of a filter that no product has, where no product passes it."""
        # An older service says nothing.
        found = [] if filter is None else self._products(limit=1, filter=filter).get("warnings", [])
        return [to_warning(each) for each in found]

    def search_image(self, image: bytes, **options: Unpack[SearchOptions]) -> list[Neighbor]:
        """The products that look most like a picture, best first.

        Raises `ImageError`s, `EncoderError`s, `EncoderMismatch`, `InvalidInput`.
        """
        parts = {"image": ("image", image), "query": (None, json.dumps(search_json(options)))}
        return self._neighbors(files=parts, seconds=LOAD_SECONDS)

    def neighbors(self, product_id: str, **options: Unpack[SearchOptions]) -> list[Neighbor]:
        """The products that look most like one of the catalog, best first, without itself.

        Raises `ProductNotFound`, `InvalidInput`.
        """
        return self._neighbors(json={"product_id": checked_product_id(product_id), **search_json(options)})

    def query(self, query: Query) -> Answer:
        """What a query finds, best first; its pictures are sent, `queries.MAX_PICTURES` at most.

        Raises what `Catalog.query` does.
        """
        return self._queries.query(query)

    def path(
        self,
        start: Example,
        end: Example,
        steps: int,
        *,
        filter: Filter | None = None,
        color_weight: float | None = None,
    ) -> Answer:
        """So many products between two, as `Catalog.path` finds them."""
        return self._queries.path(start, end, steps, filter=filter, color_weight=color_weight)

    def thumbnail(self, product_id: str) -> bytes:
        """A WebP of the image whose longer side has 320 pixels. Raises `ProductNotFound`, `MediaNotFound`."""
        return self._client.ask("GET", f"{product_path(self._path, product_id)}/thumbnail").content

    def thumbnail_of(self, image: bytes) -> bytes:
        """The same of a picture that is in no catalog, made here. Raises `ImageError`s."""
        settings = self._settings
        limits = Limits(settings.max_image_bytes, settings.max_image_pixels)
        with Decoder(1, settings.decode_timeout, settings.decode_memory, limits) as decoder:
            return decoder.submit_thumbnail(image).result()

    def count(self, filter: Filter | None = None) -> int:
        """How many products there are; with a filter they are looked through."""
        if filter is None:
            return int(self._described()["products"])
        return sum(1 for _ in paginate(lambda cursor: self.scroll(after=cursor, limit=MAX_LIMIT, filter=filter)))

    def declare(self, attributes: Mapping[str, AttributeKind]) -> dict[str, OtherKinds]:
        """Indexes attributes; says which products have values of other kinds, as `Catalog.declare` does.

        Raises `Conflict` where one is indexed as another kind.
        """
        body = {"indexed_attributes": {name: kind.value for name, kind in attributes.items()}}
        self._description = described = self._client.json("PUT", self._path, json=body)
        return to_other_kinds(described.get("other_kinds", {}))

    def optimize(self) -> bool:
        """Has the service build the search graph, and waits for it; True if there was work."""
        return bool(done_task(self._client, f"{self._path}/optimize", "The graph", self._timings)["built"])

    def _has(self, product_id: str) -> bool:
        try:
            self.get(product_id)
        except ProductNotFound:
            return False
        return True

    def _described(self) -> Mapping[str, Any]:
        """What the service said last, if nothing changed since."""
        if self._description is None:
            self._description = self._client.json("GET", self._path)
        return self._description

    def _products(self, *, filter: Filter | None, **query: Any) -> Any:
        query["filter"] = filter and json.dumps(as_json(filter))
        params = {name: value for name, value in query.items() if value is not None}
        return self._client.json("GET", f"{self._path}/products", params=params)

    def _neighbors(self, **body: Any) -> list[Neighbor]:
        answer = self._client.json("POST", f"{self._path}/search", **body)
        return [to_neighbor(each) for each in answer["neighbors"]]
