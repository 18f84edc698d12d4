"""API keys: what each may do, and the file that holds their hashes."""

import hmac
import os
import re
import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any, Self

import structlog

from services.errors import Conflict, InvalidInput, InvalidSetting, NotFound
from services.names import checked_catalog_name
from services.storage.locks import locked_for_replacement

EVERY = "*"
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HASH = re.compile(r"[0-9a-f]{64}")


class Scope(StrEnum):
    """What a key is for. `SEARCH`: read and search; `INGEST`: read products, change them, follow jobs; `ADMIN`: all."""

    SEARCH = "search"
    INGEST = "ingest"
    ADMIN = "admin"


class KeyNotFound(NotFound):
    code = "key_not_found"


class KeyExists(Conflict):
    code = "key_exists"


@dataclass(frozen=True, slots=True)
class Key:
    """A key as it is kept: `sha256` of the secret in hex, never the secret. `catalogs` None: all of them."""

    name: str
    scopes: frozenset[Scope]
    catalogs: frozenset[str] | None
    sha256: str

    def may(self, scopes: Collection[Scope]) -> bool:
        """Whether it has one of these scopes; an admin has all."""
        return Scope.ADMIN in self.scopes or not self.scopes.isdisjoint(scopes)

    def reaches(self, catalog: str) -> bool:
        return self.catalogs is None or catalog in self.catalogs

    def told(self) -> dict[str, Any]:
        """What is shown of it."""
        catalogs = None if self.catalogs is None else sorted(self.catalogs)
        return {"name": self.name, "scopes": sorted(self.scopes), "catalogs": catalogs}

    def __str__(self) -> str:
        """Its line in the file."""
        catalogs = EVERY if self.catalogs is None else ",".join(sorted(self.catalogs))
        return f"{self.name}:{','.join(sorted(self.scopes))}:{catalogs}:{self.sha256}"


def new_secret() -> str:
    """A secret that nobody guesses: 256 random bits."""
    return f"lk_{secrets.token_urlsafe(32)}"


def hashed(secret: str) -> str:
    """What is kept of a secret: its SHA-256 in hex. Secrets are random, so neither salt nor a slow hash is needed."""
    return sha256(secret.encode(errors="surrogateescape")).hexdigest()


def new_key(name: str, scopes: Collection[str], catalogs: Collection[str] | None = None) -> tuple[Key, str]:
    """A key and its secret. Raises `InvalidInput` and `InvalidCatalog`, which name what is wrong."""
    if not _NAME.fullmatch(name):
        raise InvalidInput(f"The name {name[:80]!r} is refused: it takes 1 to 64 of A-Z, a-z, 0-9, dot, - and _.")
    if not scopes or not set(scopes) <= set(Scope):
        raise InvalidInput(f"A key needs one or more scopes of {', '.join(Scope)}.")
    if catalogs is not None and not catalogs:
        raise InvalidInput("A key for no catalog opens nothing: name some, or leave them out, which means all.")
    named = None if catalogs is None else frozenset(checked_catalog_name(each) for each in catalogs)
    secret = new_secret()
    return Key(name, frozenset(map(Scope, scopes)), named, hashed(secret)), secret


class Keyring:
    """The keys of a file, one a line: `name:scopes:catalogs:SHA-256`, lists with commas, `*` for all catalogs.

    A line `name:SHA-256`, as older files have them, is an admin of all catalogs. What is changed in the file counts
    from the next request on; while it is broken or away the keys that it held stay.
    """

    def __init__(self, path: Path, keys: dict[str, Key]) -> None:
        self.path = path
        self._keys = keys
        self._seen = _stamp(path)
        self._lock = Lock()

    @classmethod
    def load(cls, path: Path) -> Self:
        """Raises `InvalidSetting`, which names the file and the line."""
        keys = _read(path)
        if not keys:
            raise InvalidSetting(
                f"The file of API keys {path} holds none; make one with `lookalike keys create NAME --scope admin`."
            )
        return cls(path, keys)

    def entries(self) -> list[Key]:
        """All of them, by name."""
        self._refresh()
        return sorted(self._keys.values(), key=lambda key: key.name)

    def find(self, secret: str) -> Key | None:
        """The key whose secret this is; None: it is none of ours."""
        self._refresh()
        digest = hashed(secret)
        found = None
        # All are looked at, so that the time tells nothing.
        for key in self._keys.values():
            if hmac.compare_digest(key.sha256, digest):
                found = key
        return found

    def _refresh(self) -> None:
        with self._lock:
            stamp = _stamp(self.path)
            if stamp == self._seen:
                return
            self._seen = stamp
            try:
                self._keys = _read(self.path)
            except InvalidSetting as error:
                structlog.get_logger("api").error("keys_kept", detail=str(error))


def read(path: Path) -> list[Key]:
    """The keys of a file, by name. Raises `InvalidSetting`, which names the file and the line."""
    return sorted(_read(path).values(), key=lambda key: key.name)


def add(path: Path, key: Key) -> None:
    """Adds a key to a file, which is made for its owner only. Raises `KeyExists`, `InvalidSetting`."""
    with _edited(path, create=True) as lines:
        if key.name in _parsed(path, lines):
            raise KeyExists(
                f"There is a key named {key.name} already: take another name, or rotate or revoke that one."
            )
        lines.append(str(key))


def revoke(path: Path, name: str) -> Key:
    """Takes a key out of a file. Raises `KeyNotFound`, `InvalidSetting`."""
    with _edited(path) as lines:
        key = _parsed(path, lines).get(name)
        if key is None:
            raise _unknown(name)
        del lines[_line_of(lines, name)]
        return key


def rotate(path: Path, name: str) -> tuple[Key, str]:
    """Gives a key another secret; the old one is none from then on. Raises `KeyNotFound`, `InvalidSetting`."""
    with _edited(path) as lines:
        old = _parsed(path, lines).get(name)
        if old is None:
            raise _unknown(name)
        key, secret = new_key(name, old.scopes, old.catalogs)
        number = _line_of(lines, name)
        _, mark, comment = lines[number].partition("#")
        lines[number] = f"{key} {mark}{comment}" if mark else str(key)
        return key, secret


def _unknown(name: str) -> KeyNotFound:
    return KeyNotFound(f"There is no key named {name[:80]!r}; `lookalike keys list` shows those there are.")


def _line_of(lines: list[str], name: str) -> int:
    return next(at for at, line in enumerate(lines) if line.partition("#")[0].strip().startswith(f"{name}:"))


def _read(path: Path) -> dict[str, Key]:
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSetting(f"The file of API keys {path} cannot be read: {error}.") from error
    return _parsed(path, lines)


def _parsed(path: Path, lines: list[str]) -> dict[str, Key]:
    keys: dict[str, Key] = {}
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        key = _key(text)
        if key is None or key.name in keys:
            why = f"a second key named {key.name}" if key else "not `name:scopes:catalogs:SHA-256 in 64 hex digits`"
            raise InvalidSetting(f"The file of API keys {path}, line {number}, is refused: {why}.")
        keys[key.name] = key
    return keys


def _key(text: str) -> Key | None:
    if ":" not in text:
        return None
    name, *middle, digest = text.split(":")
    scopes, catalogs = middle if len(middle) == 2 else ("", "")
    if not middle:
        scopes, catalogs = Scope.ADMIN, EVERY
    names = catalogs.split(",")
    is_sound = _NAME.fullmatch(name) and _HASH.fullmatch(digest) and set(scopes.split(",")) <= set(Scope)
    if not is_sound or not (names == [EVERY] or all(_is_catalog(each) for each in names)):
        return None
    named = None if names == [EVERY] else frozenset(names)
    return Key(name, frozenset(map(Scope, scopes.split(","))), named, digest)


def _is_catalog(name: str) -> bool:
    try:
        checked_catalog_name(name)
    except InvalidInput:
        return False
    return True


@contextmanager
def _edited(path: Path, *, create: bool = False) -> Iterator[list[str]]:
    """The lines of a keys file, which are written as they are in the end: the old file or the new one is there, whole,
    whatever happens. One process at a time. Nothing is written where the block raises."""
    try:
        with locked_for_replacement(path, create=create) as stream:
            lines = stream.read().splitlines()
            before = list(lines)
            _parsed(path, lines)  # a service would not take a new key of a file that is broken
            yield lines
            if lines != before:
                _replace(path, "".join(f"{line}\n" for line in lines))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSetting(f"The keys file {path} cannot be changed ({error}); name another with --file.") from error


def _replace(path: Path, text: str) -> None:
    """Puts another file in the place of this one, with the same owner and the same permissions."""
    path = path.resolve()
    old = path.stat()
    new = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            if (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(stream.fileno(), old.st_uid, old.st_gid)
            os.fchmod(stream.fileno(), old.st_mode & 0o777)
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
