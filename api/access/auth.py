"""Who may come in: every route says which keys open it; without keys only this machine, and no page of another site.

What a browser sends by itself, a cookie, changes nothing unless a page of our own asks for it.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TypeVar

import structlog
from flask import Flask, current_app, g, request
from werkzeug.exceptions import MethodNotAllowed

from api.access.entrance import Caller, Entrance
from api.access.keys import Key, Scope
from api.access.public_url import PublicUrl
from api.access.sessions import COOKIE
from api.access.signed_pictures import SIGNATURE
from api.errors import Forbidden, OriginRefused, SignatureRefused, Unauthorized

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
READING = frozenset({"GET", "HEAD"})
HERE = Key("", frozenset({Scope.ADMIN}), None, "")
"""Who asks where there are no keys: the person at this machine."""

_HOST = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::[0-9]{1,5})?")
_ATTRIBUTE = "_access"

View = TypeVar("View", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class Access:
    """What opens a route: a key with one of these scopes, none of them: no key is asked for. `everywhere`: only a key
    that is for all catalogs. `signed`: a signed URL does, too."""

    scopes: frozenset[Scope]
    everywhere: bool = False
    signed: bool = False


def opened_by(*scopes: Scope, everywhere: bool = False, signed: bool = False) -> Callable[[View], View]:
    """Says of a route which keys open it; without a scope, that anybody may ask."""

    def mark(view: View) -> View:
        setattr(view, _ATTRIBUTE, Access(frozenset(scopes), everywhere, signed))
        return view

    return mark


def access(app: Flask, endpoint: str) -> Access | None:
    """What opens a route; None: it does not say."""
    found: Access | None = getattr(app.view_functions[endpoint], _ATTRIBUTE, None)
    return found


def check_routes(app: Flask) -> None:
    """Raises `TypeError` where a route does not say what opens it: such an app must not start."""
    silent = {rule.endpoint for rule in app.url_map.iter_rules() if access(app, rule.endpoint) is None}
    if silent:
        raise TypeError(
            f"These routes do not say which keys open them (api.access.auth.opened_by): {', '.join(sorted(silent))}"
        )


def guard(entrance: Entrance, admit: Callable[[Key], None]) -> Callable[[], None]:
    """What every request passes first. Raises `Unauthorized`, `Forbidden`, and what `admit` raises for a known key."""

    def enter() -> None:
        endpoint = _endpoint()
        wanted = access(current_app, endpoint) if endpoint else None
        if wanted and not wanted.scopes:
            return
        if entrance.keyring is None:
            _from_here(entrance.public)
            g.caller = Caller(HERE)
            return
        if wanted and wanted.signed and _is_signed(entrance):
            return
        g.caller = _known(entrance)
        structlog.contextvars.bind_contextvars(api_key=asking().name)
        admit(asking())
        if wanted:
            _check(asking(), wanted)

    return enter


def _endpoint() -> str | None:
    """That of the request's path, whether or not it takes this method; None: there is nothing."""
    refused = request.routing_exception
    if isinstance(refused, MethodNotAllowed) and refused.valid_methods:
        routes = current_app.create_url_adapter(request)
        assert routes, "there is a request"
        endpoint: str = routes.match(method=next(iter(refused.valid_methods)))[0]
        return endpoint
    return request.endpoint


def asking() -> Key:
    """The key of the current request."""
    return caller().key


def caller() -> Caller:
    """Who sent the current request."""
    found: Caller = g.caller
    return found


def opened_for() -> int | None:
    """The seconds for which the signed URL that opened the current request is still good; None: it was another way."""
    left: int | None = g.get("seconds_left")
    return left


def check_catalog(name: str) -> None:
    """Raises `Forbidden` where the current request's key is not for this catalog."""
    if not asking().reaches(name):
        raise Forbidden(f"This key is not for the catalog {name[:80]!r}; take one that is.", "Authorization")


def _check(key: Key, wanted: Access) -> None:
    if not key.may(wanted.scopes):
        scopes = " or ".join(sorted({*wanted.scopes, Scope.ADMIN}))
        raise Forbidden(f"This key is for {_listed(key.scopes)}; this takes one for {scopes}.", "Authorization")
    if wanted.everywhere and key.catalogs is not None:
        raise Forbidden("This takes a key for all catalogs; this one is for some.", "Authorization")
    catalog = (request.view_args or {}).get("catalog")
    if catalog is not None:
        check_catalog(catalog)


def _listed(names: Iterable[str]) -> str:
    return " and ".join(sorted(names))


def _known(entrance: Entrance) -> Caller:
    cookie = request.cookies.get(COOKIE)
    found = entrance.caller(sent := request.headers.get("Authorization", ""), cookie)
    if found is None:
        has_ended = cookie and not sent
        raise Unauthorized(
            "This session has ended, or its key is no longer valid: log in again."
            if has_ended
            else "This needs an API key that is known here: send the header Authorization: Bearer KEY.",
            "Cookie" if has_ended else "Authorization",
            {"WWW-Authenticate": "Bearer"},
        )
    if found.ends is not None and request.method not in READING:
        check_origin(entrance.public, is_needed=True)
    return found


def _is_signed(entrance: Entrance) -> bool:
    """Whether it is the URL that opens, and no key. Raises `SignatureRefused`."""
    if SIGNATURE not in request.args or "Authorization" in request.headers:
        return False
    values = request.args.to_dict() | (request.view_args or {})
    g.seconds_left = entrance.pictures and entrance.pictures.seconds_left(request.endpoint or "", values)
    if g.seconds_left is None:
        raise SignatureRefused(
            "This URL was not signed here as it is, or its time is over: read the product again with ?sign=.", SIGNATURE
        )
    return True


def check_origin(public: PublicUrl | None, *, is_needed: bool) -> None:
    """Raises `OriginRefused` where the current request comes from a page that is not ours, or, where it `is_needed`,
    from none."""
    origin = request.headers.get("Origin")
    if origin is None and not is_needed:
        return
    if origin != (public.origin if public else _own_origin()):
        raise OriginRefused(
            f"The origin {(origin or 'none')[:80]!r} is refused: with a session, only pages of this service may change "
            "something (LOOKALIKE_PUBLIC_URL says where they are). Programs send a key.",
            "Origin",
        )


def _own_origin() -> str:
    return f"{request.scheme}://{request.environ.get('HTTP_HOST', '')}"


def _from_here(public: PublicUrl | None) -> None:
    """A name that leads here by DNS, or a page of another site, must not speak for the person at this machine."""
    host = request.environ.get("HTTP_HOST", "")
    if not _loopback(host):
        raise Forbidden(
            f"The host {host[:80]!r} is refused: without API keys this answers to localhost and loopback addresses.",
            "Host",
        )
    origin = request.headers.get("Origin")
    if request.method not in SAFE and origin not in (None, _own_origin(), public and public.origin):
        raise OriginRefused(
            f"The origin {origin[:80]!r} is refused: pages of other sites may change nothing.", "Origin"
        )


def _loopback(host: str) -> bool:
    found = _HOST.fullmatch(host)
    if not found:
        return False
    name = found["host"].strip("[]").lower()
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
