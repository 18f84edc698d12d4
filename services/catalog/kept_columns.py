"""Columns of a map that were read lately: to make one, all products of the index are read."""

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from hashlib import sha256

from services.catalog.map_bytes import column_bytes
from services.catalog.map_columns import Column

MOST_BYTES = 64 << 20
"""What is kept at most: some dozen columns of 1,000,000 products."""
FRESH_SECONDS = 60.0
"""A column of a catalog that has not changed is read again after so long: a change that came first, and is applied
after others, does not show in its highest version."""
SHARE = 0.2
"""No more than this share of the time is spent on reading one."""
LARGE_BYTES = 200_000
"""From this size on (some 100,000 products) that holds of a catalog that changes, too, so that a column may be older
than it. Smaller ones are read at once."""


@dataclass(frozen=True, slots=True)
class ColumnBytes:
    """A column as `column_bytes` writes it, and what its bytes hash to."""

    data: bytes
    hash: str


@dataclass(frozen=True, slots=True)
class _Kept:
    column: ColumnBytes
    state: Hashable
    until: float
    stale_until: float


class KeptColumns:
    """The columns of one catalog's map. Thread-safe; one column at a time is read.

    Args:
        most_bytes: What is kept at most; those that were asked for least lately go first.
        large_bytes: From when on columns may be older than the catalog.
        clock: The time in seconds.
    """

    def __init__(
        self,
        *,
        most_bytes: int = MOST_BYTES,
        large_bytes: int = LARGE_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most_bytes = most_bytes
        self._large_bytes = large_bytes
        self._clock = clock
        self._kept: dict[Hashable, _Kept] = {}
        self._lock = threading.Lock()
        self._reading = threading.Lock()

    def get(self, key: Hashable, state: Hashable, read: Callable[[], Column]) -> ColumnBytes:
        """The column of a key in a state of the catalog, which `read` reads unless it is known. Raises what `read`
        does."""
        if known := self._known(key, state):
            return known
        with self._reading:
            if known := self._known(key, state):
                return known
            began = self._clock()
            data = column_bytes(read())
            column = ColumnBytes(data, sha256(data).hexdigest())
            ended = self._clock()
            pause = (ended - began) / SHARE
            stale_until = ended + pause if len(data) >= self._large_bytes else ended
            self._keep(key, _Kept(column, state, ended + max(FRESH_SECONDS, pause), stale_until))
        return column

    def _known(self, key: Hashable, state: Hashable) -> ColumnBytes | None:
        with self._lock:
            kept = self._kept.pop(key, None)
            if kept is None or self._clock() >= (kept.until if kept.state == state else kept.stale_until):
                return None
            # At the end, as it was asked for just now.
            self._kept[key] = kept
            return kept.column

    def _keep(self, key: Hashable, kept: _Kept) -> None:
        with self._lock:
            self._kept[key] = kept
            size = sum(len(each.column.data) for each in self._kept.values())
            while size > self._most_bytes:
                first = next(iter(self._kept))
                size -= len(self._kept.pop(first).column.data)
