"""Originals and thumbnails, addressed by the SHA-256 of the original's bytes."""

import re
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import fsspec
from fsspec.implementations.local import LocalFileSystem

from services.disk import disk_errors
from services.errors import InvalidInput, MediaNotFound
from services.settings import MediaKeep

HASH = re.compile(r"[0-9a-f]{64}")


class Media:
    """A folder of images. A name is either absent or holds all of its bytes, whoever writes or dies meanwhile.

    With `keep="none"` nothing is stored. A hash is 64 hex digits; anything else raises `InvalidInput`. Writing
    raises `DataFull` or `DataNotWritable`.
    """

    def __init__(self, url: str | Path, keep: MediaKeep = "all") -> None:
        # A path is never taken for a URL: fsspec gives "::" in one a meaning.
        if isinstance(url, Path):
            self._files, self._folder = LocalFileSystem(), str(url)
        else:
            self._files, self._folder = fsspec.url_to_fs(url)
        self._keep = keep

    def put(self, data: bytes) -> str:
        """Stores an original, unless it is there, and gives its hash."""
        hash = sha256(data).hexdigest()
        path = self._path("originals", hash)
        # A power cut can leave the name without the bytes.
        if self._keep == "all" and self._size(path) != len(data):
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
        """The stored thumbnail; the first time it is made of the original and kept. Raises `MediaNotFound`."""
        path = self._path("thumbnails", hash)
        stored = self._read(path)
        if stored is not None:
            return stored
        made = make(self.get(hash))
        self._write(path, made)
        return made

    def sweep(self) -> None:
        """Removes what writers that were killed had begun; only while nobody else writes."""
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

    def _read(self, path: str) -> bytes | None:
        try:
            return bytes(self._files.cat_file(path))
        except FileNotFoundError:
            return None

    def _write(self, path: str, data: bytes) -> None:
        temporary = f"{self._unfinished}/{uuid4().hex}"
        with disk_errors(self._folder):
            for file in (temporary, path):
                self._files.makedirs(file.rpartition("/")[0], exist_ok=True)
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
