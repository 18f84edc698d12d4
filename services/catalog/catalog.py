"""A catalog: products by ID, and what looks like what."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Unpack

from services.attributes import checked_attributes, merged
from services.catalog import removal
from services.catalog.background import Background
from services.catalog.beside import Beside
from services.catalog.embeddings import read_embeddings, write_embeddings
from services.catalog.encoders import CatalogEncoder
from services.catalog.fingerprint import check_fingerprint
from services.catalog.keeping import Describe, Keeping
from services.catalog.matches import lowest
from services.catalog.open_generation import OpenGeneration
from services.catalog.plan import not_found
from services.catalog.search import Searcher, SearchOptions
from services.catalog.stream import applied
from services.catalog.versions import Versions
from services.catalog.writer import Finish, Writer
from services.descriptions import CatalogSpec, Form
from services.encoders.specs import trained
from services.images.intake import Intake, Observe, Picture, nothing
from services.index.vector_index import VectorIndex
from services.names import checked_product_id
from services.query.filters import Filter
from services.query.query import Query
from services.query.terms import Example
from services.records import (
    Answer,
    Attributes,
    Change,
    ChangeKind,
    Embedding,
    Neighbor,
    Outcome,
    Pixels,
    Product,
    State,
    Vector,
    Vectors,
    failed,
)


class Catalog(Keeping):
    """Products, their looks and their attributes. Thread-safe.

    The encoder is loaded when an image first needs it: reading and `neighbors` never load it.

    `index` keeps the products and `intake` brings images as pixels of this `form`; `save` keeps a changed
    description, `check_space` raises `DataFull` where so many bytes should not be written, and `observe` is called with
    the stages of every batch. `batch_size` products are written or read at a time.

    All that it reads and writes is of one generation, the one that was live when it was opened. `others` are those
    beside it, to which its changes go, too; `background` takes them there. `renew` gives the catalog as it is described
    now, and `describe` changes that. `versions` are shared with whoever has it open otherwise.
    """

    def __init__(
        self,
        spec: CatalogSpec,
        index: VectorIndex,
        intake: Intake,
        encoder: CatalogEncoder,
        *,
        form: Form,
        save: Callable[[CatalogSpec], None],
        check_space: Callable[[int], None],
        batch_size: int,
        observe: Observe = nothing,
        others: Sequence[OpenGeneration] = (),
        versions: Versions | None = None,
        renew: Callable[[], "Catalog"] | None = None,
        background: Background | None = None,
        describe: Describe | None = None,
    ) -> None:
        live = OpenGeneration(spec, lambda: index, encoder, form)
        beside = Beside(live, {each.id: each for each in others}, intake, check_space, background)
        super().__init__(
            *(spec, index, intake, beside),
            save=save,
            check_space=check_space,
            batch_size=batch_size,
            renew=renew,
            describe=describe,
            background=background,
        )
        self._encoder = encoder
        self.versions = versions or Versions()
        self.versions.count_from(self._max_version)
        self._writer = Writer(
            index,
            spec.name,
            intake,
            form=form,
            encode=self._encode,
            kinds=lambda: self.kinds,
            versions=self.versions,
            check_space=check_space,
            observe=observe,
            forms=lambda: self.beside.forms,
            lowest=lambda: lowest(self.space.now()),
            written=self._applied,
        )
        self._searcher = Searcher(
            index,
            spec.name,
            features=spec.features,
            take=lambda image: intake.picture_now(image, form),
            load_encoder=self.load_encoder,
            encode=partial(encoder.encode, urgent=True),
            space=self.space.now,
            direction=self.directions.named,
        )

    @property
    def trained(self) -> bool:
        """False where the vectors came out of random weights and so mean nothing."""
        return trained(self.spec.weights)

    @property
    def loading_seconds(self) -> float:
        """How long this process took to load the encoder; 0 while it has not."""
        return self._encoder.loading_seconds

    def apply(self, changes: Sequence[Change]) -> list[Outcome]:
        """Applies one batch, at most one change a product, and returns how each ended, in their order.

        An outcome that is returned survives the process. A change that is older than what is stored is superseded, and
        one that is stored already is applied: applying a batch again is harmless, in whatever order batches come. A
        product whose image is the stored one is not encoded again. A change without a version gets the next one, and
        writes nothing where nothing changes. An image that cannot be fetched or decoded is a failed outcome.

        Raises what concerns the whole batch (`EncoderError`s, `EncoderMismatch`, `DataFull`, `IndexUnavailable`,
        `DecodingUnavailable`): applying it again is then right, too.
        """
        return self._writer.apply(changes)

    def apply_early(self, changes: Sequence[Change]) -> tuple[list[Outcome], Finish | None]:
        """Applies a batch as `apply`, but goes on without late images (`services.images.intake` says which are late).

        Returns the outcomes of the other changes, and a function that waits for the late images and applies their
        changes; None where no image is late.
        """
        return self._writer.apply_early(changes)

    def put(self, changes: Iterable[Change]) -> Iterator[Outcome]:
        """Applies a stream of changes: an outcome for each, in the order in which they end.

        Raises what `apply` does; what was applied by then stays applied, and its outcomes have been given.
        """
        return applied(changes, self.apply, self._batch_size)

    def put_embeddings(self, embeddings: Iterable[Embedding]) -> Iterator[Outcome]:
        """Sets products whose features are known already; nothing is encoded."""
        return write_embeddings(
            self._index,
            embeddings,
            self.versions,
            lambda: self.kinds,
            batch_size=self._batch_size,
            check_space=self._check_space,
            written=self._follow,
        )

    def embeddings(self) -> Iterator[Embedding]:
        """Raw features, attributes and image hash of every product."""
        return read_embeddings(self._index, self._batch_size)

    def load_encoder(self) -> None:
        """Loads the encoder now. Raises `EncoderError`s, `EncoderMismatch`."""
        fingerprint = self._encoder.fingerprint()
        with self._describing:
            check_fingerprint(self.spec, fingerprint)
            if self.spec.fingerprint is None:
                self._describe(replace(self.spec, fingerprint=fingerprint))

    def patch(self, product_id: str, attributes: Attributes) -> Product:
        """Changes some attributes: JSON Merge Patch (RFC 7396), so None removes one.

        Raises `ProductNotFound`, `InvalidAttributes`.
        """
        # Raises what would be a failed outcome.
        merged(self._point(product_id).attributes, self.kinds.checked(checked_attributes(attributes)))
        self.apply([Change(product_id, ChangeKind.PATCH, attributes=attributes)])
        return self.get(product_id)

    def remove(self, product_ids: Sequence[str]) -> list[Outcome]:
        """Removes products; one that is not there is a failed outcome. Raises `InvalidProductID`."""
        product_ids = [checked_product_id(each) for each in dict.fromkeys(product_ids)]
        outcomes = self.apply([Change(each, ChangeKind.DELETE) for each in product_ids])
        return [
            failed(each.product_id, not_found(each.product_id, self.spec.name))
            if each.state is State.UNCHANGED
            else each
            for each in outcomes
        ]

    def begin(self) -> removal.Since:
        """Begins a feed that names all products: puts from now on get higher versions."""
        return removal.Since(self.versions.next(0), self.count())

    def remove_unnamed(
        self, names: removal.Names, since: removal.Since, *, max_removed: float = removal.MAX_REMOVED
    ) -> removal.Removed:
        """Removes the products that a feed did not name and nothing has changed since it began.

        If they were more than `max_removed` of the products that the catalog had when it began (1: any number is
        right), none is removed, and the answer says `too_many_removed`. Raises `InvalidInput`.
        """
        if removal.too_many(self.removable(since.version, names=names), since.most(max_removed)):
            return removal.Removed(0, removal.TOO_MANY)
        return self._removed(self.removable(since.version, names=names), since.version)

    def remove_matching(self, filter: Filter) -> removal.Removed:
        """Removes the products that match a filter. Raises `InvalidFilter` where it has no condition."""
        version = self.versions.next(0)
        return self._removed(self.removable(version, filter=removal.checked_filter(filter)), version)

    def removable(
        self, version: int, *, names: removal.Names | None = None, filter: Filter | None = None
    ) -> Iterator[list[str]]:
        """The IDs of products with a lower version that match the filter and are not named, a page at a time."""
        return removal.removable(self._index, version, names, filter)

    def search(self, vector: Vector, **options: Unpack[SearchOptions]) -> list[Neighbor]:
        """The products nearest to a vector of any length, best first. Raises `InvalidVector`, `InvalidInput`."""
        return self._searcher.by_vector(vector, **options)

    def search_image(self, image: bytes, **options: Unpack[SearchOptions]) -> list[Neighbor]:
        """The products that look most like a picture, best first.

        Raises `ImageError`s, `EncoderError`s, `EncoderMismatch`, `InvalidInput`.
        """
        return self._searcher.by_image(image, **options)

    def neighbors(self, product_id: str, **options: Unpack[SearchOptions]) -> list[Neighbor]:
        """The products that look most like one of the catalog, best first, without itself.

        Raises `ProductNotFound`, `InvalidInput`.
        """
        return self._searcher.by_product(checked_product_id(product_id), **options)

    def query(self, query: Query) -> Answer:
        """What a query finds, best first, and what to know of it.

        Raises `InvalidQuery` and other `InvalidInput`s, `ProductNotFound`, `DirectionNotFound`, `TooFewProducts`, and
        with pictures what `search_image` does.
        """
        return self._searcher.answer(query)

    def path(
        self,
        start: Example,
        end: Example,
        steps: int,
        *,
        filter: Filter | None = None,
        color_weight: float | None = None,
    ) -> Answer:
        """So many products between two, no two the same, in even steps; fewer where there are not as many.

        Raises what `query` does.
        """
        return self._searcher.path(start, end, steps, filter=filter, color_weight=color_weight)

    def _removed(self, pages: Iterable[Sequence[str]], version: int) -> removal.Removed:
        deletes = (Change(each, ChangeKind.DELETE, version=version) for page in pages for each in page)
        return removal.Removed(sum(outcome.state is State.APPLIED for outcome in self.put(deletes)))

    def _applied(self, outcomes: Sequence[Outcome], pictures: Mapping[str, Picture]) -> None:
        # Those that were applied before, too: who did may have died before they followed.
        self._follow([each.product_id for each in outcomes if each.state is not State.FAILED], pictures)

    def _encode(self, pixels: Pixels) -> Vectors:
        self.load_encoder()
        return self._encoder.encode(pixels)
