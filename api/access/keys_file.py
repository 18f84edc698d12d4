"""The file that keeps API keys: read, and changed by one process at a time."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from api.access.keys import Key, KeyExists, KeyNotFound, new_key, parse_key
from services.errors import InvalidSetting
from services.storage.locks import locked_for_replacement


def read(path: Path) -> list[Key]:
    """The keys of a file, by name. Raises `InvalidSetting`, which names the file and the line."""
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSetting(f"The file of API keys {path} cannot be read: {error}.") from error
    return sorted(_parsed(path, lines).values(), key=lambda key: key.name)


def _parsed(path: Path, lines: list[str]) -> dict[str, Key]:
    keys: dict[str, Key] = {}
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        key = parse_key(text)
        if key is None or key.name in keys:
            why = f"a second key named {key.name}" if key else "not `name:scopes:catalogs:SHA-256 in 64 hex digits`"
            raise InvalidSetting(f"The file of API keys {path}, line {number}, is refused: {why}.")
        keys[key.name] = key
    return keys


def stamp(path: Path) -> tuple[int, int, int] | None:
    """What changes whenever the file does; None: it cannot be read."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def add(path: Path, key: Key) -> None:
    """Adds a key to a file, which is made for its owner only. Raises `KeyExists`, `InvalidSetting`."""
    with _edited(path, create=True) as lines:
        if key.name in _parsed(path, lines):
            raise KeyExists(
                f"There is a key named {key.name} already: take another name, or rotate or revoke that one."
            )
        lines.append(str(key))


def revoke(path: Path, name: str) -> Key:
    """Removes a key from a file. Raises `KeyNotFound`, `InvalidSetting`."""
    with _edited(path) as lines:
        key = _parsed(path, lines).get(name)
        if key is None:
            raise _unknown(name)
        del lines[_line_of(lines, name)]
        return key


def rotate(path: Path, name: str) -> tuple[Key, str]:
    """Gives a key another secret; the old one is no longer valid.

    Returns:
        The key, and its new secret.

    Raises:
        KeyNotFound, InvalidSetting: There is no such key, or the file cannot be changed.
    """
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


@contextmanager
def _edited(path: Path, *, create: bool = False) -> Iterator[list[str]]:
    """The lines of a keys file, for the block to change; then they replace the file as a whole, or not at all.

    One process does this at a time. Nothing is written where the block raises.
    """
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
