"""A connection of waitress: it refuses with problems, and takes no body from callers without a key."""

from collections.abc import Callable
from functools import partial
from typing import Any

from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.task import ErrorTask

from api.access.entrance import Head
from api.responses.problems import MEDIA_TYPE
from api.servers.refusals import refusal

Admits = Callable[[Head], bool]
"""Whether the sender of a head may send the body, too."""


class Channel(HTTPChannel):  # type: ignore[misc]
    """A connection whose callers are admitted by `admits`."""

    def __init__(self, *args: Any, admits: Admits, **options: Any) -> None:
        self.error_task_class = _ErrorTask
        self.parser_class = partial(_Parser, admits=admits)
        super().__init__(*args, **options)


class _Parser(HTTPRequestParser):  # type: ignore[misc]
    """Waitress reads the body of a request before the app sees its head. This does not read that of a request whose
    caller is not admitted: the app refuses such a one without it, and nobody fills the disk with bodies."""

    body_rcv: Any

    def __init__(self, adjustments: Any, *, admits: Admits) -> None:
        super().__init__(adjustments)
        self._admits = admits

    def parse_header(self, head: bytes) -> None:
        super().parse_header(head)
        if self.body_rcv is not None and not self._admits(self._head()):
            self.headers.pop("CONTENT_LENGTH", None)
            self.body_rcv, self.content_length, self.chunked, self.expect_continue = None, 0, False, False
            # What follows is the body, and must not be read as another request.
            self.headers["CONNECTION"] = "close"

    def _head(self) -> Head:
        size = None if self.chunked else self.content_length
        told = self.headers.get("AUTHORIZATION", ""), self.headers.get("COOKIE", "")
        return Head(self.command, self.path, *told, size)


class _ErrorTask(ErrorTask):  # type: ignore[misc]
    def execute(self) -> None:
        self.request.error = _Refusal(self.request.error)
        super().execute()


class _Refusal:
    """Stands for an error of waitress, and is answered as a problem."""

    def __init__(self, error: Any) -> None:
        self._error = error

    def to_response(self, ident: object = None) -> tuple[str, list[tuple[str, str]], bytes]:
        status = f"{self._error.code} {self._error.reason}"
        return status, [("Content-Type", MEDIA_TYPE)], refusal(self._error.code, str(self._error.body))
