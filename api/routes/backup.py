"""Backups of the running service."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain

import structlog
from apiflask import APIBlueprint
from flask import Response

from api.access.auth import opened_by
from api.access.keys import Scope
from api.context import context
from api.openapi.document import BINARY, more
from services.backup import backup

bp = APIBlueprint("backup", __name__, url_prefix="/v1/backup", tag="Operations")

FILE = "lookalike-{:%Y%m%dT%H%M%SZ}.tar"
TAR = "application/x-tar"


@bp.post("")
@opened_by(Scope.ADMIN, everywhere=True)
@bp.doc(
    operation_id="back_up",
    extensions=more(
        *(409, 503),
        answers={200: ("A tar. Its last member is the manifest; without one it was broken off.", {TAR: BINARY})},
        headers={"Content-Disposition": "A name for the file."},
        curl="-o lookalike.tar",
    ),
)
def post() -> Response:
    """Take a backup

    All catalogs with vectors and originals, and what has been accepted and is not done yet. `lookalike restore FILE`
    checks it and puts it back.
    """
    here = context()
    stream = backup(here.catalogs, here.ledger)
    # An error before the first bytes is answered as a problem; later the response can only be aborted.
    first = next(stream)
    response = Response(_logged(chain([first], stream)), content_type=TAR)
    response.headers["Content-Disposition"] = f'attachment; filename="{FILE.format(datetime.now(UTC))}"'
    return response


def _logged(stream: Iterator[bytes]) -> Iterator[bytes]:
    """Logs why a response is aborted, since the caller can no longer receive an error."""
    try:
        yield from stream
    except Exception as error:
        structlog.get_logger("api").error("backup_broken_off", reason=str(error))
        raise
