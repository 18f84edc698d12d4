"""The catalogs of a process: one open `Catalog` for each, shared by all threads."""

import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Self
from uuid import uuid4

from services.catalog.background import Background
from services.catalog.catalog import Catalog
from services.catalog.encoders import CatalogEncoder, Encoders
from services.catalog.fingerprint import check_comparable, check_fingerprint
from services.catalog.keeping import Describe
from services.catalog.open_generation import OpenGeneration
from services.catalog.registry import Registry
from services.catalog.sharing import Sharing
from services.catalog.versions import Versions
from services.descriptions import CatalogSpec, Generation, as_live, with_what_it_lacks
from services.encoders.encoder import Encoder
from services.encoders.networks import form_of
from services.encoders.shared import SharedEncoder
from services.errors import CatalogExists, CatalogNotFound, Closed, IndexUnavailable
from services.images.intake import Intake
from services.index.vector_index import VectorIndex

Save = Callable[[CatalogSpec], None]


@dataclass(frozen=True, slots=True)
class Parts:
    """What a `Catalog` is made of besides its description: see there."""

    index: VectorIndex
    encoder: CatalogEncoder
    save: Save
    describe: Describe
    others: Sequence[OpenGeneration]
    versions: Versions | None
    renew: Callable[[], Catalog]
    background: Background


class Catalogs:
    """The catalogs of this process, each opened at its first use and kept open. Thread-safe.

    Catalogs with the same encoder, weights and resampling share one encoder, and all share the intake. An index is open
    once, whichever catalogs use it: after a switch of generations, requests in progress end on the one that they began
    on.

    Args:
        registry: Where the descriptions are kept.
        sharing: Who else may change them.
        intake: Where images come from.
        open: Makes the `Catalog` of a description.
        open_index: Opens the index of a description's live generation.
        load: Makes the encoder of a description; of `tuned` features, the one that gives the layers.
    """

    def __init__(
        self,
        registry: Registry,
        sharing: Sharing,
        intake: Intake,
        *,
        open: Callable[[CatalogSpec, Parts], Catalog],
        open_index: Callable[[CatalogSpec], VectorIndex],
        load: Callable[[CatalogSpec], Encoder],
    ) -> None:
        self.registry = registry
        self.intake = intake
        self._sharing = sharing
        self._new = open
        self._open_index = open_index
        self._lock = sharing.lock
        self._closed = False
        self._open: dict[str, Catalog] = {}
        self._indexes: dict[tuple[str, str, str], VectorIndex] = {}
        self.background = Background()
        self._read_at: dict[str, float] = {}
        self._encoders = Encoders(load, intake.media.read_object)

    def specs(self) -> list[CatalogSpec]:
        """The descriptions of all catalogs, by name. Raises `DataCorrupt`."""
        with self._sharing.reading():
            return self.registry.catalogs()

    def find(self, name: str) -> CatalogSpec | None:
        """The description of a catalog, None where there is none. Raises `InvalidCatalog`, `DataCorrupt`."""
        with self._sharing.reading():
            return self.registry.catalog(name) if self.registry.has_catalog(name) else None

    def get(self, name: str) -> Catalog:
        """Raises `CatalogNotFound`, `InvalidCatalog`, `DataCorrupt`."""
        # No lock for what is open: opening another catalog may take a while.
        if catalog := self._fresh(name):
            return catalog
        with self._sharing.reading():
            return self._fresh(name) or self._read(name)

    def renewed(self, name: str) -> Catalog:
        """The catalog as it is described at this moment. Raises what `get` does."""
        with self._sharing.reading():
            return self._read(name)

    def by_id(self, id: str) -> Catalog:
        """The catalog that has this ID. Raises `CatalogNotFound`, `DataCorrupt`."""
        for catalog in [*self._open.values()]:
            if catalog.spec.id == id and self.get(catalog.spec.name).spec.id == id:
                return self.get(catalog.spec.name)
        with self._sharing.reading():
            for spec in self.registry.catalogs():
                if spec.id == id:
                    return self.get(spec.name)
        raise CatalogNotFound(f"There is no catalog with the ID {id}: it was removed.")

    def create(self, spec: CatalogSpec) -> Catalog:
        """A new, empty catalog; no encoder is loaded. Raises `CatalogExists`, `DataFull`, `DataNotWritable`."""
        with self._sharing.changing(spec.name):
            if self.registry.has_catalog(spec.name):
                raise CatalogExists(f"There is a catalog {spec.name} already; give another --catalog.")
            self.registry.check_space()
            # The description comes last: a catalog is there when its vectors can be.
            catalog = self._opened(spec)
            try:
                self.registry.create(spec)
            except BaseException:
                self._close_indexes(spec.name)
                raise
            self._open[spec.name] = catalog
            self._read_at[spec.name] = time.monotonic()
            return catalog

    def adopt(self, spec: CatalogSpec) -> Catalog:
        """The catalog of a description that comes from elsewhere: a new one, with a generation of its own, if there
        is none with its ID. One that is there gets the directions, findings and decisions that it lacks.

        Raises `CatalogExists` where the name is another catalog's, `EncoderMismatch` where the one that is there has
        vectors of another encoder.
        """
        if self.find(spec.name) is None:
            with suppress(CatalogExists):  # another thread or process was faster
                return self.create(replace(spec, generation=uuid4().hex, generations=()))
        found = self.get(spec.name)
        if found.spec.id != spec.id:
            raise CatalogExists(f"There is another catalog {spec.name} already: remove it, or name another place.")
        check_comparable(found.spec, spec)
        if with_what_it_lacks(found.spec, spec) != found.spec:
            return self.describe(found.spec, lambda now: with_what_it_lacks(now, spec))
        return found

    def save(self, spec: CatalogSpec) -> None:
        """Changes fingerprint, weights and indexed attributes of a catalog.

        Raises `CatalogNotFound` where it has been removed, `EncoderMismatch` where it has got another fingerprint.
        """

        def change(now: CatalogSpec) -> CatalogSpec:
            # Another process may have declared attributes since this one read the description; none is ever undeclared.
            changed = replace(now, indexed_attributes={**now.indexed_attributes, **spec.indexed_attributes})
            if now.generation != spec.generation:
                return changed
            if spec.fingerprint:
                check_fingerprint(now, spec.fingerprint)
            return replace(changed, fingerprint=spec.fingerprint, weights=spec.weights)

        self._change(spec.name, spec.id, change)

    def describe(self, spec: CatalogSpec, change: Callable[[CatalogSpec], CatalogSpec]) -> Catalog:
        """Changes the description of a catalog: `change` makes the new one of what it is by then, while nobody else
        changes it. Returns the catalog as it is described then.

        Raises `CatalogNotFound` where it has been removed, and what `change` does.
        """
        self._change(spec.name, spec.id, change)
        with self._sharing.reading():
            return self._read(spec.name)

    def remove_vectors(self, spec: CatalogSpec) -> None:
        """Removes the vectors of a description's live generation, which the catalog has no more. Idempotent."""
        with self._lock:
            if index := self._indexes.pop(_key(spec), None):
                index.close()
        self.registry.remove_vectors(spec)

    def remove(self, name: str, id: str | None = None) -> None:
        """Removes a catalog with its vectors; calls in progress raise `IndexUnavailable` or `CatalogNotFound`.

        Raises `CatalogNotFound`, also where `id` is that of an earlier one of this name, and `InvalidCatalog`.
        """
        with self._lock:
            if id is not None and self.registry.catalog(name).id != id:
                raise CatalogNotFound(f"The catalog {name} was removed, and is another one now.")
            gone = self._open.pop(name, None)
            self._close_indexes(name)
            if gone:
                self._release_encoders(gone.spec)
            self.registry.remove(name)

    def encoder(self, spec: CatalogSpec) -> CatalogEncoder:
        """The encoder that a catalog of this description works with; it is not loaded for this."""
        with self._lock:
            return self._encoders.of(spec)

    def network(self, spec: CatalogSpec) -> SharedEncoder:
        """What gives the layers of `tuned` features, of which something is to be learned yet."""
        with self._lock:
            return self._encoders.network(spec)

    def release(self, spec: CatalogSpec) -> None:
        """Lets go of an encoder that was needed for a while, unless a catalog works with it."""
        with self._lock:
            self._release_encoders(spec)

    def close(self) -> None:
        """Closes every catalog and encoder, and lets other processes work on the data. Idempotent."""
        self.background.close()
        with self._lock:
            self._open.clear()
            for index in self._indexes.values():
                index.close()
            self._indexes.clear()
            self._closed = True
            self._encoders.close()
            self.intake.close()
            self.registry.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _fresh(self, name: str) -> Catalog | None:
        """A catalog that is open, and of which what was read still counts."""
        catalog = self._open.get(name)
        return catalog if catalog and self._sharing.is_fresh(self._read_at.get(name, 0.0)) else None

    def _read(self, name: str) -> Catalog:
        """Opens a catalog as it is described now. Of several threads that read, the one that began last counts."""
        started = time.monotonic()
        try:
            spec = self.registry.catalog(name)
        except CatalogNotFound:
            with self._lock:
                if name in self._open and self._read_at[name] <= started:
                    gone = self._open.pop(name)
                    self._close_indexes(name)
                    self._release_encoders(gone.spec)
            raise
        with self._lock:
            opened = self._open.get(name)
            if opened and self._read_at[name] > started:
                return opened
            if opened and _generations(opened.spec) == _generations(spec):
                opened.spec = spec
            else:
                self._open[name] = self._opened(spec, opened)
                self._close_indexes(name, {(name, *each) for each in _generations(spec)})
                if opened:
                    self._release_encoders(opened.spec)
            self._read_at[name] = started
            return self._open[name]

    def _opened(self, spec: CatalogSpec, before: Catalog | None = None) -> Catalog:
        self._check_open(spec.name)
        parts = Parts(
            index=self._index(spec),
            encoder=self.encoder(spec),
            save=self.save,
            describe=partial(self._change, spec.name, spec.id),
            others=[self._other(spec, each) for each in spec.kept],
            versions=before.versions if before and before.spec.id == spec.id else None,
            renew=partial(self.renewed, spec.name),
            background=self.background,
        )
        return self._new(spec, parts)

    def _other(self, spec: CatalogSpec, generation: Generation) -> OpenGeneration:
        its_own = as_live(spec, generation)

        def open_index() -> VectorIndex:
            with self._lock:
                self._check_open(spec.name)
                now = self._open.get(spec.name)
                if now is None or (spec.id, generation.id) not in _generations(now.spec):
                    raise IndexUnavailable(f"Generation {generation.id} of catalog {spec.name} was dropped.")
                return self._index(its_own)

        return OpenGeneration(its_own, open_index, self.encoder(its_own), form_of(its_own))

    def _index(self, spec: CatalogSpec) -> VectorIndex:
        key = _key(spec)
        if key not in self._indexes:
            self._indexes[key] = self._open_index(spec)
        return self._indexes[key]

    def _close_indexes(self, name: str, kept: Collection[tuple[str, str, str]] = ()) -> None:
        """Closes the indexes of a catalog that are not to be kept."""
        for key in [key for key in self._indexes if key[0] == name and key not in kept]:
            self._indexes.pop(key).close()

    def _release_encoders(self, before: CatalogSpec) -> None:
        """Forgets those of an earlier description that no open catalog works with now."""
        self._encoders.release(before, [each.spec for each in self._open.values()])

    def _check_open(self, name: str) -> None:
        if self._closed:
            raise Closed(f"Catalog {name} is not opened any more, because this process ends; try again.")

    def _change(self, name: str, id: str, change: Callable[[CatalogSpec], CatalogSpec]) -> CatalogSpec:
        with self._sharing.changing(name):
            now = self.registry.catalog(name)
            if now.id != id:
                raise CatalogNotFound(f"The catalog {name} was removed, and is another one now.")
            changed = change(now)
            self.registry.save(changed)
            return changed


def _key(spec: CatalogSpec) -> tuple[str, str, str]:
    return spec.name, spec.id, spec.generation


def _generations(spec: CatalogSpec) -> list[tuple[str, str]]:
    """The generations of a description that are kept, the live one first, each with the catalog's ID."""
    return [(spec.id, each) for each in (spec.generation, *(other.id for other in spec.kept))]
