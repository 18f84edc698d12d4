"""The files of media: one folder or bucket, in which a file is absent or complete."""

import errno
import os
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import fsspec
from fsspec.implementations.local import LocalFileSystem

from services.errors import InvalidInput
from services.hashes import SHA256
from services.storage.disk import disk_errors

ATOMIC = frozenset({"abfs", "abfss", "az", "gcs", "gs", "memory", "oss", "s3", "s3a"})
"""Protocols of object stores, where a write is atomic: an object appears when its upload is complete."""


class MediaFiles:
    """Reads, writes and removes files by their kinds and hashes. Writes are atomic, also with concurrent writers and
    after a crash. Writing raises `DataFull` or `DataNotWritable`; what is no hash raises `InvalidInput`."""

    def __init__(self, url: str | Path) -> None:
        # A path is never passed as a URL, in which fsspec interprets "::".
        if isinstance(url, Path):
            self._files, self._folder = LocalFileSystem(), str(url)
        else:
            self._files, self._folder = fsspec.url_to_fs(url)
        protocols = {self._files.protocol} if isinstance(self._files.protocol, str) else set(self._files.protocol)
        self._puts_whole = bool(protocols & ATOMIC)

    @property
    def place(self) -> str:
        """Identifies the storage: the path of its folder, or the bucket and the path in it."""
        return f"{self._files.fsid if not isinstance(self._files, LocalFileSystem) else 'file'}:{self._folder}"

    @property
    def folder(self) -> Path | None:
        """The local folder, created if it is missing; None for a bucket."""
        if not isinstance(self._files, LocalFileSystem):
            return None
        with disk_errors(self._folder):
            Path(self._folder).mkdir(parents=True, exist_ok=True)
        return Path(self._folder)

    @property
    def _unfinished(self) -> str:
        return f"{self._folder}/unfinished"

    def _path(self, kind: str, hash: str) -> str:
        if not SHA256.fullmatch(hash):
            raise InvalidInput(f"{hash!r} is not the hash of an image, which has 64 hex digits.")
        return f"{self._folder}/{kind}/{hash[:2]}/{hash[2:4]}/{hash}"

    def _size(self, path: str) -> int | None:
        try:
            return int(self._files.info(path)["size"])
        except FileNotFoundError:
            return None

    def _put_at(self, path: str) -> datetime:
        """When an original was last put; the current time if it does not exist."""
        try:
            modified: datetime = self._files.modified(path)
        except FileNotFoundError:
            return datetime.now(UTC)
        return modified if modified.tzinfo else modified.replace(tzinfo=UTC)

    def _touched(self, path: str) -> bool:
        """Updates the modification time of a file, so that it is not collected as unused; returns whether it exists.

        Object stores cannot do that; there an original that is put again is written again.
        """
        if not isinstance(self._files, LocalFileSystem):
            return False
        try:
            os.utime(path)
        except OSError as error:
            # On a read-only disk nothing is collected; for other errors, the write that follows raises the reason.
            return error.errno == errno.EROFS
        return True

    def _read(self, path: str) -> bytes | None:
        try:
            return bytes(self._files.cat_file(path))
        except FileNotFoundError:
            return None

    def _write(self, path: str, data: bytes) -> None:
        with disk_errors(self._folder):
            self._files.makedirs(_parent(path), exist_ok=True)
            if self._puts_whole:
                # Written directly: object stores have no rename, so moving a temporary file would upload it twice.
                self._files.pipe_file(path, data)
            else:
                self._write_and_rename(path, data)

    def _write_and_rename(self, path: str, data: bytes) -> None:
        temporary = f"{self._unfinished}/{uuid4().hex}"
        self._files.makedirs(self._unfinished, exist_ok=True)
        try:
            self._files.pipe_file(temporary, data)
            self._files.mv(temporary, path)
        except BaseException:
            self._discard(temporary)
            raise

    def _discard(self, path: str) -> None:
        try:
            self._files.rm_file(path)
        except FileNotFoundError:
            return


def _parent(path: str) -> str:
    return path.rpartition("/")[0]
