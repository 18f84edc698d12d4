"""Who may come in: API keys by their hashes; without keys only this machine, and no web page of another site."""

import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from threading import Lock
from typing import Self

import structlog
from flask import g, request

from api.errors import Forbidden, Unauthorized
from services.errors import InvalidSetting

OPEN = frozenset({"/livez", "/readyz"})
"""What answers without a key: load balancers ask it."""

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_LINE = re.compile(r"([A-Za-z0-9._-]{1,64}):([0-9a-f]{64})")
_HOST = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::[0-9]{1,5})?")


def new_key() -> str:
    """A key that nobody guesses."""
    return f"lk_{secrets.token_urlsafe(32)}"


def hashed(key: str) -> str:
    """What a keys file holds of a key: its SHA-256 in hex. Keys are random, so that suffices."""
    return sha256(key.encode(errors="surrogateescape")).hexdigest()


class Keys:
    """The keys of a file of lines `name:SHA-256`; what is changed in the file counts from the next request on.

    While the file is broken or away the keys that it held stay.
    """

    def __init__(self, path: Path, keys: Mapping[str, str]) -> None:
        self._path = path
        self._keys = keys
        self._seen = _stamp(path)
        self._lock = Lock()

    @classmethod
    def load(cls, path: Path) -> Self:
        """Raises `InvalidSetting`, which names the file and the line."""
        keys = _read(path)
        if not keys:
            raise InvalidSetting(f"The file of API keys {path} holds none; add a line `name:SHA-256 of the key`.")
        return cls(path, keys)

    def name_of(self, key: str) -> str | None:
        """The name of a key; None: it is none of ours."""
        self._refresh()
        digest = hashed(key)
        found = None
        # All are looked at, so that the time tells nothing.
        for name, known in self._keys.items():
            if hmac.compare_digest(known, digest):
                found = name
        return found

    def _refresh(self) -> None:
        with self._lock:
            stamp = _stamp(self._path)
            if stamp == self._seen:
                return
            self._seen = stamp
            try:
                self._keys = _read(self._path)
            except InvalidSetting as error:
                structlog.get_logger("api").error("keys_kept", detail=str(error))


def guard(keys: Keys | None) -> Callable[[], None]:
    """What every request passes first. Raises `Unauthorized`, `Forbidden`."""

    def enter() -> None:
        if request.path in OPEN:
            return
        if keys is None:
            _from_here()
        else:
            g.key_name = _known(keys)

    return enter


def _known(keys: Keys) -> str:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    name = keys.name_of(key.strip()) if scheme.lower() == "bearer" else None
    if name is None:
        raise Unauthorized(
            "This needs an API key that is known here: send the header Authorization: Bearer KEY.",
            "Authorization",
            {"WWW-Authenticate": "Bearer"},
        )
    return name


def _from_here() -> None:
    """A name that leads here by DNS, or a page of another site, must not speak for the person at this machine."""
    host = request.environ.get("HTTP_HOST", "")
    if not _loopback(host):
        raise Forbidden(
            f"The host {host[:80]!r} is refused: without API keys this answers to localhost and loopback addresses.",
            "Host",
        )
    origin = request.headers.get("Origin")
    if request.method not in SAFE and origin not in (None, f"{request.scheme}://{host}"):
        raise Forbidden(f"The origin {origin[:80]!r} is refused: pages of other sites may change nothing.", "Origin")


def _loopback(host: str) -> bool:
    found = _HOST.fullmatch(host)
    if not found:
        return False
    name = found["host"].strip("[]").lower()
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def _read(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSetting(f"The file of API keys {path} cannot be read: {error}.") from error
    keys: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        found = _LINE.fullmatch(text)
        if not found or found[1] in keys:
            why = f"a second key named {found[1]}" if found else "not `name:SHA-256 in 64 hex digits`"
            raise InvalidSetting(f"The file of API keys {path}, line {number}, is refused: {why}.")
        keys[found[1]] = found[2]
    return keys


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
