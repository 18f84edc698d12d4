"""Writing a backup: everything that was accepted, as the bytes of one file, while the service is running."""

import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import islice
from typing import TypeVar

import numpy as np

from services.backup.members import (
    AT_ONCE,
    FORMAT,
    CatalogEntry,
    ChangeLine,
    Manifest,
    Packer,
    ProductLine,
    TombstoneLine,
    jsonl,
    npy,
)
from services.catalog.catalogs import Catalogs
from services.catalog.objects import objects
from services.descriptions import CatalogSpec, as_live, live
from services.errors import CatalogNotFound, Conflict, FeaturesNotFound, MediaNotFound
from services.ledger import Ledger
from services.records import Change, Lane, Point, RemoteImage, StoredImage
from services.storage.media import Media

T = TypeVar("T")


def backup(catalogs: Catalogs, ledger: Ledger) -> Iterator[bytes]:
    """Yields the bytes of a backup of all catalogs (the format is in services.backup.members).

    It contains every change that was accepted before it began, applied or unfinished, and possibly some later ones.
    That depends on the order: first the unfinished changes, then the products. A change that finishes in between is
    in both, and applying it again at the same version has no effect; in the other order it could be in neither.

    If an error is raised, the bytes so far have no manifest, so they are not taken for a backup.

    Raises:
        LedgerUnavailable: The ledger does not answer.
        IndexUnavailable: The index does not answer.
        DataCorrupt: The description of a catalog is damaged.
        Conflict: A catalog was removed meanwhile.
    """
    now = time.time()
    run = _Run(catalogs, ledger, Packer(now))
    specs = catalogs.specs()
    for spec in specs:
        # First: while a backup is restored, workers encode with it what comes.
        yield from run.objects(spec)
    for spec in specs:
        yield from run.changes(spec)
    for spec in specs:
        yield from run.products(spec)
    yield from run.packer.end(
        Manifest(
            format=FORMAT,
            made_by=version("lookalike"),
            created_at=datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            catalogs=run.entries,
            changes=run.count,
            originals=run.originals,
            members=run.packer.hashes,
        )
    )


class _Run:
    """A backup in progress, and the counts for its manifest."""

    def __init__(self, catalogs: Catalogs, ledger: Ledger, packer: Packer) -> None:
        self._catalogs = catalogs
        self._ledger = ledger
        self.packer = packer
        self.entries: list[CatalogEntry] = []
        self.count = 0
        self.originals = 0
        self._packs = 0
        self._highest: dict[str, int] = {}
        # Half of each hash, to save memory: 80 bytes for each image.
        self._packed: set[bytes] = set()

    @property
    def _media(self) -> Media:
        return self._catalogs.intake.media

    def changes(self, spec: CatalogSpec) -> Iterator[bytes]:
        """The unfinished changes of a catalog, with the images that were uploaded with them."""
        for batch in _batches(self._ledger.unfinished(spec.id), AT_ONCE):
            self._packs += 1
            self.count += len(batch)
            self._saw(spec, (change.version or 0 for _, _, change in batch))
            for _, _, change in batch:
                if isinstance(change.image, StoredImage):
                    yield from self._original(change.image.hash)
            lines = [_change_line(spec.id, *each) for each in batch]
            yield from self.packer.add(f"changes/{self._packs:08}.jsonl", jsonl(lines))

    def products(self, spec: CatalogSpec) -> Iterator[bytes]:
        """The products of a catalog with their images, and the tombstones."""
        try:
            catalog = self._catalogs.by_id(spec.id)
        except CatalogNotFound:
            raise _removed(spec) from None
        # Another generation may have become the live one since the changes were packed.
        yield from self.objects(catalog.spec)
        products = tombstones = 0
        for number, points in enumerate(_batches(catalog.points(), AT_ONCE), 1):
            products += len(points)
            self._saw(spec, (point.version for point in points))
            for point in points:
                if point.image:
                    yield from self._original(point.image)
            name = f"catalogs/{spec.name}/{number:08}"
            yield from self.packer.add(f"{name}.vectors.npy", npy(np.stack([_vector(point) for point in points])))
            yield from self.packer.add(f"{name}.products.jsonl", jsonl([_product_line(point) for point in points]))
        for number, removed in enumerate(_batches(catalog.tombstones(), AT_ONCE), 1):
            tombstones += len(removed)
            self._saw(spec, (each.version for each in removed))
            lines = [
                TombstoneLine(product_id=each.product_id, version=each.version, removed_at=each.removed_at)
                for each in removed
            ]
            yield from self.packer.add(f"catalogs/{spec.name}/{number:08}.tombstones.jsonl", jsonl(lines))
        # Read last: the fingerprint or the indexed attributes may have been set while the products were read.
        described = self._catalogs.find(spec.name)
        if described is None or described.id != spec.id:
            raise _removed(spec)
        if described.generation != catalog.spec.generation:
            # Another one has become the live one meanwhile; these products are of the one that was.
            described = as_live(described, live(catalog.spec))
        # A direction may have been learned meanwhile.
        yield from self.objects(described)
        highest = self._highest.get(spec.id, 0)
        self.entries.append(CatalogEntry.of(described, products=products, tombstones=tombstones, max_version=highest))

    def _saw(self, spec: CatalogSpec, versions: Iterable[int]) -> None:
        self._highest[spec.id] = max(self._highest.get(spec.id, 0), *versions)

    def objects(self, spec: CatalogSpec) -> Iterator[bytes]:
        """The objects of a catalog, those of its live generation among them, unless they are packed already."""
        try:
            for hash, data in objects(self._media, spec):
                if (name := f"objects/{hash}") not in self.packer.hashes:
                    yield from self.packer.add(name, data)
        except FeaturesNotFound as error:
            raise FeaturesNotFound(f"Catalog {spec.name} cannot be backed up: {error}") from error

    def _original(self, hash: str) -> Iterator[bytes]:
        half = bytes.fromhex(hash[:32])
        if half in self._packed:
            return
        try:
            data = self._media.get(hash)
        except MediaNotFound:
            # Not kept (LOOKALIKE_MEDIA_KEEP=none), or replaced since; then a newer change has another image.
            return
        self._packed.add(half)
        self.originals += 1
        yield from self.packer.add_original(hash, data)


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    stream = iter(items)
    while batch := list(islice(stream, size)):
        yield batch


def _vector(point: Point) -> "np.ndarray[tuple[int], np.dtype[np.float32]]":
    assert point.vector is not None, "scrolled with vectors"
    return point.vector


def _product_line(point: Point) -> ProductLine:
    return ProductLine(
        product_id=point.product_id,
        version=point.version,
        norm=point.norm,
        attributes=dict(point.attributes),
        image=point.image,
        perceptual=point.perceptual,
        url=point.url,
    )


def _change_line(catalog_id: str, job: str, lane: Lane, change: Change) -> ChangeLine:
    return ChangeLine(
        catalog=catalog_id,
        job=job,
        lane=lane,
        product_id=change.product_id,
        kind=change.kind,
        version=change.version or 0,
        image_url=change.image.url if isinstance(change.image, RemoteImage) else None,
        image=change.image.hash if isinstance(change.image, StoredImage) else None,
        attributes=None if change.attributes is None else dict(change.attributes),
        refuse_duplicates=change.refuse_duplicates,
    )


def _removed(spec: CatalogSpec) -> Conflict:
    return Conflict(f"The catalog {spec.name} was removed while it was backed up: take the backup again.")
