"""Folders of images to sources."""

import os
from collections.abc import Iterator
from pathlib import Path

from services.errors import InvalidSource
from services.feeds.source import IdRule, Source


def images_in(folder: Path, rule: IdRule, recursive: bool, without: Path | None) -> Iterator[Source]:
    """The files of a folder but hidden ones, sorted by name. Raises `InvalidSource` where there are none."""
    found = False
    for path in _files(folder, recursive, without and without.absolute()):
        found = True
        yield Source(rule.product_id(path, folder), path)
    if not found:
        hint = "" if recursive else " (folders inside it are taken with --recursive)"
        raise InvalidSource(f"The folder {folder} has no files{hint}; give one that holds pictures.")


def _files(folder: Path, recursive: bool, without: Path | None) -> Iterator[Path]:
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        path = Path(entry.path)
        if entry.name.startswith(".") or path.absolute() == without:
            continue
        if not _is_folder(path):
            yield path
        elif recursive and not entry.is_symlink():
            yield from _files(path, recursive, without)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False  # a link to itself, say: reading it reports the error
