"""The format number of a data folder, in the file `format` in it."""

import os
from collections.abc import Sequence
from pathlib import Path

from services.errors import DataCorrupt
from services.formats import Format, Migration
from services.storage.disk import disk_errors

MIGRATIONS: Sequence[Migration[Path]] = (
    Migration("Store the format number in the file `format`."),
    Migration("Products may have a perceptual hash and a URL, and catalogs several generations."),
)


def folder_format(folder: Path, migrations: Sequence[Migration[Path]] = MIGRATIONS) -> Format[Path]:
    """The format of a data folder. Reading its number raises `DataCorrupt` where the file holds none."""
    return Format(
        folder,
        f"The data folder {folder}",
        "restore a backup into another folder",
        migrations,
        lambda: _read(folder / "format"),
        lambda number: write_format(folder, number),
    )


def write_format(folder: Path, number: int) -> None:
    """Stores the number; whatever happens meanwhile, the old one or the new one is there."""
    file = folder / "format"
    new = file.with_suffix(".new")
    with disk_errors(folder):
        with new.open("w") as stream:
            stream.write(f"{number}\n")
            stream.flush()
            os.fsync(stream.fileno())
        new.replace(file)


def _read(file: Path) -> int:
    try:
        text = file.read_text(errors="replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except OSError as error:
        raise DataCorrupt(f"{file} cannot be read ({error.strerror}); check its permissions.") from error
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise DataCorrupt(f"{file} is damaged: it should hold the number of the folder's format; restore it.")
    return int(text)
