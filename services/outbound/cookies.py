"""The cookies of one fetch: each goes back to the host that set it, and to no other."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

import httpx2

from services.outbound.headers import TOKEN

MAX_COOKIES = 50
# Of all names, values and paths. Servers commonly refuse a request whose head has more than 8 KB.
MAX_COOKIE_BYTES = 6 * 1024

VALUE = re.compile(r"[\x20-\x7e]*")


class _Key(NamedTuple):
    host: bytes
    path: str
    name: str


class _Cookie(NamedTuple):
    value: str
    secure: bool


class Cookies:
    """What the responses of one fetch set. It is made for one fetch and dropped after it.

    Domain is ignored, so no cookie reaches another host, also none above or below the one that set it. A cookie without
    Path is for the whole host. Malformed cookies, and those beyond `MAX_COOKIES` or `MAX_COOKIE_BYTES`, are ignored.
    """

    def __init__(self) -> None:
        self._held: dict[_Key, _Cookie] = {}

    def keep(self, url: httpx2.URL, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Keeps what the headers of the response from `url` set."""
        for name, value in headers:
            if name.lower() == b"set-cookie":
                self._keep(url, value.decode("latin-1"))

    def header(self, url: httpx2.URL) -> str:
        """The value of the Cookie header of a request for `url`; empty: it has none."""
        sent = [
            (key, cookie)
            for key, cookie in self._held.items()
            if key.host == url.raw_host and _covers(key.path, url) and (url.scheme == "https" or not cookie.secure)
        ]
        sent.sort(key=lambda pair: -len(pair[0].path))
        return "; ".join(f"{key.name}={cookie.value}" for key, cookie in sent)

    def _keep(self, url: httpx2.URL, line: str) -> None:
        pair, *rest = line.split(";")
        name, equals, value = (each.strip(" \t") for each in pair.partition("="))
        if not equals or not TOKEN.fullmatch(name) or not VALUE.fullmatch(value):
            return
        attributes = {key.strip().lower(): told.strip() for key, _, told in (each.partition("=") for each in rest)}
        path = attributes.get("path", "")
        key = _Key(url.raw_host, path if path.startswith("/") else "/", name)
        old = self._held.get(key)
        # Whoever can answer for http must neither set nor change what is for https only.
        if url.scheme != "https" and ("secure" in attributes or (old and old.secure)):
            return
        if _is_over(attributes):
            self._held.pop(key, None)
            return
        others = [(each, cookie) for each, cookie in self._held.items() if each != key]
        size = sum(len(each.path) + len(each.name) + len(cookie.value) for each, cookie in others)
        if len(others) < MAX_COOKIES and size + len(key.path) + len(name) + len(value) <= MAX_COOKIE_BYTES:
            self._held[key] = _Cookie(value, "secure" in attributes)


def _covers(path: str, url: httpx2.URL) -> bool:
    asked = url.raw_path.partition(b"?")[0].decode("ascii")
    return asked == path or asked.startswith(path.removesuffix("/") + "/")


def _is_over(attributes: Mapping[str, str]) -> bool:
    """Whether the attributes are those by which a server deletes a cookie. Max-Age counts before Expires."""
    age = re.fullmatch(r"(-?)([0-9]{1,20})", attributes.get("max-age", ""), re.ASCII)
    if age:
        return bool(age[1]) or not int(age[2])
    try:
        return parsedate_to_datetime(attributes.get("expires", "")).astimezone(UTC) <= datetime.now(UTC)
    except (ValueError, OverflowError):
        return False
