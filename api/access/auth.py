"""Who may come in: every route says which keys open it; without keys only this machine, and no page of another site."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TypeVar

import structlog
from flask import Flask, current_app, g, request
from werkzeug.exceptions import MethodNotAllowed

from api.access.keyring import Keyring
from api.access.keys import Key, Scope
from api.errors import Forbidden, Unauthorized

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
HERE = Key("", frozenset({Scope.ADMIN}), None, "")
"""Who asks where there are no keys: the person at this machine."""

_HOST = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::[0-9]{1,5})?")
_ATTRIBUTE = "_access"

View = TypeVar("View", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class Access:
    """What opens a route: a key with one of these scopes, none of them: no key is asked for. `everywhere`: only a key
    that is for all catalogs."""

    scopes: frozenset[Scope]
    everywhere: bool = False


def opened_by(*scopes: Scope, everywhere: bool = False) -> Callable[[View], View]:
    """Says of a route which keys open it; without a scope, that anybody may ask."""

    def mark(view: View) -> View:
        setattr(view, _ATTRIBUTE, Access(frozenset(scopes), everywhere))
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


def guard(keyring: Keyring | None, admit: Callable[[Key], None]) -> Callable[[], None]:
    """What every request passes first. Raises `Unauthorized`, `Forbidden`, and what `admit` raises for a known key."""

    def enter() -> None:
        endpoint = _endpoint()
        wanted = access(current_app, endpoint) if endpoint else None
        if wanted and not wanted.scopes:
            return
        if keyring is None:
            _from_here()
            g.key = HERE
            return
        g.key = _known(keyring)
        structlog.contextvars.bind_contextvars(api_key=g.key.name)
        admit(g.key)
        if wanted:
            _check(g.key, wanted)

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
    key: Key = g.key
    return key


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


def bearer(keyring: Keyring, authorization: str) -> Key | None:
    """The key that a header `Authorization` sends; None: it is none of ours."""
    scheme, _, secret = authorization.partition(" ")
    return keyring.find(secret.strip()) if scheme.lower() == "bearer" else None


def _known(keyring: Keyring) -> Key:
    key = bearer(keyring, request.headers.get("Authorization", ""))
    if key is None:
        raise Unauthorized(
            "This needs an API key that is known here: send the header Authorization: Bearer KEY.",
            "Authorization",
            {"WWW-Authenticate": "Bearer"},
        )
    return key


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
