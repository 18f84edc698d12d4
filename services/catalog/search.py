"""Searches of a catalog."""

from typing import TypedDict

from services.errors import InvalidInput
from services.query.filters import Filter

MAX_LIMIT = 1000


class SearchOptions(TypedDict, total=False):
    """What every search takes: `limit` 1..1000 (10), `offset` (0), `filter` (none), `min_score` -1..1 (none)."""

    limit: int
    offset: int
    filter: Filter | None
    min_score: float | None


def checked_limit(limit: int) -> int:
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidInput(f"The limit {limit} is refused; it goes from 1 to {MAX_LIMIT}.")
    return limit
