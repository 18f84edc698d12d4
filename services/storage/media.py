"""Originals with their thumbnails, and objects of catalogs, addressed by the SHA-256 of their bytes."""

from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import numpy as np
import numpy.typing as npt
from fsspec.implementations.local import LocalFileSystem

from services.errors import FeaturesNotFound, MediaNotFound
from services.hashes import SHA256
from services.settings import MediaKeep
from services.storage.disk import disk_errors
from services.storage.media_files import MediaFiles
from services.thumbnails import SIDES, THUMBNAIL_SIDE

RECENT = timedelta(days=1)
"""An original that was put so lately is not written again to count as put now, where only writing it does that."""
AT_ONCE = 32
"""Questions to an object store at a time."""


class Media(MediaFiles):
    """A folder or bucket of images. Writes are atomic: a file is absent or complete, also with concurrent writers and
    after a crash.

    With `keep="none"` nothing is stored. A hash is 64 hex digits; anything else raises `InvalidInput`. Writing
    raises `DataFull` or `DataNotWritable`. `user` identifies the installation whose catalogs use the images. Every user
    that puts an original, even an existing one, is recorded in `users/`: an original that one user no longer needs may
    be in use by another.
    """

    def __init__(self, url: str | Path, keep: MediaKeep = "all", *, user: str = "catalogs") -> None:
        super().__init__(url)
        self._keep = keep
        self._user = user
        self._is_signed = False

    def put(self, data: bytes, hash: str | None = None) -> str:
        """Stores an original unless it exists and returns its hash; a caller that knows the hash passes it."""
        hash = hash or sha256(data).hexdigest()
        path = self._path("originals", hash)
        # A power failure can leave a file without its bytes.
        if self._keep == "all":
            self.sign()
            if self._size(path) != len(data) or not self._touched(path):
                self._write(path, data)
        return hash

    def put_object(self, data: bytes) -> str:
        """Stores what belongs to a catalog and is no image, whatever is kept of images, and returns its hash. It is
        collected like an original."""
        hash = sha256(data).hexdigest()
        path = self._path("objects", hash)
        self.sign()
        # It is small, so a damaged one is found, whatever its size, and replaced.
        if self._read(path) != data or not self._touched(path):
            self._write(path, data)
        return hash

    def read_object(self, hash: str) -> bytes:
        """The bytes of an object. Raises `FeaturesNotFound` where it is not here, or is not what it was."""
        data = self._read(self._path("objects", hash))
        if data is None or sha256(data).hexdigest() != hash:
            raise FeaturesNotFound(
                f"What a catalog's features have learned is {'not' if data is None else 'damaged'} in media (objects, "
                f"{hash}), which all processes must share: restore that folder or a backup, go back with `lookalike "
                "rollback`, or learn anew with `lookalike reindex --features tuned --promote`."
            )
        return data

    def retire(self, hash: str) -> None:
        """Marks an object that has been replaced, so that it is collected sooner than others. Whoever puts it after
        that makes it like any other again."""
        self._write(self._path("retired", hash), b"")

    def missing(self, hashes: Iterable[str]) -> list[str]:
        """Those whose originals are not here, in their order. The others count as put now, so that they are not
        collected before a change that names them is accepted."""
        asked = list(dict.fromkeys(hashes))
        if asked and self._keep == "all":
            self.sign()
        if isinstance(self._files, LocalFileSystem):
            return [hash for hash in asked if not self._renewed(hash)]
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="media") as pool:
            return [hash for hash, is_here in zip(asked, pool.map(self._renewed, asked), strict=True) if not is_here]

    def get(self, hash: str) -> bytes:
        """Returns the bytes of an original. Raises `MediaNotFound`."""
        data = self._read(self._path("originals", hash))
        if data is None:
            raise MediaNotFound(f"The original {hash} is not stored here; put the product again with its image.")
        return data

    def exists(self, hash: str) -> bool:
        return self._size(self._path("originals", hash)) is not None

    def remove(self, hash: str) -> None:
        """Removes the original and its thumbnails. Idempotent."""
        with disk_errors(self._folder):
            self._discard(self._path("originals", hash))
            self._discard_thumbnails(hash)

    def thumbnail(self, hash: str, make: Callable[[bytes], bytes], side: int = THUMBNAIL_SIDE) -> bytes:
        """Returns the stored thumbnail of this side, one of `SIDES`; the first time, calls `make` with the original.

        Raises `MediaNotFound`.
        """
        path = self._path(_thumbnails(side), hash)
        stored = self._read(path)
        if stored is not None:
            return stored
        made = make(self.get(hash))
        self._write(path, made)
        return made

    def sign(self) -> None:
        """Records that its user needs originals from this storage."""
        if not self._is_signed:
            name = self._user.encode()
            path = f"{self._folder}/users/{sha256(name).hexdigest()[:16]}"
            if self._size(path) != len(name):
                self._write(path, name)
            self._is_signed = True

    def others(self) -> list[str]:
        """The other users that have put originals here."""
        signs = self._files.glob(f"{self._folder}/users/*")
        names = sorted(name.decode() for path in signs if (name := self._read(path)) is not None)
        return [name for name in names if name != self._user]

    def collect(self, kept: npt.NDArray[np.uint64], before: datetime) -> int:
        """Removes originals with their thumbnails, and objects, that are no longer used. What another writer puts
        meanwhile stays.

        Args:
            kept: The hashes to keep, as sorted values of `short`.
            before: Only what was last put before this time is removed.

        Returns:
            How many originals and objects were removed.
        """
        count = 0
        for kind in ("originals", "objects"):
            for _, _, files in self._files.walk(f"{self._folder}/{kind}", detail=True):
                for hash, about in files.items():
                    if not SHA256.fullmatch(hash) or _among(short(hash), kept):
                        continue
                    if self._put_at(str(about["name"])) < before:
                        count += self._removed_if_old(kind, hash, before)
        return count

    def collect_retired(self, named: Collection[str], before: datetime) -> int:
        """Removes objects that were marked by `retire` before that time, but for those that are named or were put
        since; returns how many. What another writer puts meanwhile stays."""
        count = 0
        for _, _, files in self._files.walk(f"{self._folder}/retired", detail=True):
            for hash, about in files.items():
                path = str(about["name"])
                retired = self._put_at(path)
                if not SHA256.fullmatch(hash) or retired >= before:
                    continue
                if hash not in named and self._put_at(self._path("objects", hash)) < retired:
                    count += self._removed_if_old("objects", hash, before)
                with disk_errors(self._folder):
                    self._discard(path)
        return count

    def sweep(self) -> None:
        """Removes temporary files of writers that were killed. Call it only while nothing else writes."""
        with disk_errors(self._folder):
            if self._files.exists(self._unfinished):
                self._files.rm(self._unfinished, recursive=True)

    def _removed_if_old(self, kind: str, hash: str, before: datetime) -> bool:
        """Removes an original or an object, unless it was put after its time was read.

        It is taken aside first: from then on a writer finds none and writes it again, and what was put until then shows
        in its time. A bucket has no such step: there a writer may still come between.
        """
        if isinstance(self._files, LocalFileSystem):
            path, aside = Path(self._path(kind, hash)), Path(self._unfinished, uuid4().hex)
            with disk_errors(self._folder):
                aside.parent.mkdir(parents=True, exist_ok=True)
                try:
                    path.rename(aside)
                except FileNotFoundError:
                    return False  # another process has collected it
                if self._put_at(str(aside)) >= before:
                    aside.replace(path)
                    return False
                aside.unlink()
                self._discard_thumbnails(hash)
        else:
            with disk_errors(self._folder):
                self._discard(self._path(kind, hash))
                self._discard_thumbnails(hash)
        return True

    def _discard_thumbnails(self, hash: str) -> None:
        for side in SIDES:
            self._discard(self._path(_thumbnails(side), hash))

    def _renewed(self, hash: str) -> bool:
        """Whether an original is here; if so, it counts as put now."""
        path = self._path("originals", hash)
        # A power failure can leave a file without its bytes.
        if not self._size(path):
            return False
        if isinstance(self._files, LocalFileSystem):
            return self._touched(path)
        if datetime.now(UTC) - self._put_at(path) < RECENT:
            return True
        data = self._read(path)
        if data is None:
            return False
        self._write(path, data)
        return True


def _thumbnails(side: int) -> str:
    """The folder of thumbnails of a side; that of those that earlier versions made has no number."""
    return "thumbnails" if side == THUMBNAIL_SIDE else f"thumbnails-{side}"


def short(hash: str) -> int:
    """The first 64 bits of a hash. Two hashes may share them, so an equal value means that a file may be in use."""
    return int(hash[:16], 16)


def _among(value: int, sorted_values: npt.NDArray[np.uint64]) -> bool:
    place = np.searchsorted(sorted_values, np.uint64(value))
    return bool(place < len(sorted_values) and sorted_values[place] == value)
