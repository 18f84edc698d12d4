"""Product sources on a disk: folders of images, single images, and lists of them."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from services.errors import InvalidSource
from services.feeds.folders import images_in
from services.feeds.lists import LISTS, Reading, listed
from services.feeds.source import IdRule, Source


def sources(
    paths: Iterable[Path],
    *,
    rule: IdRule = IdRule.STEM,
    recursive: bool = False,
    without: Path | None = None,
    reading: Reading | None = None,
) -> list[Source]:
    """Finds the images in folders (sorted by name), files (in the order given) and lists.

    Hidden files are skipped. A file that is named twice is returned once.

    Args:
        paths: Folders, image files, and lists (CSV or NDJSON).
        rule: How product IDs are derived from file names.
        recursive: Whether to descend into subfolders.
        without: A folder to skip.
        reading: How lists are read.

    Raises:
        InvalidSource: A path does not exist, a folder has no files, or a list cannot be read. A row of a list that
            cannot be taken is a source with a fault.
    """
    try:
        reading = reading or Reading()
        found = [source for path in paths for source in _sources_of(path, rule, recursive, without, reading)]
    except OSError as error:
        name, why = error.filename, error.strerror
        raise InvalidSource(f"{name} cannot be read ({why}); check the path and its rights.") from error
    return list({(source.product_id, _absolute(source), source.line): source for source in found}.values())


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


def _sources_of(path: Path, rule: IdRule, recursive: bool, without: Path | None, reading: Reading) -> Iterator[Source]:
    check_there([path])
    if path.is_dir():
        yield from images_in(path, rule, recursive, without)
    elif path.suffix.lower() in LISTS:
        yield from listed(path, reading)
    else:
        yield Source(rule.product_id(path, path.parent), path)


def _absolute(source: Source) -> Path | str:
    return source.image.absolute() if isinstance(source.image, Path) else source.image.url
