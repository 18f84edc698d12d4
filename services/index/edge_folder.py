"""The folder of an index in this process, which says which shard in it is the index.

edge_config.json, segments/, wal/    the shard as it was made
shard-N/                             a copy of it with a search graph, made later
current.json                         the copy that is the index now: {"shard": "shard-2", "version": 17}; without this
                                     file the shard as it was made is

A shard that is not the index was left behind by a process that was killed.
"""

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from services.errors import DataCorrupt, DataFull, DataNotWritable
from services.index.edge_shard import sync_folder

_PARTS = ("edge_config.json", "segments", "wal")
_CURRENT = "current.json"
_NEW = "current.json.new"
_TEMPORARY = "temp_segments"
"""Where the library builds."""

_OURS = frozenset({*_PARTS, _TEMPORARY, _NEW})
_BLOCK = 1 << 20
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})

GoOn = Callable[[], None]
"""Called again and again by what takes long; raises to end it."""


class ShardFolder:
    """Which shard of an index folder is the index. Only the process that has that shard open may change anything.

    Raises `DataCorrupt` where the folder does not say.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._name, self.graph_version = self._read()
        # Of whoever had the folder before, it is not known whether the last switch is on the disk.
        self._switches, self._durable = int(bool(self._name)), 0

    @property
    def shard(self) -> Path:
        """The folder of the shard that is the index."""
        return self.path / self._name

    graph_version: int | None
    """The highest version that the index had when its graph was begun; None where the graph was not made in a copy."""

    def next(self) -> Path:
        """A free name for the folder of the next shard."""
        return self.path / f"shard-{int(self._name.removeprefix('shard-') or 0) + 1}"

    def prepare(self, shard: Path, version: int) -> None:
        """Writes to the disk what `switch` needs. Raises `DataFull`, `DataNotWritable`."""
        with _disk_errors(self.path), (self.path / _NEW).open("w") as stream:
            json.dump({"shard": shard.name, "version": version}, stream)
            stream.flush()
            os.fsync(stream.fileno())
        # The entry of the shard's folder, too.
        sync_folder(self.path)

    def switch(self) -> None:
        """Makes the shard that was prepared the index, in one step. Raises `DataFull`, `DataNotWritable`; the index is
        then the old one. Durable when `sync` has returned."""
        with _disk_errors(self.path):
            (self.path / _NEW).replace(self.path / _CURRENT)
        self._switches += 1
        self._name, self.graph_version = self._read()

    def sync(self) -> None:
        """Makes the last switch durable; does nothing where it is. Raises `IndexUnavailable`."""
        switches = self._switches
        if self._durable != switches:
            sync_folder(self.path)
            self._durable = switches

    def tidy(self) -> None:
        """Removes the shards that are not the index. Raises `DataNotWritable`, `IndexUnavailable`."""
        self.sync()
        kept = {self._name} if self._name else {*_PARTS, _TEMPORARY}
        with _disk_errors(self.path):
            for path in [*self.path.iterdir()]:
                if path.name in kept or not (path.name.startswith("shard-") or path.name in _OURS):
                    continue
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()

    def _read(self) -> tuple[str, int | None]:
        file = self.path / _CURRENT
        try:
            found = json.loads(file.read_text())
            name, version = str(found["shard"]), int(found["version"])
            if not (name.removeprefix("shard-").isdecimal() and (self.path / name).is_dir()):
                raise ValueError(name)
        except FileNotFoundError:
            self._check_first()
            return "", None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise DataCorrupt(
                f"{file} does not name the index: it is damaged, or its shard is gone; restore it."
            ) from error
        return name, version

    def _check_first(self) -> None:
        """Raises `DataCorrupt` where the shard as it was made is gone, and others are there."""
        others = sorted(path.name for path in self.path.glob("shard-*"))
        if others and not (self.path / _PARTS[0]).exists():
            there = ", ".join(others)
            raise DataCorrupt(
                f"{self.path} has {there}, but no {_CURRENT} that names the index; restore it from a backup."
            )


def copy_shard(source: Path, target: Path, go_on: GoOn) -> None:
    """Copies a shard that nobody writes to, as sparse as it is; other threads go on. It is not synced.

    Raises `DataFull`, `DataNotWritable`, and what `go_on` raises.
    """
    with _disk_errors(target):
        for part in _PARTS:
            _copy(source / part, target / part, go_on)


def size_of(shard: Path) -> int:
    """The bytes that a shard takes on the disk."""
    return sum(_blocks(path) * 512 for part in _PARTS for path in _files(shard / part))


def sync_tree(shard: Path, go_on: GoOn) -> None:
    """Brings every file of a shard that nobody writes to to the disk. Raises `IndexUnavailable`."""
    for folder, _, _ in os.walk(shard):
        go_on()
        sync_folder(Path(folder))


def _blocks(path: Path) -> int:
    try:
        return path.lstat().st_blocks
    except FileNotFoundError:
        return 0  # the log has renamed its next file


def _files(path: Path) -> Iterator[Path]:
    return (each for each in path.rglob("*") if each.is_file()) if path.is_dir() else iter([path])


def _copy(source: Path, target: Path, go_on: GoOn) -> None:
    if not source.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        _copy_file(source, target, go_on)
        return
    target.mkdir(parents=True, exist_ok=True)
    for path in source.iterdir():
        try:
            _copy(path, target / path.name, go_on)
        except FileNotFoundError:
            # The log makes its next file under another name and renames it when it is whole; it can do without.
            (target / path.name).unlink(missing_ok=True)
            if path.parent.name != "wal":
                raise


def _copy_file(source: Path, target: Path, go_on: GoOn) -> None:
    # Not `shutil`: most of these files are holes, which it would fill with zeros.
    with source.open("rb", buffering=0) as read, target.open("wb", buffering=0) as written:
        size = os.fstat(read.fileno()).st_size
        os.truncate(written.fileno(), size)
        for start, end in _data(read.fileno(), size):
            at = start
            while at < end:
                go_on()
                at += os.pwrite(written.fileno(), os.pread(read.fileno(), min(_BLOCK, end - at), at), at)


def _data(file: int, size: int) -> Iterator[tuple[int, int]]:
    """Where a file holds data, from and to."""
    end = 0
    while end < size:
        try:
            start = os.lseek(file, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return  # a hole to the end
            raise
        end = os.lseek(file, start, os.SEEK_HOLE)
        yield start, end


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DataFull(f"The disk that holds {path} is full; free some space and try again.") from error
        raise DataNotWritable(f"The index in {path} cannot be written: {error.strerror}.") from error
