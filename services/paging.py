"""Lists that are read page by page: iteration over them, and cursors that tell callers nothing."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")


def paginate(page: Callable[[str | None], tuple[list[T], str | None]]) -> Iterator[T]:
    """Yields the items of all pages, each page read when it is needed.

    Args:
        page: Takes a cursor (None for the first page); returns the page's items and the next cursor (None after the
            last page).
    """
    cursor: str | None = None
    while True:
        found, cursor = page(cursor)
        yield from found
        if cursor is None:
            return


def to_cursor(text: str) -> str:
    """A text as a cursor, which URLs take as it is."""
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def from_cursor(cursor: str) -> str:
    """The text of a cursor; empty where it is none."""
    try:
        return urlsafe_b64decode(cursor.encode() + b"==").decode("ascii")
    except (Error, ValueError):
        return ""
