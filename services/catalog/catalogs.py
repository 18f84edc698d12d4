"""The catalogs of a process: one open `Catalog` for each, shared by all threads."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Protocol, Self
from uuid import uuid4

from services.catalog.catalog import Catalog
from services.catalog.fingerprint import check_fingerprint
from services.catalog.sharing import Sharing
from services.encoders.encoder import Encoder
from services.encoders.shared import SharedEncoder
from services.errors import CatalogExists, CatalogNotFound, Closed
from services.images.intake import Intake
from services.records import CatalogSpec

Save = Callable[[CatalogSpec], None]


class Registry(Protocol):
    """Where the descriptions of catalogs are kept."""

    def check(self) -> None:
        """Raises `IndexUnavailable` or `DataCorrupt` if the catalogs cannot be listed."""

    def catalogs(self) -> list[CatalogSpec]:
        """All, by name. Raises `DataCorrupt`."""

    def has_catalog(self, name: str) -> bool:
        """Raises `InvalidCatalog`."""

    def catalog(self, name: str) -> CatalogSpec:
        """Raises `CatalogNotFound`, `InvalidCatalog`, `DataCorrupt`."""

    def create(self, spec: CatalogSpec) -> None:
        """Adds a catalog whose name is free."""

    def save(self, spec: CatalogSpec) -> None:
        """Changes what can change of a catalog: fingerprint, weights, indexed attributes."""

    def remove(self, name: str) -> None:
        """Removes a catalog with its vectors. Raises `CatalogNotFound`."""

    def check_space(self, planned: int = 0) -> None:
        """Raises `DataFull` where so many bytes should not be written."""

    def close(self) -> None:
        """Closes it; it is unusable afterwards."""


class Catalogs:
    """The catalogs of this process, each opened at its first use and kept open. Thread-safe.

    Catalogs with the same encoder, weights and resampling share one encoder, and all share the intake.

    Args:
        registry: Where the descriptions are kept.
        sharing: Who else may change them.
        intake: Where images come from.
        open: Makes the `Catalog` of a description.
        load: Makes the encoder of a description.
    """

    def __init__(
        self,
        registry: Registry,
        sharing: Sharing,
        intake: Intake,
        *,
        open: Callable[[CatalogSpec, SharedEncoder, Save], Catalog],
        load: Callable[[CatalogSpec], Encoder],
    ) -> None:
        self.registry = registry
        self.intake = intake
        self._sharing = sharing
        self._new = open
        self._load = load
        self._lock = sharing.lock
        self._closed = False
        self._open: dict[str, Catalog] = {}
        self._read_at: dict[str, float] = {}
        self._encoders: dict[tuple[str, str, str], SharedEncoder] = {}

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
                catalog.close()
                raise
            self._open[spec.name] = catalog
            self._read_at[spec.name] = time.monotonic()
            return catalog

    def adopt(self, spec: CatalogSpec) -> Catalog:
        """The catalog of a description that comes from elsewhere: a new one, with a generation of its own, if there
        is none with its ID.

        Raises `CatalogExists` where the name is another catalog's.
        """
        if self.find(spec.name) is None:
            with suppress(CatalogExists):  # another thread or process was faster
                return self.create(replace(spec, generation=uuid4().hex))
        found = self.get(spec.name)
        if found.spec.id != spec.id:
            raise CatalogExists(f"There is another catalog {spec.name} already: remove it, or name another place.")
        return found

    def save(self, spec: CatalogSpec) -> None:
        """Changes the description of a catalog.

        Raises `CatalogNotFound` where it has been removed, `EncoderMismatch` where it has got another fingerprint.
        """
        with self._sharing.changing(spec.name):
            now = self.registry.catalog(spec.name)
            if now.id != spec.id:
                raise CatalogNotFound(f"The catalog {spec.name} was removed, and is another one now.")
            if spec.fingerprint:
                check_fingerprint(now, spec.fingerprint)
            # Another process may have declared attributes since this one read the description; none is ever undeclared.
            declared = {**now.indexed_attributes, **spec.indexed_attributes}
            self.registry.save(replace(spec, indexed_attributes=declared))

    def remove(self, name: str, id: str | None = None) -> None:
        """Removes a catalog with its vectors; calls in progress raise `IndexUnavailable` or `CatalogNotFound`.

        Raises `CatalogNotFound`, also where `id` is that of an earlier one of this name, and `InvalidCatalog`.
        """
        with self._lock:
            if id is not None and self.registry.catalog(name).id != id:
                raise CatalogNotFound(f"The catalog {name} was removed, and is another one now.")
            if catalog := self._open.pop(name, None):
                catalog.close()
            self.registry.remove(name)

    def encoder(self, spec: CatalogSpec) -> SharedEncoder:
        """The encoder that a catalog of this description works with; it is not loaded for this."""
        with self._lock:
            key = (spec.encoder, spec.weights, spec.resample)
            if key not in self._encoders:
                self._encoders[key] = SharedEncoder(lambda: self._load(spec))
            return self._encoders[key]

    def close(self) -> None:
        """Closes every catalog and encoder, and lets other processes work on the data. Idempotent."""
        with self._lock:
            for catalog in self._open.values():
                catalog.close()
            self._open.clear()
            self._closed = True
            for encoder in self._encoders.values():
                encoder.close()
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
                    self._open.pop(name).close()
            raise
        with self._lock:
            opened = self._open.get(name)
            if opened and self._read_at[name] > started:
                return opened
            if opened and (opened.spec.id, opened.spec.generation) == (spec.id, spec.generation):
                opened.spec = spec
            else:
                self._open[name] = self._opened(spec)
                if opened:
                    opened.close()
            self._read_at[name] = started
            return self._open[name]

    def _opened(self, spec: CatalogSpec) -> Catalog:
        if self._closed:
            raise Closed(f"Catalog {spec.name} is not opened any more, because this process ends; try again.")
        return self._new(spec, self.encoder(spec), self.save)
