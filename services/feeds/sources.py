"""Product sources on a disk: folders of images, single images, and lists of them."""

import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from unicodedata import normalize

from services.errors import InvalidSource
from services.feeds.folders import images_in
from services.feeds.lists import LISTS, Reading, listed
from services.feeds.names import composed, nfc
from services.feeds.picking import Picking
from services.feeds.source import IdRule, Source


def sources(
    paths: Iterable[Path],
    *,
    rule: IdRule = IdRule.STEM,
    recursive: bool = False,
    without: Iterable[Path] = (),
    picking: Picking | None = None,
    reading: Reading | None = None,
) -> list[Source]:
    """Finds the images in folders (sorted by name), files (in the order given) and lists.

    Product IDs are composed (NFC). A file that is named twice is returned once, as a list has it if one does; two rows
    are two sources.

    Args:
        paths: Folders, image files, and lists (CSV or NDJSON).
        rule: How product IDs are derived from file names.
        recursive: Whether to descend into subfolders.
        without: Files and folders inside of folders to skip.
        picking: Which files of folders are taken; it counts those that are not.
        reading: How lists are read.

    Raises:
        InvalidSource: A path does not exist, a folder has no files, or a list cannot be read. A row of a list that
            cannot be taken is a source with a fault.
    """
    try:
        skipped = frozenset(path.absolute() for path in without)
        picking, reading = picking or Picking(), reading or Reading()
        found = [
            composed(each) for path in paths for each in _sources_of(path, rule, recursive, skipped, picking, reading)
        ]
    except OSError as error:
        name, why = error.filename, error.strerror
        raise InvalidSource(f"{name} cannot be read ({why}); check the path and its rights.") from error
    return _distinct(found)


def check_there(paths: Iterable[Path]) -> None:
    """Raises `InvalidSource` where a path does not exist: a typing error is found before anything is made."""
    for path in paths:
        try:
            path.stat()
        except FileNotFoundError:
            raise InvalidSource(
                f"{path} is not there; give a folder of pictures, a picture, or a CSV or NDJSON list."
            ) from None
        except OSError as error:
            raise InvalidSource(f"{path} cannot be read ({error.strerror}); check the path and its rights.") from error


def _sources_of(
    path: Path, rule: IdRule, recursive: bool, without: Collection[Path], picking: Picking, reading: Reading
) -> Iterator[Source]:
    check_there([path])
    if path.is_dir():
        yield from images_in(path, rule, picking, recursive=recursive, without=without)
    elif path.suffix.lower() in LISTS:
        yield from map(_on_disk, listed(path, reading))
    else:
        yield Source(rule.product_id(path, path.parent), path)


def _on_disk(source: Source) -> Source:
    """The source with its file in the form of Unicode in which the disk has it."""
    image = source.image
    if not isinstance(image, Path) or str(image).isascii() or os.path.lexists(image):
        return source
    forms = (Path(nfc(str(image))), Path(normalize("NFD", str(image))))
    return replace(source, image=next((form for form in forms if os.path.lexists(form)), image))


def _distinct(found: Collection[Source]) -> list[Source]:
    listed = {(source.product_id, _absolute(source)) for source in found if source.row}
    unlisted = ((each.product_id, _absolute(each)) not in listed for each in found)
    kept = (each for each, alone in zip(found, unlisted, strict=True) if each.row or alone)
    return list({(source.product_id, _absolute(source), source.row): source for source in kept}.values())


def _absolute(source: Source) -> Path | str:
    return source.image.absolute() if isinstance(source.image, Path) else source.image.url
