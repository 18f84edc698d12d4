"""The data folder of a process that keeps everything itself: its lock, its catalogs' descriptions, its disk.

format                            the number of the folder's format
lock                              held by the one process that works on the folder; says which, and the URL of a service
catalogs/NAME/catalog.json        a CatalogSpec; its `generation` points to the vectors that are searched
catalogs/NAME/GENERATION/         the vectors of this or another generation that is kept
media/                            originals and thumbnails
"""

import json
import os
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Self

from services.descriptions import AttributeKind, CatalogSpec, to_directions, to_findings, to_generations
from services.errors import CatalogNotFound, DataCorrupt, DataLocked, DataNotWritable
from services.formats import Migration
from services.names import checked_catalog_name
from services.storage.disk import check_space, disk_errors
from services.storage.format import MIGRATIONS, folder_format, write_format
from services.storage.locks import open_locked, read_fields, try_lock, write_fields

LOCK_ATTEMPTS = 5


class DataFolder:
    """A data folder, locked for this process until `close`. One that an older version wrote is upgraded first.

    Raises `DataLocked` (and names the holder), `DataNotWritable`, `DataFull`, `FormatTooNew`, and `CatalogNotFound`
    where there is no folder and none is to be made.
    """

    def __init__(
        self,
        path: Path,
        *,
        min_free_bytes: int = 0,
        create: bool = True,
        migrations: Sequence[Migration[Path]] = MIGRATIONS,
    ) -> None:
        self.path = path.absolute()
        if not create and not self.path.exists():
            raise _no_folder(self.path)
        self._min_free_bytes = min_free_bytes
        is_new = not (self.path / "catalogs").exists()
        format = folder_format(self.path, migrations)
        try:
            # A folder of a newer version is left as it is, lock and all.
            format.pending()
            with disk_errors(self.path):
                (self.path / "catalogs").mkdir(parents=True, exist_ok=True)
                self._lock = _locked(self.path / "lock")
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise DataNotWritable(f"{error.filename} is in the way; take another data folder with --data.") from error
        try:
            if is_new:
                write_format(self.path, len(migrations))
            format.upgrade(self.check_space)
        except BaseException:
            self._lock.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Releases the lock."""
        self._lock.close()

    def announce(self, url: str) -> None:
        """Records in the lock file that a service on this folder answers at `url`, for other processes to find."""
        _write_holder(self._lock, url)

    @property
    def media(self) -> Path:
        return self.path / "media"

    def vectors(self, spec: CatalogSpec) -> Path:
        """Where the vectors of a description's live generation are."""
        return self.path / "catalogs" / spec.name / spec.generation

    def check(self) -> None:
        """Raises `DataCorrupt` where a catalog's description cannot be read."""
        self.catalogs()

    def catalogs(self) -> list[CatalogSpec]:
        """All catalogs, by name."""
        found = sorted((self.path / "catalogs").glob("*/catalog.json"))
        return [self.catalog(path.parent.name) for path in found]

    def has_catalog(self, name: str) -> bool:
        """Raises `InvalidCatalog` (the name)."""
        return self._file(name).exists()

    def catalog(self, name: str) -> CatalogSpec:
        """Raises `CatalogNotFound`, `InvalidCatalog` (the name), `DataCorrupt`."""
        file = self._file(name)
        try:
            fields = json.loads(file.read_text())
            kinds = {key: AttributeKind(kind) for key, kind in fields.pop("indexed_attributes").items()}
            others = to_generations(fields.pop("generations", ()))
            directions = to_directions(fields.pop("directions", ()))
            findings = to_findings(fields.pop("findings", ()))
            # Descriptions of the first version have no ID.
            described = {"id": fields["generation"]} | fields
            return CatalogSpec(
                **described,
                indexed_attributes=kinds,
                generations=others,
                directions=directions,
                findings=findings,
            )
        except FileNotFoundError:
            raise CatalogNotFound(self._not_found(name)) from None
        except (ValueError, TypeError, KeyError, OSError) as error:
            raise DataCorrupt(f"{file} is damaged; restore it, or remove its folder and index again.") from error

    def create(self, spec: CatalogSpec) -> None:
        """Writes a new catalog's description."""
        self.save(spec)

    def prepare(self, spec: CatalogSpec) -> None:
        """Does nothing: the folder of a generation is made when its index is opened."""

    def save(self, spec: CatalogSpec) -> None:
        """Writes a catalog's description, the old one or the new one surviving whatever happens. Another live
        generation is so live from one moment to the next."""
        file = self._file(spec.name)
        with disk_errors(self.path):
            file.parent.mkdir(exist_ok=True)
            new = file.with_suffix(".new")
            with new.open("w") as stream:
                json.dump(asdict(spec), stream, indent=2)
                stream.flush()
                os.fsync(stream.fileno())
            new.replace(file)

    def remove(self, name: str) -> None:
        """Removes a catalog with its vectors. Raises `CatalogNotFound`."""
        folder = self._file(name).parent
        if not folder.exists():
            raise CatalogNotFound(self._not_found(name))
        with disk_errors(self.path):
            (folder / "catalog.json").unlink(missing_ok=True)
            shutil.rmtree(folder)

    def remove_vectors(self, spec: CatalogSpec) -> None:
        """Removes the vectors of a description's live generation, which the catalog has no more. Idempotent."""
        with disk_errors(self.path), suppress(FileNotFoundError):
            shutil.rmtree(self.vectors(spec))

    def check_space(self, planned: int = 0) -> None:
        """Raises `DataFull` where writing so many bytes would leave less than the minimum free."""
        check_space(self.path, self._min_free_bytes, planned)

    def _file(self, name: str) -> Path:
        return self.path / "catalogs" / checked_catalog_name(name) / "catalog.json"

    def _not_found(self, name: str) -> str:
        names = ", ".join(path.parent.name for path in sorted(self.path.glob("catalogs/*/catalog.json")))
        there = f"it has {names}" if names else "it has none yet: make one with `lookalike index FOLDER`"
        return f"There is no catalog {name!r} in the data folder {self.path}; {there}."


def service_url(path: Path) -> str | None:
    """The URL that the process using a data folder has announced; None where there is no process, or no URL."""
    file = path.absolute() / "lock"
    try:
        with file.open() as stream:
            return None if try_lock(stream, shared=True) else read_fields(file).get("url")
    except OSError:
        return None


def check_not_in_use(path: Path) -> None:
    """Raises `DataLocked` while a process works on a data folder, `CatalogNotFound` where there is none."""
    folder = path.absolute()
    if not folder.exists():
        raise _no_folder(folder)
    file = folder / "lock"
    try:
        with file.open() as stream:
            if not try_lock(stream, shared=True):
                raise DataLocked(_locked_by(file))
    except FileNotFoundError:
        return


def _no_folder(path: Path) -> CatalogNotFound:
    return CatalogNotFound(
        f"There is no data folder {path}: make one with `lookalike index FOLDER`, or name yours with --data."
    )


def _locked(file: Path) -> IO[str]:
    # A lock that is held may only be that of someone who looks for a service, which ends at once.
    stream = open_locked(file, attempts=LOCK_ATTEMPTS)
    if stream is None:
        raise DataLocked(_locked_by(file))
    _write_holder(stream, None)
    return stream


def _write_holder(stream: IO[str], url: str | None) -> None:
    """Writes who holds the lock; others read it without locking."""
    write_fields(stream, {"pid": os.getpid(), "command": " ".join(sys.argv), "url": url})


def _locked_by(file: Path) -> str:
    holder = read_fields(file)
    who = f"process {holder['pid']} ({holder.get('command')})" if "pid" in holder else "another process"
    if url := holder.get("url"):
        return f"The data folder {file.parent} is in use by {who}, a service at {url}: stop it first (Ctrl-C there)."
    return f"The data folder {file.parent} is in use by {who}: wait until it ends, or take another folder with --data."
