"""Originals and thumbnails, addressed by the SHA-256 of the original's bytes."""

import errno
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import fsspec
import numpy as np
import numpy.typing as npt
from fsspec.implementations.local import LocalFileSystem

from services.errors import InvalidInput, MediaNotFound
from services.settings import MediaKeep
from services.storage.disk import disk_errors

HASH = re.compile(r"[0-9a-f]{64}")
ATOMIC = frozenset({"abfs", "abfss", "adl", "az", "gcs", "gs", "memory", "oss", "s3", "s3a"})
"""Protocols of object stores: there a name appears with all of its bytes, when the upload is complete."""


class Media:
    """A folder of images. A name is either absent or holds all of its bytes, whoever writes or dies meanwhile.

    With `keep="none"` nothing is stored. A hash is 64 hex digits; anything else raises `InvalidInput`. Writing
    raises `DataFull` or `DataNotWritable`. `user` names whose catalogs it is for. Every user that puts an original,
    even one that is there already, is recorded in `users/`: what one user no longer needs another may.
    """

    def __init__(self, url: str | Path, keep: MediaKeep = "all", *, user: str = "catalogs") -> None:
        # A path is never taken for a URL: fsspec gives "::" in one a meaning.
        if isinstance(url, Path):
            self._files, self._folder = LocalFileSystem(), str(url)
        else:
            self._files, self._folder = fsspec.url_to_fs(url)
        protocols = {self._files.protocol} if isinstance(self._files.protocol, str) else set(self._files.protocol)
        self._puts_whole = bool(protocols & ATOMIC)
        self._keep = keep
        self._user = user
        self._is_signed = False

    @property
    def place(self) -> str:
        """Its identity: the path of its folder, or the bucket and the path in it."""
        return f"{self._files.fsid if not isinstance(self._files, LocalFileSystem) else 'file'}:{self._folder}"

    @property
    def folder(self) -> Path | None:
        """The local folder that holds them, created where it is missing; None for a bucket."""
        if not isinstance(self._files, LocalFileSystem):
            return None
        with disk_errors(self._folder):
            Path(self._folder).mkdir(parents=True, exist_ok=True)
        return Path(self._folder)

    def put(self, data: bytes, hash: str | None = None) -> str:
        """Stores an original, unless it is there, and returns its hash; a caller that has computed that passes it."""
        hash = hash or sha256(data).hexdigest()
        path = self._path("originals", hash)
        # A power cut can leave the name without the bytes.
        if self._keep == "all":
            self.sign()
            if self._size(path) != len(data) or not self._touched(path):
                self._write(path, data)
        return hash

    def get(self, hash: str) -> bytes:
        """Raises `MediaNotFound`."""
        data = self._read(self._path("originals", hash))
        if data is None:
            raise MediaNotFound(f"The original {hash} is not stored here; put the product again with its image.")
        return data

    def exists(self, hash: str) -> bool:
        return self._size(self._path("originals", hash)) is not None

    def remove(self, hash: str) -> None:
        """Removes the original and its thumbnail; again is harmless."""
        with disk_errors(self._folder):
            for kind in ("originals", "thumbnails"):
                self._discard(self._path(kind, hash))

    def thumbnail(self, hash: str, make: Callable[[bytes], bytes]) -> bytes:
        """The stored thumbnail; the first time, `make` makes it from the original. Raises `MediaNotFound`."""
        path = self._path("thumbnails", hash)
        stored = self._read(path)
        if stored is not None:
            return stored
        made = make(self.get(hash))
        self._write(path, made)
        return made

    def sign(self) -> None:
        """Records that its user needs originals from here."""
        if not self._is_signed:
            name = self._user.encode()
            path = f"{self._folder}/users/{sha256(name).hexdigest()[:16]}"
            if self._size(path) != len(name):
                self._write(path, name)
            self._is_signed = True

    def others(self) -> list[str]:
        """The other users who have put originals here."""
        signs = self._files.glob(f"{self._folder}/users/*")
        names = sorted(name.decode() for path in signs if (name := self._read(path)) is not None)
        return [name for name in names if name != self._user]

    def collect(self, kept: npt.NDArray[np.uint64], before: datetime) -> int:
        """Removes the originals, and their thumbnails, that were last put before that time and are not among `kept`
        (sorted `short`s of their hashes); returns how many. What another writer puts meanwhile stays."""
        count = 0
        for _, _, files in self._files.walk(f"{self._folder}/originals", detail=True):
            for hash, about in files.items():
                if not HASH.fullmatch(hash) or _among(short(hash), kept):
                    continue
                if self._put_at(str(about["name"])) < before:
                    self.remove(hash)
                    count += 1
        return count

    def sweep(self) -> None:
        """Removes temporary files of writers that were killed. Call it only while nobody else writes."""
        with disk_errors(self._folder):
            if self._files.exists(self._unfinished):
                self._files.rm(self._unfinished, recursive=True)

    @property
    def _unfinished(self) -> str:
        return f"{self._folder}/unfinished"

    def _path(self, kind: str, hash: str) -> str:
        if not HASH.fullmatch(hash):
            raise InvalidInput(f"{hash!r} is no hash of an image: that has 64 hex digits.")
        return f"{self._folder}/{kind}/{hash[:2]}/{hash[2:4]}/{hash}"

    def _size(self, path: str) -> int | None:
        try:
            return int(self._files.info(path)["size"])
        except FileNotFoundError:
            return None

    def _put_at(self, path: str) -> datetime:
        """When an original was last put; now, where it is gone."""
        try:
            modified: datetime = self._files.modified(path)
        except FileNotFoundError:
            return datetime.now(UTC)
        return modified if modified.tzinfo else modified.replace(tzinfo=UTC)

    def _touched(self, path: str) -> bool:
        """Makes what is there as new as what is put now, so that it is not collected as a leftover; False where it is
        gone. A bucket has no such thing; there an original that is put again is written again."""
        if not isinstance(self._files, LocalFileSystem):
            return False
        try:
            os.utime(path)
        except OSError as error:
            # Nothing is collected on a read-only disk; elsewhere writing it tells what is wrong.
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
                # To move it there would upload it a second time: a bucket knows no renaming.
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


def short(hash: str) -> int:
    """The first 64 bits of a hash. Two hashes may share them, so they tell what is kept, never what is not."""
    return int(hash[:16], 16)


def _among(value: int, sorted_values: npt.NDArray[np.uint64]) -> bool:
    place = np.searchsorted(sorted_values, np.uint64(value))
    return bool(place < len(sorted_values) and sorted_values[place] == value)
