"""Format numbers: what is newer is refused, what is older is migrated step by step."""

from collections.abc import Callable

import pytest

from services.errors import DataFull, FormatTooNew
from services.formats import Format, Migration, Pending


class Shelf:
    """A place with a number; `done` are the migrations that ran, `fails` one that is cut off."""

    def __init__(self, number: int = 0) -> None:
        self.number = number
        self.done: list[int] = []
        self.fails: int | None = None

    @property
    def format(self) -> Format["Shelf"]:
        steps = [Migration(f"Step {n}.", self._step(n), lambda _: 100) for n in range(3)]
        return Format(self, "The shelf", "build another", steps, lambda: self.number, self._write)

    def _step(self, number: int) -> Callable[["Shelf"], None]:
        def run(shelf: "Shelf") -> None:
            shelf.done.append(number)
            if shelf.fails == number:
                raise KeyboardInterrupt

        return run

    def _write(self, number: int) -> None:
        self.number = number


def test_an_older_format_is_migrated_step_by_step() -> None:
    shelf = Shelf(1)
    planned = shelf.format.pending()
    assert (planned, shelf.number, shelf.done) == (Pending("The shelf", 1, 3, ["Step 1.", "Step 2."]), 1, [])
    assert shelf.format.upgrade() == planned
    assert (shelf.number, shelf.done) == (3, [1, 2])


def test_the_current_format_is_left_as_it_is() -> None:
    shelf = Shelf(3)

    def full(planned: int) -> None:
        raise AssertionError("nothing is to be written")

    assert shelf.format.upgrade(full) == Pending("The shelf", 3, 3, [])
    assert (shelf.number, shelf.done) == (3, [])


@pytest.mark.parametrize("call", ["pending", "upgrade"])
def test_a_newer_format_is_refused(call: str) -> None:
    shelf = Shelf(4)
    with pytest.raises(FormatTooNew) as caught:
        getattr(shelf.format, call)()
    assert str(caught.value) == (
        "The shelf was written by a newer Lookalike (format 4, this one knows up to 3): run that version, or build "
        "another."
    )
    assert (caught.value.code, caught.value.retryable) == ("format_newer", False)
    assert (shelf.number, shelf.done) == (4, [])


@pytest.mark.parametrize("at", range(3))
def test_an_interrupted_migration_is_repeated_and_those_before_are_not(at: int) -> None:
    shelf = Shelf()
    shelf.fails = at
    with pytest.raises(KeyboardInterrupt):
        shelf.format.upgrade()
    assert (shelf.number, shelf.done) == (at, [*range(at + 1)])
    shelf.fails = None
    shelf.format.upgrade()
    assert (shelf.number, shelf.done) == (3, [*range(at + 1), *range(at, 3)])


def test_nothing_begins_where_there_is_no_room() -> None:
    shelf = Shelf(1)
    planned = []

    def full(needed: int) -> None:
        planned.append(needed)
        raise DataFull("It is full.")

    with pytest.raises(DataFull):
        shelf.format.upgrade(full)
    assert (planned, shelf.number, shelf.done) == ([200], 1, [])
