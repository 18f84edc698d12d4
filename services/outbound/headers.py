"""Headers that the operator sets for certain hosts, such as keys. Their values are secrets: no message shows one."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn, Self

import httpx2
from pydantic import SecretStr

from services.errors import FetchRefused, InvalidSetting
from services.outbound.urls import parsed

SETTING = "LOOKALIKE_FETCH_HEADERS_FILE"

# RFC 9110, section 5.6.2: what a name of a header or a cookie is.
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
# They say how a request is framed and which connection it uses, or make the response another one than the whole image.
OURS = frozenset(
    {
        *("host", "connection", "keep-alive", "proxy-connection", "proxy-authorization", "te", "trailer"),
        *("transfer-encoding", "upgrade", "content-length", "content-encoding", "expect", "accept-encoding", "range"),
        *("if-range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since"),
    }
)
PORTS = {"http": 80, "https": 443}

Origin = tuple[str, bytes, int]


class HostHeaders:
    """The headers of requests to certain origins (scheme, host and port). Immutable."""

    def __init__(self, headers: Mapping[Origin, Mapping[str, SecretStr]] | None = None) -> None:
        self._headers = headers or {}

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads LOOKALIKE_FETCH_HEADERS_FILE: `{"images.example.com": {"Authorization": "Bearer ..."}}`.

        A host may have a port. Its headers are sent over https only, unless it is written as `http://images.internal`.

        Raises:
            InvalidSetting: The message names the file and the place in it.
        """
        if str(path).lstrip().startswith("{"):
            raise InvalidSetting(f"{SETTING} holds JSON; write that into a file, and set its path.")
        # `from None`: the errors of parsers hold what they have parsed.
        try:
            text = path.read_bytes().decode("utf-8-sig")
        except OSError as error:
            raise InvalidSetting(f"{SETTING}: {path} cannot be read: {error.strerror}.") from None
        except UnicodeDecodeError as error:
            raise InvalidSetting(f"{SETTING}: {path} is no UTF-8 at byte {error.start}.") from None
        try:
            # Objects become tuples of pairs, in which a name that is there twice can be seen.
            value = json.loads(text, object_pairs_hook=tuple)
        except json.JSONDecodeError as error:
            raise InvalidSetting(
                f"{SETTING}: {path} is no JSON at line {error.lineno}, column {error.colno}."
            ) from None
        except RecursionError:
            value = None
        return cls(_Reader(path).headers(value))

    def of(self, url: httpx2.URL) -> dict[str, str]:
        """The headers of a request for `url`."""
        return {name: value.get_secret_value() for name, value in self._headers.get(_origin(url), {}).items()}


class _Reader:
    """Reads the JSON of the file at `path`. Names, too, are shown only once they are valid: they may be swapped."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def headers(self, value: object) -> dict[Origin, dict[str, SecretStr]]:
        if not isinstance(value, tuple):
            self._refuse("it must be an object of hosts, each with an object of headers")
        found: dict[Origin, dict[str, SecretStr]] = {}
        for number, (host, headers) in enumerate(value, 1):
            origin = self._origin(host, f"entry {number}")
            if origin in found:
                self._refuse(f"entry {number} names the host of an entry before it")
            if not isinstance(headers, tuple):
                self._refuse(f"entry {number} must have an object of headers")
            found[origin] = self._of_host(headers, f"entry {number} ({origin[1].decode('ascii')})")
        return found

    def _origin(self, host: str, place: str) -> Origin:
        try:
            url = parsed(host if "://" in host else f"https://{host}", "")
        except FetchRefused:
            self._refuse(f"{place} is no host, such as images.example.com, images.example.com:8443 or http://10.1.2.3")
        if url.raw_path != b"/" or url.fragment:
            self._refuse(f"{place} has more than a host and port; leave the rest out")
        return _origin(url)

    def _of_host(self, headers: tuple[tuple[str, object], ...], place: str) -> dict[str, SecretStr]:
        found: dict[str, SecretStr] = {}
        for number, (name, value) in enumerate(headers, 1):
            if not TOKEN.fullmatch(name):
                self._refuse(f"header {number} of {place} has no valid name")
            if name.lower() in OURS:
                self._refuse(f"{name} of {place} cannot be set")
            if name.lower() in map(str.lower, found):
                self._refuse(f"{name} of {place} is there twice")
            if not isinstance(value, str) or not VALUE.fullmatch(value):
                self._refuse(f"{name} of {place} must be printable ASCII without white space at its ends")
            found[name] = SecretStr(value)
        return found

    def _refuse(self, why: str) -> NoReturn:
        raise InvalidSetting(f"{SETTING}: {self._path} is refused: {why}.") from None


def _origin(url: httpx2.URL) -> Origin:
    return url.scheme, url.raw_host, url.port or PORTS[url.scheme]
