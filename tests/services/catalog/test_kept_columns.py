"""Columns that were read lately."""

from collections.abc import Callable

import numpy as np
import pytest

from services.catalog.kept_columns import FRESH_SECONDS, SHARE, KeptColumns
from services.catalog.map_bytes import HEADER, column_bytes
from services.catalog.map_columns import Column
from services.errors import IndexUnavailable

COUNT = 10
SIZE = HEADER.size + 4 * COUNT


class Reads:
    """Counts what is read, and how long that takes by a clock of its own."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.of: list[str] = []
        self.now = 0.0
        self._seconds = seconds

    def column(self, name: str) -> Callable[[], Column]:
        def read() -> Column:
            self.of.append(name)
            self.now += self._seconds
            return Column("number", np.zeros(0, np.uint16), np.full(COUNT, len(self.of), np.float32))

        return read


def test_a_column_is_read_once_for_a_key() -> None:
    reads, kept = Reads(), KeptColumns()
    first = kept.get("a", 1, reads.column("a"))
    assert first.data == column_bytes(Column("number", np.zeros(0, np.uint16), np.ones(COUNT, np.float32)))
    assert kept.get("a", 1, reads.column("a")) == first
    assert kept.get("b", 1, reads.column("b")).hash != first.hash
    assert reads.of == ["a", "b"]


def test_those_that_were_asked_for_least_lately_make_room_and_what_is_too_large_is_not_kept() -> None:
    reads, kept = Reads(), KeptColumns(most_bytes=2 * SIZE)
    for name in ("a", "b", "a", "c", "a", "b"):
        kept.get(name, 1, reads.column(name))
    assert reads.of == ["a", "b", "c", "b"]
    small = KeptColumns(most_bytes=SIZE - 1)
    assert [len(small.get("a", 1, reads.column("a")).data) for _ in range(2)] == [SIZE, SIZE]
    assert reads.of[4:] == ["a", "a"]


@pytest.mark.parametrize(("seconds", "fresh"), [(1.0, FRESH_SECONDS), (30.0, 30.0 / SHARE)])
def test_a_column_is_read_again_after_a_while_since_not_every_change_shows_in_its_key(
    seconds: float, fresh: float
) -> None:
    reads = Reads(seconds)
    kept = KeptColumns(clock=lambda: reads.now)
    kept.get("a", 1, reads.column("a"))
    reads.now += fresh - 1
    kept.get("a", 1, reads.column("a"))
    assert len(reads.of) == 1
    reads.now += 2
    kept.get("a", 1, reads.column("a"))
    assert len(reads.of) == 2


@pytest.mark.parametrize(("large", "read"), [(SIZE, 1), (SIZE + 1, 2)])
def test_a_large_column_may_be_older_than_the_catalog_for_some_times_of_what_reading_it_takes(
    large: int, read: int
) -> None:
    reads = Reads(seconds=1.0)
    kept = KeptColumns(large_bytes=large, clock=lambda: reads.now)
    kept.get("a", 1, reads.column("a"))
    reads.now += 1 / SHARE - 0.1
    kept.get("a", 2, reads.column("a"))
    assert len(reads.of) == read
    reads.now += 0.2
    kept.get("a", 3, reads.column("a"))
    assert len(reads.of) == read + 1


def test_a_reading_that_fails_leaves_nothing() -> None:
    reads, kept = Reads(), KeptColumns()

    def fail() -> Column:
        raise IndexUnavailable("It is away.")

    with pytest.raises(IndexUnavailable):
        kept.get("a", 1, fail)
    kept.get("a", 1, reads.column("a"))
    assert reads.of == ["a"]
