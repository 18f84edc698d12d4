"""The session of a browser: begun with a key, so that pages need not keep it, and ended."""

from datetime import UTC, datetime

from apiflask import APIBlueprint
from flask import Response, jsonify, request

from api.access.auth import caller, check_origin, opened_by
from api.access.entrance import Caller
from api.access.keyring import Keyring
from api.access.keys import Scope
from api.access.sessions import COOKIE, SECONDS, Sessions
from api.context import context
from api.errors import Unauthorized
from api.openapi.document import more
from api.requests import browsers
from api.requests.body import json_body
from api.responses import schemas
from services.descriptions import rfc3339
from services.errors import Conflict

bp = APIBlueprint("session", __name__, url_prefix="/v1/session", tag="Session")


@bp.get("")
@opened_by(*Scope)
@bp.doc(operation_id="get_session")
@bp.output(schemas.Session)
def read() -> schemas.Session:
    """Read what this caller may do

    Of a session, and of an API key as well. A service without keys says `admin`, for all catalogs.
    """
    return _told(caller())


@bp.post("")
@opened_by()
@bp.doc(
    operation_id="begin_session",
    extensions=more(
        *(401, 403, 409, 413, 415),
        body={"application/json": browsers.NewSession},
        headers={"Set-Cookie": "The session: `HttpOnly` and `SameSite=Strict`, for 12 hours."},
        is_open=True,
        curl="""-c cookies -H 'Content-Type: application/json' -d '{"key": "KEY"}'""",
    ),
)
@bp.output(schemas.Session)
def begin() -> Response:
    """Begin the session of a browser with an API key

    The cookie stands for the key in this browser: it opens what the key opens, for 12 hours or until the key is revoked
    or rotated. Requests with it that change something need the header `Origin` of this service, which browsers send.
    """
    check_origin(context().entrance.public, is_needed=False)
    keyring, sessions = _kept()
    key = keyring.find(json_body(browsers.NewSession).key)
    if key is None:
        raise Unauthorized("This key is not known here.", "key", {"WWW-Authenticate": "Bearer"})
    cookie, ends = sessions.begun(key)
    response = jsonify(_told(Caller(key, ends)).model_dump())
    _set(response, cookie, SECONDS)
    return response


@bp.delete("")
@opened_by()
@bp.doc(
    operation_id="end_session",
    extensions=more(403, is_open=True, headers={"Set-Cookie": "The session, ended."}),
)
@bp.output({}, status_code=204, description="This browser has no session any more.")
def end() -> Response:
    """End the session of this browser

    The browser forgets the cookie. Nothing is kept of sessions here, so a copy of it stays valid until it expires;
    rotating or revoking the key ends them all.
    """
    check_origin(context().entrance.public, is_needed=COOKIE in request.cookies)
    response = Response(status=204)
    _set(response, "", 0)
    return response


def _kept() -> tuple[Keyring, Sessions]:
    """The keys and the sessions of the service. Raises `Conflict` where there are none."""
    entrance = context().entrance
    if entrance.keyring is None:
        raise Conflict("This service runs without API keys and answers this machine only: no session is needed.")
    if entrance.sessions is None:
        raise Conflict(
            "There are no sessions here: the secret that signs them cannot be kept beside the keys file (the log "
            "of the service says why). Send the key with each request."
        )
    return entrance.keyring, entrance.sessions


def _set(response: Response, cookie: str, seconds: int) -> None:
    public = context().entrance.public
    is_secure = public.is_secure if public else request.is_secure
    path = (public.path if public else "") or "/"
    response.set_cookie(COOKIE, cookie, max_age=seconds, path=path, secure=is_secure, httponly=True, samesite="Strict")


def _told(found: Caller) -> schemas.Session:
    ends = None if found.ends is None else rfc3339(datetime.fromtimestamp(found.ends, UTC))
    return schemas.Session(**found.key.to_json(), expires_at=ends)
