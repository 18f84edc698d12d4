"""What a server refuses by itself, because it is no request of HTTP that the app could see: as a problem."""

import json
from http import HTTPStatus

from api.errors import BodyTooLarge, Malformed

CODES = {400: Malformed.code, 413: BodyTooLarge.code}


def refusal(status: int, why: str) -> bytes:
    """The JSON of a problem.

    Args:
        status: The status of HTTP.
        why: What the server says is wrong. Of a crash (500) nothing is passed on.
    """
    known = HTTPStatus(status)
    code = CODES.get(status, known.name.lower())
    why = "" if status == 500 else " ".join(why.split()).rstrip(".")[:200]
    why = why.encode("ascii", "backslashreplace").decode()
    detail = f"This is no request that can be read: {why or known.phrase}."
    body = {"type": f"/problems/{code}", "title": code.replace("_", " ").capitalize(), "status": status}
    return json.dumps(body | {"detail": detail, "code": code, "retryable": False, "instance": ""}).encode()
