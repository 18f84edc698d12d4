"""Lists that are told page by page."""

from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")


def paginate(page: Callable[[str | None], tuple[list[T], str | None]]) -> Iterator[T]:
    """What is on all pages. `page` gives the one after a cursor (None: the first), and the next cursor (None: the last
    one)."""
    cursor: str | None = None
    while True:
        found, cursor = page(cursor)
        yield from found
        if cursor is None:
            return
