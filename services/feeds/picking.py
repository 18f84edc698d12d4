"""Which entries of folders are pictures, by their names, and what is left out."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from services.feeds.names import nfc
from services.signatures import BEGINNING, media_type

PICTURES = frozenset(
    f".{name}"
    for name in (
        *("jpg", "jpeg", "jpe", "jfif", "pjpeg", "pjp", "png", "apng", "gif", "webp", "bmp", "dib", "tif", "tiff"),
        *("avif", "avifs", "heic", "heics", "heif", "heifs", "hif"),
    )
)
"""Extensions of the image formats that are read. Other files are judged by their first bytes."""

FOLDERS = frozenset(
    name.casefold()
    for name in (
        *("@eaDir", "#recycle", "#snapshot", "@Recycle", "@Recently-Snapshot", "@sharebin", "@tmp"),  # Synology, QNAP
        *("__MACOSX", "Network Trash Folder", "Temporary Items"),  # macOS
        *("$RECYCLE.BIN", "RECYCLER", "System Volume Information"),  # Windows
        *("lost+found",),
    )
)
"""Folders that systems make for themselves."""

FILES = frozenset(["thumbs.db", "desktop.ini", "ehthumbs.db", "ehthumbs_vista.db", "icon\r"])
"""Files that systems make for themselves."""

EXTENSION = re.compile(r"\.(?=.*[a-z])[a-z0-9]{1,10}")
"""What kind of file a name tells; 5 is no kind in 10.5."""
SAID = 8

HIDDEN = "hidden"
NAMELESS = "without extension"
EXCLUDED = "--exclude"
NOT_INCLUDED = "not --include"
SUBFOLDERS = "folders"


@dataclass
class Picking:
    """Picks the pictures of folders, and counts what it leaves out.

    `exclude` are globs that leave out files and folders. With `include` only files that match one of its globs are
    taken, whatever their names say otherwise. Globs are compared with the name and with the path inside the folder,
    without regard to case; a slash at the end, as shells complete folders, means nothing. `left_out` counts entries by
    what they are; a folder counts once, whatever it holds.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    left_out: Counter[str] = field(default_factory=Counter)

    def takes(self, path: Path, relative: str) -> bool:
        """Whether a file is a picture to take."""
        if why := self._why_not(path, relative):
            self.left_out[why] += 1
        return not why

    def enters(self, path: Path, relative: str, *, recursive: bool) -> bool:
        """Whether a folder is one to look into."""
        why = None
        if _matches(self.exclude, path.name, relative):
            why = EXCLUDED
        elif path.name.casefold() in FOLDERS:
            why = f"{path.name}/"
        elif path.name.startswith("."):
            why = HIDDEN
        elif not recursive:
            why = SUBFOLDERS
        if why:
            self.left_out[why] += 1
        return not why

    def _why_not(self, path: Path, relative: str) -> str | None:
        if _matches(self.exclude, path.name, relative):
            return EXCLUDED
        if self.include:
            return None if _matches(self.include, path.name, relative) else NOT_INCLUDED
        if path.name.casefold() in FILES:
            return path.name.strip()
        if path.name.startswith("."):
            return HIDDEN
        extension = path.suffix.lower()
        if extension in PICTURES or _begins_as_picture(path):
            return None
        return extension if EXTENSION.fullmatch(extension) else NAMELESS


def said(left_out: Counter[str]) -> str:
    """What was left out, as part of a sentence."""
    parts = [f"{count} {_named(what, count)}" for what, count in left_out.most_common(SAID)]
    if others := left_out.total() - sum(count for _, count in left_out.most_common(SAID)):
        parts.append(f"{others} others")
    return ", ".join(parts)


def _named(what: str, count: int) -> str:
    if what == SUBFOLDERS:
        return "folder (taken with --recursive)" if count == 1 else "folders (taken with --recursive)"
    return what


def _begins_as_picture(path: Path) -> bool:
    try:
        if not path.is_file():  # reading a pipe could last for ever
            return False
        with path.open("rb") as file:
            return media_type(file.read(BEGINNING)) is not None
    except OSError:
        # Whether it is a picture is not known. What names no kind of file is taken, and reading it reports the error.
        return not path.suffix


def _matches(globs: Iterable[str], *names: str) -> bool:
    return any(fnmatchcase(nfc(name).casefold(), nfc(glob).casefold().rstrip("/")) for glob in globs for name in names)
