"""Routes are split on the raw URI: a product ID may hold slashes and dots, written `%2F` and `..`."""

import re
from collections.abc import Iterable
from string import printable
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_to_bytes

from werkzeug.exceptions import BadRequest
from werkzeug.routing import BaseConverter

from api.errors import Malformed

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_ORIGIN = re.compile(r"\A[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
_BROKEN = re.compile(r"%(?![0-9A-Fa-f]{2})")


class RawPaths:
    """WSGI: gives an app the path as it came, still percent-encoded, in PATH_INFO.

    Bytes that are not ASCII, which some servers let through, are percent-encoded there and in the query. `mount` is the
    path below which others see the app: URLs begin with it, and requests may, as a proxy passes them on or cuts it off.
    """

    def __init__(self, app: "WSGIApplication", mount: str = "") -> None:
        self._app = app
        self._mount = mount

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        environ["PATH_INFO"] = below(self._mount, raw_path(environ))
        if self._mount:
            environ["SCRIPT_NAME"] = self._mount
        environ["QUERY_STRING"] = quote(environ.get("QUERY_STRING", "").encode("latin-1"), safe=printable)
        return self._app(environ, start_response)


def raw_path(environ: "WSGIEnvironment") -> str:
    """The path of the request's target, with neither query nor mount point.

    Servers that do not tell the target (REQUEST_URI or RAW_URI) have decoded it: then `%2F` is a slash.
    """
    target = environ.get("REQUEST_URI") or environ.get("RAW_URI")
    if target is None:
        return quote(environ.get("PATH_INFO", "").encode("latin-1"))
    # An absolute target, as a proxy gets it, begins with scheme and host.
    path = re.split(r"[?#]", _ORIGIN.sub("", target, count=1), maxsplit=1)[0]
    path = quote(path.encode("latin-1"), safe=printable)
    path = below(quote(environ.get("SCRIPT_NAME", "").encode("latin-1")), path)
    return path if path.startswith("/") else f"/{path}"


def below(mount: str, path: str) -> str:
    """The path without the mount point, where it is below it."""
    rest = path.removeprefix(mount)
    if rest and not rest.startswith("/"):
        return path
    return rest or "/"


def unquoted(text: str, field: str) -> str:
    """The text that percent-encoding writes. Raises `Malformed` where it is no encoding, or not of UTF-8."""
    if _BROKEN.search(text):
        raise Malformed(f"{field}: a % is not followed by two hex digits; write %25 for a percent sign.", field)
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise Malformed(f"{field}: the percent-encoded bytes are not UTF-8.", field) from None


class Segment(BaseConverter):
    """One segment of a path, decoded: `<segment:catalog>`."""

    def to_python(self, value: str) -> str:
        try:
            return unquoted(value, "path")
        except Malformed as error:
            # Only what Werkzeug knows becomes an answer while it routes.
            raise BadRequest(str(error)) from error

    def to_url(self, value: str) -> str:
        return quote(value, safe="")
