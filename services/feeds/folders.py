"""Folders of images to sources."""

import os
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

from services.errors import InvalidSource
from services.feeds.picking import SUBFOLDERS, Picking, said
from services.feeds.source import IdRule, Source


def images_in(
    folder: Path, rule: IdRule, picking: Picking, *, recursive: bool, without: Collection[Path]
) -> Iterator[Source]:
    """The pictures of a folder, sorted by name; of `without` (absolute paths) none is taken.

    Raises `InvalidSource` where there are none.
    """
    before = Counter(picking.left_out)
    found = False
    for path in _files(folder, folder, picking, recursive, without):
        found = True
        yield Source(rule.product_id(path, folder), path)
    if found:
        return
    left_out = picking.left_out - before
    if left_out.keys() <= {SUBFOLDERS}:
        hint = "" if recursive else " (folders inside it are taken with --recursive)"
        raise InvalidSource(f"The folder {folder} has no files{hint}; give one that holds pictures.")
    advice = "take files whatever their names say with --include GLOB"
    if picking.include or picking.exclude:
        advice = "change --include and --exclude: they are compared with names and with paths inside the folder"
    raise InvalidSource(
        f"The folder {folder} has no pictures (left out: {said(left_out)}); give one that holds some, or {advice}."
    )


def _files(folder: Path, root: Path, picking: Picking, recursive: bool, without: Collection[Path]) -> Iterator[Path]:
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        path = Path(entry.path)
        if without and path.absolute() in without:
            continue
        relative = path.relative_to(root).as_posix()
        if not _is_folder(path):
            if picking.takes(path, relative):
                yield path
        elif picking.enters(path, relative, recursive=recursive) and not entry.is_symlink():
            yield from _files(path, root, picking, recursive, without)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False  # a link to itself, say: reading it reports the error
