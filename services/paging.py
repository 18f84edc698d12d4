"""Iteration over lists that are read page by page."""

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
