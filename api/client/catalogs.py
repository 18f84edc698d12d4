"""The catalogs of a running service, for commands: what they use of `Catalogs` and `Catalog`, over its HTTP API."""

import json
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, as_completed, wait
from contextlib import suppress
from pathlib import Path
from typing import Any, Self, Unpack
from urllib.parse import quote
from uuid import uuid4

from httpx2 import Response

from api.client.connection import Client, kind_of, problem
from services.attributes import checked_attributes
from services.catalog.opening import CatalogOptions
from services.catalog.search import MAX_LIMIT, SearchOptions
from services.encoders.specs import IMAGENET, RANDOM, checked_spec, trained
from services.errors import (
    CatalogNotFound,
    Closed,
    DataLocked,
    ImageError,
    InvalidInput,
    ProductNotFound,
)
from services.images.budget import IN_HAND, ByteBudget
from services.images.decoder import Decoder, Limits
from services.images.files import read
from services.names import checked_catalog_name, checked_product_id
from services.paging import paginate
from services.query.filters import Filter
from services.records import (
    AttributeKind,
    CatalogSpec,
    Change,
    ChangeKind,
    Neighbor,
    Outcome,
    Product,
    State,
    failed,
)
from services.settings import Settings

AT_ONCE = 24
"""Changes under way: the service has 48 places for those who wait for an outcome, and others want some."""

WAIT = 5
"""Seconds that one request waits for its outcome; Ctrl-C waits no longer."""

PATIENCE = 150.0
"""Seconds in which a change that the service cannot take now is tried again: it may be started anew, and for half a
minute it takes a request that was begun before for one under way."""

POLL = 0.5
SILENCE = 10.0
"""Seconds without any outcome after which the encoder is asked for: perhaps it cannot be loaded."""

LOAD_SECONDS = 1000.0
"""That an encoder may take to load, its weights being fetched first."""

PIXEL = b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4//8/AAX+Av4N70a4AAAAAElFTkSuQmCC")
"""A white one, as PNG."""

Sent = dict[Future[Outcome], str]
"""The changes under way, and the product of each."""


class RemoteCatalogs:
    """The catalogs of the service at `url`."""

    def __init__(self, url: str, settings: Settings) -> None:
        self.url = url
        self._settings = settings
        self._client = Client(url, settings.api_key.get_secret_value())

    def specs(self) -> list[CatalogSpec]:
        """The descriptions of all catalogs, by name."""
        return [_spec(told) for told in self._client.json("GET", "/v1/catalogs")["catalogs"]]

    def find(self, name: str) -> CatalogSpec | None:
        """The description of a catalog, None where there is none. Raises `InvalidCatalog`."""
        try:
            return self.get(name).spec
        except CatalogNotFound:
            return None

    def get(self, name: str) -> "RemoteCatalog":
        """Raises `CatalogNotFound`, `InvalidCatalog`."""
        return RemoteCatalog(self._client, self._client.json("GET", _path(name)), self._settings)

    def open_or_create(self, name: str, **options: Unpack[CatalogOptions]) -> "RemoteCatalog":
        """The catalog of that name, or a new one, which stays only if its encoder can be loaded.

        Raises `EncoderMismatch` where there is one with other options, `EncoderError`s, and `DataLocked` for what the
        service takes from nobody: weights out of a file.
        """
        given = {**options, "weights": self._weights(name, options.get("weights"))}
        body = {option: value for option, value in given.items() if value is not None}
        answer = self._client.ask("PUT", _path(name), json=body)
        catalog = RemoteCatalog(self._client, answer.json(), self._settings)
        if catalog.spec.fingerprint is None:
            try:
                catalog.load_encoder()
            except BaseException:
                if answer.status_code == 201:
                    self.remove(name)
                raise
        return catalog

    def remove(self, name: str) -> None:
        """Removes a catalog with its vectors. Raises `CatalogNotFound`, `InvalidCatalog`."""
        self._client.ask("DELETE", _path(name))

    def hurry(self) -> None:
        """Has whoever uses this end soon: nothing is waited for any more."""
        self._client.hurry.set()

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _weights(self, name: str, weights: str | None) -> str | None:
        """What the service is to be told of them."""
        if weights is None or (spec := checked_spec(weights)) == IMAGENET or spec.startswith(RANDOM):
            return weights
        if (found := self.find(name)) and found.weights == spec:
            return None
        raise DataLocked(
            f"The service at {self.url} takes no weights out of files: stop it first (Ctrl-C there), index with them, "
            "and start it again."
        )


class RemoteCatalog:
    """A catalog of a running service: products, their looks and their attributes, as `Catalog` has them."""

    def __init__(self, client: Client, told: Mapping[str, Any], settings: Settings) -> None:
        self._client = client
        self._settings = settings
        self._path = _path(told["name"])
        self._told: Mapping[str, Any] | None = told
        self._room = ByteBudget(IN_HAND)

    @property
    def spec(self) -> CatalogSpec:
        """What the service tells of it; `id` and `generation` are the service's own and empty here."""
        return _spec(self._about())

    @property
    def trained(self) -> bool:
        """False where the vectors came out of random weights and so mean nothing."""
        return trained(self.spec.weights)

    @property
    def max_image_bytes(self) -> int:
        """Bytes that an image may have here; the service has a limit of its own."""
        return self._settings.max_image_bytes

    def put(self, changes: Iterable[Change]) -> Iterator[Outcome]:
        """Sends puts of files or bytes: an outcome for each, in the order in which they end.

        Changes of one product are sent in their order, and not more is taken from `changes` than is under way. Raises
        what concerns all: then, and at Ctrl-C, no more is sent, and what is under way is told if it ends soon.
        """
        pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="put")
        sent: Sent = {}
        try:
            for change in changes:
                while len(sent) == AT_ONCE or change.product_id in sent.values():
                    yield from self._ended(sent)
                if self._client.hurry.is_set():
                    raise Closed("No more is sent, because this process ends; try again.")
                sent[pool.submit(self._put, change)] = change.product_id
                yield from _taken(sent, [future for future in sent if future.done()])
            while sent:
                yield from self._ended(sent)
        except (Exception, KeyboardInterrupt):
            self._client.hurry.set()
            for future in as_completed(sent):
                if future.exception() is None:
                    yield future.result()
            raise
        finally:
            if sent:
                self._client.hurry.set()
            pool.shutdown(wait=False, cancel_futures=True)
            self._told = None

    def remove(self, product_ids: Sequence[str]) -> list[Outcome]:
        """Removes products; one that is not there is a failed outcome. Raises `InvalidProductID`."""
        product_ids = [checked_product_id(each) for each in dict.fromkeys(product_ids)]
        self._told = None
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="remove") as pool:
            return list(pool.map(self._remove, product_ids))

    def load_encoder(self) -> None:
        """Has the service load the encoder now. Raises `EncoderError`s, `EncoderMismatch`."""
        with suppress(ImageError):  # it was loaded, and found nothing in this
            self.search_image(PIXEL, limit=1)
        self._told = None

    def get(self, product_id: str) -> Product:
        """Raises `ProductNotFound`."""
        return _product(self._client.json("GET", self._of(product_id)))

    def scroll(
        self, *, after: str | None = None, limit: int = 100, filter: Filter | None = None
    ) -> tuple[list[Product], str | None]:
        """The next products in an order of the index's own, and the cursor that goes on (None: that was all)."""
        query = {"limit": limit, "cursor": after, "filter": filter and json.dumps(_json(filter))}
        params = {name: value for name, value in query.items() if value is not None}
        page = self._client.json("GET", f"{self._path}/products", params=params)
        return [_product(told) for told in page["products"]], page["next"]

    def search_image(self, image: bytes, **options: Unpack[SearchOptions]) -> list[Neighbor]:
        """The products that look most like a picture, best first.

        Raises `ImageError`s, `EncoderError`s, `EncoderMismatch`, `InvalidInput`.
        """
        parts = {"image": ("image", image), "query": (None, json.dumps(_options(options)))}
        return self._neighbors(files=parts, seconds=LOAD_SECONDS)

    def neighbors(self, product_id: str, **options: Unpack[SearchOptions]) -> list[Neighbor]:
        """The products that look most like one of the catalog, best first, without itself.

        Raises `ProductNotFound`, `InvalidInput`.
        """
        return self._neighbors(json={"product_id": checked_product_id(product_id), **_options(options)})

    def thumbnail(self, product_id: str) -> bytes:
        """A WebP of the image whose longer side has 320 pixels. Raises `ProductNotFound`, `MediaNotFound`."""
        return self._client.ask("GET", f"{self._of(product_id)}/thumbnail").content

    def thumbnail_of(self, image: bytes) -> bytes:
        """The same of a picture that is in no catalog, made here. Raises `ImageError`s."""
        given = self._settings
        limits = Limits(given.max_image_bytes, given.max_image_pixels)
        with Decoder(1, given.decode_timeout, given.decode_memory, limits) as decoder:
            return decoder.submit_thumbnail(image).result()

    def count(self, filter: Filter | None = None) -> int:
        """How many products there are; with a filter they are looked through."""
        if filter is None:
            return int(self._about()["products"])
        return sum(1 for _ in paginate(lambda cursor: self.scroll(after=cursor, limit=MAX_LIMIT, filter=filter)))

    def declare(self, attributes: Mapping[str, AttributeKind]) -> None:
        """Indexes attributes. Raises `Conflict` where one is indexed as another kind."""
        body = {"indexed_attributes": {name: kind.value for name, kind in attributes.items()}}
        self._told = self._client.json("PUT", self._path, json=body)

    def _about(self) -> Mapping[str, Any]:
        if self._told is None:
            self._told = self._client.json("GET", self._path)
        return self._told

    def _of(self, product_id: str) -> str:
        return f"{self._path}/products/{_segment(checked_product_id(product_id))}"

    def _neighbors(self, **body: Any) -> list[Neighbor]:
        found = self._client.json("POST", f"{self._path}/search", **body)["neighbors"]
        return [Neighbor(each["product_id"], each["score"], each["attributes"]) for each in found]

    def _ended(self, sent: Sent) -> Iterator[Outcome]:
        """Waits for a change."""
        while not (done := wait(sent, SILENCE, FIRST_COMPLETED).done):
            self.load_encoder()
        yield from _taken(sent, done)

    def _put(self, change: Change) -> Outcome:
        try:
            with self._room.hold(_size(change.image)) as correct:
                image = read(change.image, self.max_image_bytes) if isinstance(change.image, Path) else change.image
                assert isinstance(image, bytes), "commands put files and bytes"
                correct(len(image))
                attributes = None if change.attributes is None else checked_attributes(change.attributes)
                answer = self._send("PUT", change.product_id, **_body(image, attributes))
        except (InvalidInput, ImageError) as error:
            return failed(change.product_id, error)
        return self._outcome(change, answer)

    def _remove(self, product_id: str) -> Outcome:
        outcome = self._outcome(Change(product_id, ChangeKind.DELETE), self._send("DELETE", product_id))
        if outcome.state is State.UNCHANGED:
            try:
                self.get(product_id)
            except ProductNotFound as error:
                return failed(product_id, error)
        return outcome

    def _send(self, method: str, product_id: str, headers: Mapping[str, str] | None = None, **body: Any) -> Response:
        # Sent again after a lost answer, it is the same change.
        headers = {"Idempotency-Key": uuid4().hex, **(headers or {})}
        path = self._of(product_id)
        return self._client.send(method, path, params={"wait": WAIT}, headers=headers, patience=PATIENCE, **body)

    def _outcome(self, change: Change, answer: Response) -> Outcome:
        """The outcome of a change that was sent: what is wrong with it alone is one. Raises what concerns all."""
        if answer.status_code in (413, 422):
            told = problem(answer)
            return _failed(change, told["code"], told["detail"])
        if answer.status_code >= 400:
            raise self._client.error(answer)
        job = answer.json()
        path = f"/v1/jobs/{job['id']}"
        while job["finished_at"] is None:
            if self._client.hurry.wait(POLL):
                raise Closed(
                    f"The outcome of {change.product_id!r} is not waited for any more: ask for job {job['id']}."
                )
            job = self._client.json("GET", path, patience=PATIENCE)
        state = next(state for state in State if job[state])
        if state is not State.FAILED:
            return Outcome(change.product_id, state)
        [item] = self._client.json("GET", f"{path}/items", patience=PATIENCE)["items"]
        return _failed(change, item["code"], item["message"])


def _taken(sent: Sent, done: Iterable[Future[Outcome]]) -> Iterator[Outcome]:
    for future in done:
        del sent[future]
        yield future.result()


def _path(name: str) -> str:
    return f"/v1/catalogs/{_segment(checked_catalog_name(name))}"


def _segment(text: str) -> str:
    """Text as one segment of a path: dots, too, where a client would follow them."""
    return text.replace(".", "%2E") if text in (".", "..") else quote(text, safe="")


def _spec(told: Mapping[str, Any]) -> CatalogSpec:
    fields = {
        name: told[name]
        for name in ("name", "encoder", "weights", "resample", "dim", "fingerprint", "created_at", "quantization")
    }
    kinds = {name: AttributeKind(kind) for name, kind in told["indexed_attributes"].items()}
    return CatalogSpec(**fields, id="", generation="", indexed_attributes=kinds)


def _product(told: Mapping[str, Any]) -> Product:
    return Product(told["product_id"], told["attributes"], told["image"], told["version"])


def _json(filter: Filter) -> Any:
    return filter.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def _options(options: SearchOptions) -> dict[str, Any]:
    """As JSON, which has no word for a number that is none."""
    min_score, filter = options.get("min_score"), options.get("filter")
    if min_score is not None and not -1 <= min_score <= 1:
        raise InvalidInput(f"The lowest score {min_score} is refused; it goes from -1 to 1.")
    given = {**options, "filter": filter and _json(filter)}
    return {name: value for name, value in given.items() if value is not None}


def _body(image: bytes, attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    if attributes is None:
        return {"content": image, "headers": {"Content-Type": "application/octet-stream"}}
    return {"files": {"image": ("image", image), "attributes": (None, json.dumps(attributes, ensure_ascii=False))}}


def _size(image: object) -> int:
    """Bytes of an image, 0 where nobody can tell."""
    with suppress(OSError, ValueError):
        return image.stat().st_size if isinstance(image, Path) else len(image) if isinstance(image, bytes) else 0
    return 0


def _failed(change: Change, code: str, message: str) -> Outcome:
    """Names the file, which the service did not know."""
    kind = kind_of(code)
    if isinstance(change.image, Path) and kind and issubclass(kind, ImageError):
        message = f"{change.image}: {message}"
    return Outcome(change.product_id, State.FAILED, code, message)
