"""Routes of API keys: create, list, rotate and revoke while the service is running."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import structlog
from apiflask import APIBlueprint
from flask import Response

from api.access import keys_file
from api.access.auth import opened_by
from api.access.keyring import Keyring
from api.access.keys import Scope, new_key
from api.context import context
from api.openapi.document import more
from api.requests import models
from api.requests.body import json_body
from api.responses import schemas
from services.errors import Conflict, InvalidSetting

Result = TypeVar("Result")

bp = APIBlueprint("keys", __name__, url_prefix="/v1/keys", tag="Keys")


@bp.get("")
@opened_by(Scope.ADMIN, everywhere=True)
@bp.doc(operation_id="list_keys", extensions=more(409))
@bp.output(schemas.Keys)
def scroll() -> schemas.Keys:
    """List API keys, by name

    Secrets are not kept, so none is shown.
    """
    return schemas.Keys(keys=[schemas.Key(**key.to_json()) for key in _ring().entries()])


@bp.post("")
@opened_by(Scope.ADMIN, everywhere=True)
@bp.doc(
    operation_id="create_key",
    extensions=more(
        *(409, 413, 415),
        body={"application/json": models.NewKey},
        curl="""-H 'Content-Type: application/json' -d '{"name": "shop", "scopes": ["search"]}'""",
    ),
)
@bp.output(schemas.MadeKey, status_code=201, description="It is known from now on; `key` is shown this once.")
def post() -> tuple[schemas.MadeKey, int]:
    """Make an API key

    `search` reads and searches, `ingest` reads products, changes them and follows jobs, `admin` does all. Without
    `catalogs` it is for all of them, those to come included.
    """
    wanted = json_body(models.NewKey)
    key, secret = new_key(wanted.name, wanted.scopes, wanted.catalogs)
    _changed(lambda file: keys_file.add(file, key))
    return schemas.MadeKey(**key.to_json(), key=secret), 201


@bp.post("/<segment:name>/rotate")
@opened_by(Scope.ADMIN, everywhere=True)
@bp.doc(operation_id="rotate_key", extensions=more(404, 409))
@bp.output(schemas.MadeKey, description="The old secret is no longer valid; `key` is shown only this once.")
def rotate(name: str) -> schemas.MadeKey:
    """Replace the secret of an API key

    Name, scopes and catalogs stay what they are.
    """
    key, secret = _changed(lambda file: keys_file.rotate(file, name))
    return schemas.MadeKey(**key.to_json(), key=secret)


@bp.delete("/<segment:name>")
@opened_by(Scope.ADMIN, everywhere=True)
@bp.doc(operation_id="delete_key", extensions=more(404, 409))
@bp.output({}, status_code=204, description="It opens nothing any more.")
def delete(name: str) -> Response:
    """Revoke an API key

    Requests with it are refused from now on.
    """
    _changed(lambda file: keys_file.revoke(file, name))
    return Response(status=204)


def _changed(change: Callable[[Path], Result]) -> Result:
    """Applies a change to the keys file. Raises `Conflict` if it cannot be written; the reason is only logged."""
    file = _ring().path
    try:
        return change(file)
    except InvalidSetting as error:
        structlog.get_logger("api").error("keys_not_changed", detail=str(error))
        raise Conflict(
            "The file of API keys cannot be changed by this service (its log says why): change it where it is kept, "
            "with `lookalike keys`."
        ) from None


def _ring() -> Keyring:
    """The keys of the service. Raises `Conflict` if it runs without keys."""
    found = context().keyring
    if found is None:
        raise Conflict(
            "This service runs without API keys: make the first with `lookalike keys create` and name its file in "
            "LOOKALIKE_API_KEYS_FILE."
        )
    return found
