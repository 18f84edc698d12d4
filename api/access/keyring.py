"""The API keys that a service knows."""

import hmac
from pathlib import Path
from threading import Lock
from typing import Self

import structlog

from api.access.keys import Key, hashed
from api.access.keys_file import read, stamp
from services.errors import InvalidSetting


class Keyring:
    """The keys of a file, one a line: `name:scopes:catalogs:SHA-256`, lists with commas, `*` for all catalogs.

    A line `name:SHA-256`, as older files have them, is an admin of all catalogs. A changed file is read before
    the next request; while it is broken or missing, the keys that it held stay valid.
    """

    def __init__(self, path: Path, keys: list[Key]) -> None:
        self.path = path
        self._keys = keys
        self._seen = stamp(path)
        self._lock = Lock()

    @classmethod
    def load(cls, path: Path) -> Self:
        """Raises `InvalidSetting`, which names the file and the line."""
        keys = read(path)
        if not keys:
            raise InvalidSetting(
                f"The file of API keys {path} holds none; make one with `lookalike keys create NAME --scope admin`."
            )
        return cls(path, keys)

    def entries(self) -> list[Key]:
        """All of them, by name."""
        self._refresh()
        return list(self._keys)

    def find(self, secret: str) -> Key | None:
        """The key whose secret this is; None: it is none of ours."""
        self._refresh()
        digest = hashed(secret)
        found = None
        # All are looked at, so that the time tells nothing.
        for key in self._keys:
            if hmac.compare_digest(key.sha256, digest):
                found = key
        return found

    def named(self, name: str) -> Key | None:
        """The key of this name; None: there is none."""
        return next((key for key in self.entries() if key.name == name), None)

    def _refresh(self) -> None:
        with self._lock:
            seen = stamp(self.path)
            if seen == self._seen:
                return
            self._seen = seen
            try:
                self._keys = read(self.path)
            except InvalidSetting as error:
                structlog.get_logger("api").error("keys_kept", detail=str(error))
