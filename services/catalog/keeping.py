"""How a catalog is kept: its declared attributes, its generations, what copies and upkeep need."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Self

from services.catalog import copying
from services.catalog.background import Background, attempt
from services.catalog.beside import Beside
from services.catalog.bringing import Pictures
from services.catalog.directions import KeptDirections
from services.catalog.duplicates import KeptDuplicates
from services.catalog.findings import KeptFindings
from services.catalog.mapping import KeptMap
from services.catalog.outliers import KeptOutliers
from services.catalog.picture_sizes import PictureSizes
from services.catalog.reading import Reading
from services.catalog.space import KeptSpace
from services.catalog.tombstones import purge, read_tombstones
from services.descriptions import AttributeKind, CatalogSpec, with_space
from services.images.intake import Intake
from services.index.vector_index import VectorIndex, never
from services.kinds import extended
from services.query.filters import checked_keys
from services.query.query import MAX_LIMIT
from services.records import Graph, OtherKinds, Point, Tombstone
from services.storage.media import Media

Describe = Callable[[Callable[[CatalogSpec], CatalogSpec]], CatalogSpec]
"""Changes the description of a catalog: makes the new one of what it is by then, and returns it. Raises
`CatalogNotFound` where the catalog has been removed."""


class Keeping(Reading):
    """The part of `Catalog` that changes no product by itself and needs no encoder of the live generation."""

    def __init__(
        self,
        spec: CatalogSpec,
        index: VectorIndex,
        intake: Intake,
        beside: Beside,
        *,
        save: Callable[[CatalogSpec], None],
        check_space: Callable[[int], None],
        batch_size: int,
        renew: Callable[[], Self] | None,
        describe: Describe | None,
        background: Background | None,
    ) -> None:
        super().__init__(spec, index, intake)
        self.beside = beside
        self._save = save
        self._check_space = check_space
        self._batch_size = batch_size
        self._renew = renew or (lambda: self)
        self._change = describe or (lambda change: change(self.spec))
        self._describing = threading.Lock()
        self.space = KeptSpace(
            *(index, spec.features, intake.media),
            described=lambda: self.spec.space,
            describe=partial(self._describe_space, spec.generation),
        )
        self.directions = KeptDirections(
            *(index, intake.media),
            described=lambda: self.spec,
            renewed=lambda: self._renew().spec,
            describe=self._describe_directions,
            space=self.space.now,
            beside=background.submit if background else attempt,
        )
        self.findings = KeptFindings(
            intake.media,
            described=lambda: self._renew().spec,
            describe=self._describe_findings,
        )
        self.outliers = KeptOutliers(index, self.findings, described=lambda: self.spec, space=self.space.now)
        self.map = KeptMap(index, self.findings, described=lambda: self.spec)
        self.duplicates = KeptDuplicates(
            *(index, self.findings, PictureSizes(intake)),
            described=lambda: self.spec,
            space=self.space.now,
        )

    def declare(self, attributes: Mapping[str, AttributeKind]) -> dict[str, OtherKinds]:
        """Indexes attributes, so that filters on them are fast and they have facets.

        From now on changes may set them to values of these kinds only. Values of other kinds that are stored stay, and
        an attribute that has some is not indexed until it is declared again when it has none. Returns how many
        products those are, and some, by attribute.

        Raises `Conflict` where an attribute is declared as another kind, `InvalidInput` where a name is none.
        """
        checked_keys(attributes)
        with self._describing:
            declared = extended(self.spec.indexed_attributes, attributes)
            self._describe(replace(self.spec, indexed_attributes=declared))
        for other in self.beside.indexes(self.spec.kept):
            other.declare(attributes)
        return self._index.declare(attributes)

    def purge(self, before: float, *, below: int | None) -> int:
        """Forgets products removed before that time with a lower version than `below` (None: any); returns how many.

        From then on an older change of one would bring it back.
        """

        def going(product_ids: Sequence[str]) -> None:
            # Where a removal is forgotten here and has not come there, the product would stay there.
            for each in self.spec.kept:
                self.beside.bring(each.id, product_ids)

        count = purge(self._index, before, below, going)
        for other in self.beside.indexes(self.spec.kept):
            purge(other, before, below)
        return count

    def points(self) -> Iterator[Point]:
        """Every product as the index keeps it, with its vector."""
        return copying.read_points(self._index, self._batch_size)

    def images(self) -> Iterator[str]:
        """The hash of every product's image, in no order, those among them that only another generation has."""
        for index in (self._index, *self.beside.indexes(self.spec.kept)):
            for point in copying.read_points(index, MAX_LIMIT, vectors=False):
                if point.image:
                    yield point.image

    def tombstones(self) -> Iterator[Tombstone]:
        """Every removed product that has not been purged."""
        return read_tombstones(self._index)

    def copy(self, points: Iterable[Point | Tombstone], originals: Media | None = None) -> int:
        """Writes what another catalog of this encoder has, versions included, and returns how many points and
        tombstones that were. What is newer here stays; images are taken from `originals` unless they are here.
        """
        return copying.write_points(
            self._index,
            points,
            self._intake,
            originals,
            batch_size=self._batch_size,
            check_space=self._check_space,
            written=self._follow,
        )

    def check_copy(self, source: "Keeping") -> None:
        """Raises `Conflict` unless it has as many products as its source, and the same newest version."""
        copying.check_copy(self.spec.name, source._index, self._index)

    def graph(self) -> Graph:
        """How many of the products the search graph holds, and what searches cost."""
        return self._index.graph()

    def optimize(self, canceled: Callable[[], bool] = never) -> bool:
        """Builds the search graph, and returns when it is in use; calls of other threads go on meanwhile.

        `canceled` is called often, and ends the build when it returns True. Returns whether a graph was built: False
        where none was due, or where it was canceled.

        Raises `Conflict` where it is being built already, `GraphNotBuilt`, `DataFull`, and `IndexUnavailable` where the
        catalog is closed meanwhile.
        """
        return self._index.optimize(check_space=self._check_space, canceled=canceled)

    def close(self) -> None:
        """Closes the index; calls in progress and later ones raise `IndexUnavailable`."""
        self._index.close()

    def _follow(self, product_ids: Sequence[str], pictures: Pictures | None = None) -> None:
        """Takes what was written to where else it has to be by the description as it is now, after the write."""
        if product_ids:
            now = self._renew()
            now.beside.follow(self.spec.generation, now.spec.kept, product_ids, pictures or {})

    def _max_version(self) -> int:
        others = self.beside.indexes(self.spec.kept)
        return max(self._index.max_version(), *(other.max_version() for other in others), 0)

    def _describe_space(self, generation: str, hash: str) -> None:
        with self._describing:
            self._change(lambda now: with_space(now, generation, hash))
            self.spec = replace(self.spec, space=hash)

    def _describe_directions(self, change: Callable[[CatalogSpec], CatalogSpec]) -> None:
        with self._describing:
            self.spec = replace(self.spec, directions=self._change(change).directions)

    def _describe_findings(self, change: Callable[[CatalogSpec], CatalogSpec]) -> None:
        with self._describing:
            now = self._change(change)
            self.spec = replace(self.spec, findings=now.findings, decisions=now.decisions)

    def _describe(self, spec: CatalogSpec) -> None:
        self._save(spec)
        # Generations may have got other states meanwhile.
        self.spec = replace(self.spec, fingerprint=spec.fingerprint, indexed_attributes=spec.indexed_attributes)
