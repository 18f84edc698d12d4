"""The secret that signs cookies and URLs: one file beside the keys file, which all processes of a service share."""

import os
import re
import secrets
from pathlib import Path

from services.errors import InvalidSetting
from services.storage.locks import locked_for_replacement

_SECRET = re.compile(r"[0-9a-f]{64}\n?")


def beside(keys_file: Path) -> Path:
    """Where the secret of a keys file lies: also of one that is named by a link."""
    return keys_file.with_name(f"{keys_file.name}.secret")


def kept_secret(path: Path) -> bytes:
    """The secret of a file, which is made where there is none, for its owner only.

    Whichever of several processes is the first makes it. What a crash left of one is replaced.

    Returns:
        64 hex digits: 256 random bits.

    Raises:
        InvalidSetting: It can neither be read nor be made.
    """
    try:
        return _read(path) or _made(path)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSetting(
            f"The secret that signs sessions and URLs cannot be kept in {path} ({error}): let the service write into "
            "the folder of the keys file, or put a file of 64 random hex digits there (openssl rand -hex 32)."
        ) from error


def _read(path: Path) -> bytes | None:
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    return text.strip().encode() if _SECRET.fullmatch(text) else None


def _made(path: Path) -> bytes:
    with locked_for_replacement(path, create=True) as stream:
        # Another process may have made it while this one waited.
        if found := _read(path):
            return found
        made = secrets.token_hex(32)
        os.fchmod(stream.fileno(), 0o600)
        stream.truncate(0)
        stream.write(f"{made}\n")
        stream.flush()
        os.fsync(stream.fileno())
        return made.encode()
