"""Restoring a backup: catalogs, images and unfinished changes."""

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from pathlib import Path

from services.backup.members import (
    CHANGES,
    OBJECT,
    ORIGINAL,
    PART,
    ChangeLine,
    Manifest,
    ProductLine,
    TombstoneLine,
    array,
    lines,
    unpacked,
)
from services.catalog.catalogs import Catalogs
from services.catalog.fingerprint import check_comparable
from services.errors import CatalogExists, Conflict, InvalidSource
from services.ledger import Ledger
from services.records import Change, OtherKinds, Point, RemoteImage, StoredImage, Tombstone, Vectors

Members = Iterable[tuple[str, bytes]]


def restore(
    path: Path,
    manifest: Manifest,
    catalogs: Catalogs,
    ledger: Ledger,
    track: Callable[[Members], Members] = lambda members: members,
) -> dict[str, dict[str, OtherKinds]]:
    """Creates the catalogs of a backup with their products, versions, tombstones and originals, and accepts its
    unfinished changes again for workers to process.

    Returns, by catalog, the products with values of other kinds than the declared ones, as `Catalog.declare` does.

    Conflicts are checked before anything is written. After an interruption it can be run again and completes.

    Args:
        path: The backup.
        manifest: Its manifest, as `verified` returned it.
        catalogs: Where to create the catalogs.
        ledger: Where to accept the changes.
        track: Wraps the iteration over the members, to show progress.

    Raises:
        CatalogExists: There is another catalog of the same name.
        EncoderMismatch: A catalog of the backup is there, and another generation is the live one.
        Conflict: A catalog of the backup is there and has changed since.
        InvalidSource: The backup is damaged.
    """
    for entry in manifest.catalogs:
        found = catalogs.find(entry.name)
        if found and found.id != entry.id:
            raise CatalogExists(
                f"There is another catalog {entry.name} already: remove it, or restore to another data folder."
            )
        if found:
            check_comparable(found, entry.spec)
        if found and catalogs.get(entry.name).max_version() > entry.max_version:
            raise Conflict(
                f"The catalog {entry.name} is here and has changed since the backup: remove it to have it as it was, "
                "or restore to another data folder."
            )
    for entry in manifest.catalogs:
        # Before the catalog is visible: changes accepted from now on get newer versions than the backup contains.
        ledger.introduce(entry.id, entry.name, entry.max_version)
        catalogs.adopt(entry.spec)
    catalogs.intake.media.sign()
    _put(track(unpacked(path)), catalogs)
    others = {
        entry.name: catalogs.get(entry.name).declare(entry.indexed_attributes)
        for entry in manifest.catalogs
        if entry.indexed_attributes
    }
    names = {entry.id: entry.name for entry in manifest.catalogs}
    for (catalog_id, _, lane), changes in groupby(_changes(path), lambda each: (each.catalog, each.job, each.lane)):
        name = names[catalog_id]
        ledger.accept(
            catalog_id,
            name,
            (_change(each) for each in changes),
            lane=lane,
            max_version=catalogs.get(name).max_version,
        )
    return {name: found for name, found in others.items() if found}


def _put(members: Members, catalogs: Catalogs) -> None:
    """Writes originals, objects, tombstones, and products with the vectors in the member before."""
    vectors: tuple[str, Vectors] | None = None
    for name, data in members:
        if original := ORIGINAL.fullmatch(name):
            catalogs.intake.check_space(len(data))
            catalogs.intake.media.put(data, original[1])
        elif OBJECT.fullmatch(name):
            catalogs.intake.check_space(len(data))
            catalogs.intake.media.put_object(data)
        elif part := PART.fullmatch(name):
            match part[3]:
                case "vectors.npy":
                    vectors = part[2], array(name, data)
                case "products.jsonl":
                    catalogs.get(part[1]).copy(_points(name, part[2], vectors, lines(ProductLine, name, data)))
                case "tombstones.jsonl":
                    removed = lines(TombstoneLine, name, data)
                    catalogs.get(part[1]).copy(
                        Tombstone(each.product_id, each.version, each.removed_at) for each in removed
                    )


def _points(name: str, number: str, vectors: tuple[str, Vectors] | None, products: list[ProductLine]) -> list[Point]:
    if vectors is None or vectors[0] != number or len(vectors[1]) != len(products):
        raise InvalidSource(f"{name} of the backup does not follow its vectors, so Lookalike did not write it.")
    return [
        Point(
            *(each.product_id, each.version, vector, each.norm, each.attributes),
            *(each.image, each.perceptual, each.url),
        )
        for each, vector in zip(products, vectors[1], strict=True)
    ]


def _changes(path: Path) -> Iterator[ChangeLine]:
    for name, data in unpacked(path):
        if CHANGES.fullmatch(name):
            yield from lines(ChangeLine, name, data)
        elif PART.fullmatch(name):
            return  # all changes come before the products


def _change(line: ChangeLine) -> Change:
    image = RemoteImage(line.image_url) if line.image_url else StoredImage(line.image) if line.image else None
    return Change(line.product_id, line.kind, image, line.attributes, line.version, line.refuse_duplicates)
