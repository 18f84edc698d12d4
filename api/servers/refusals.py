"""What a server refuses before the app sees it: what is no request of HTTP, and bodies of those who have no key."""

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from api.errors import BodyTooLarge, Malformed
from api.responses.problems import MEDIA_TYPE

CODES = {400: Malformed.code, 413: BodyTooLarge.code}


def refusal(status: int, why: str) -> bytes:
    """The JSON of a problem."""
    known = HTTPStatus(status)
    code = CODES.get(status, known.name.lower())
    why = " ".join(why.split()).rstrip(".")[:200].encode("ascii", "backslashreplace").decode()
    detail = f"This is no request that can be read: {why or known.phrase}."
    body = {"type": f"/problems/{code}", "title": code.replace("_", " ").capitalize(), "status": status}
    return json.dumps(body | {"detail": detail, "code": code, "retryable": False, "instance": ""}).encode()


def told_by_waitress(server: Any, knows: Callable[[str], bool] = lambda authorization: True) -> None:
    """Has a server of waitress refuse so. It reads the body of a request before the app sees its head, so it does not
    take that of a request whose `Authorization` nobody `knows`: the app answers such a one without it."""
    from waitress.channel import HTTPChannel
    from waitress.parser import HTTPRequestParser
    from waitress.task import ErrorTask

    class Refusal:
        def __init__(self, error: Any) -> None:
            self._error = error

        def to_response(self, ident: object = None) -> tuple[str, list[tuple[str, str]], bytes]:
            status = f"{self._error.code} {self._error.reason}"
            # What a crash of ours says is nobody's business.
            why = "" if self._error.code == 500 else str(self._error.body)
            return status, [("Content-Type", MEDIA_TYPE)], refusal(self._error.code, why)

    class Task(ErrorTask):  # type: ignore[misc]
        def execute(self) -> None:
            self.request.error = Refusal(self.request.error)
            super().execute()

    class Parser(HTTPRequestParser):  # type: ignore[misc]
        body_rcv: Any

        def parse_header(self, head: bytes) -> None:
            super().parse_header(head)
            if self.body_rcv is not None and not knows(self.headers.get("AUTHORIZATION", "")):
                self.headers.pop("CONTENT_LENGTH", None)
                self.body_rcv, self.content_length, self.chunked, self.expect_continue = None, 0, False, False
                # What follows is no other request.
                self.headers["CONNECTION"] = "close"

    class Channel(HTTPChannel):  # type: ignore[misc]
        error_task_class = Task
        parser_class = Parser

    # One socket for each address that is listened on.
    for each in [*server.map.values()] if hasattr(server, "map") else [server]:
        if hasattr(each, "channel_class"):
            each.channel_class = Channel


def told_by_gunicorn() -> None:
    """Has gunicorn refuse so, in this process: it has no place for that."""
    from gunicorn import util

    def write_error(sock: Any, status: int, reason: str, why: str) -> None:
        body = refusal(status, "" if status == 500 else why)
        head = f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: {MEDIA_TYPE}\r\n"
        util.write_nonblock(sock, f"{head}Content-Length: {len(body)}\r\n\r\n".encode("latin1") + body)

    util.write_error = write_error
