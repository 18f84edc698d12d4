"""API keys: what each may do, and its line in a keys file."""

import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any

from services.errors import Conflict, InvalidInput, NotFound
from services.names import checked_catalog_name

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

    def to_json(self) -> dict[str, Any]:
        """What is shown of it: not its hash."""
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
    """Makes a key.

    Args:
        name: Its name, in answers and logs.
        scopes: What it is for.
        catalogs: The catalogs that it is for; None: all.

    Returns:
        The key, and its secret, which is kept nowhere.

    Raises:
        InvalidInput, InvalidCatalog: They name what is wrong.
    """
    if not _NAME.fullmatch(name):
        raise InvalidInput(f"The name {name[:80]!r} is refused: it takes 1 to 64 of A-Z, a-z, 0-9, dot, - and _.")
    if not scopes or not set(scopes) <= set(Scope):
        raise InvalidInput(f"A key needs one or more scopes of {', '.join(Scope)}.")
    if catalogs is not None and not catalogs:
        raise InvalidInput("A key for no catalog opens nothing: name some, or leave them out, which means all.")
    named = None if catalogs is None else frozenset(checked_catalog_name(each) for each in catalogs)
    secret = new_secret()
    return Key(name, frozenset(map(Scope, scopes)), named, hashed(secret)), secret


def parse_key(text: str) -> Key | None:
    """The key that a line of a file writes, without its comment; None: this is no key."""
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
