"""The format numbers of what is kept (a data folder, a ledger, a collection), and migrations from older formats.

Whatever has no number was written by v0.1, whose format is 0. A number grows with a change that older code would
misread; each growth comes with a `Migration` from the format before.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from services.errors import FormatTooNew

Place = TypeVar("Place")


def _nothing(place: object) -> None:
    """The formats differ by their number only."""


def _no_bytes(place: object) -> int:
    return 0


@dataclass(frozen=True, slots=True)
class Migration(Generic[Place]):
    """The step from one format to the next.

    `run` may be interrupted anywhere and is then run again from its beginning; `needed_bytes` is how much it writes
    beside what is there.
    """

    summary: str
    run: Callable[[Place], None] = _nothing
    needed_bytes: Callable[[Place], int] = _no_bytes


@dataclass(frozen=True, slots=True)
class Pending:
    """What an upgrade does at one place: from format `found` to format `current`, nothing where these are the same."""

    place: str
    found: int
    current: int
    steps: Sequence[str]


@dataclass(frozen=True, slots=True)
class Format(Generic[Place]):
    """The format of one place: `migrations[n]` leads from format n to n + 1, so their count is the current format.

    `name` begins a sentence about the place, `remedy` ends one: what to do if a newer version wrote it. `read` gives
    the number that is stored, 0 where there is none; `write` stores it, atomically, after each migration.
    """

    place: Place
    name: str
    remedy: str
    migrations: Sequence[Migration[Place]]
    read: Callable[[], int]
    write: Callable[[int], None]

    def pending(self) -> Pending:
        """What `upgrade` would do; nothing is written. Raises `FormatTooNew`."""
        found, current = self.read(), len(self.migrations)
        if found > current:
            raise FormatTooNew(
                f"{self.name} was written by a newer Lookalike (format {found}, this one knows up to {current}): "
                f"run that version, or {self.remedy}."
            )
        return Pending(self.name, found, current, [each.summary for each in self.migrations[found:]])

    def upgrade(self, check_space: Callable[[int], None] = _nothing) -> Pending:
        """Runs the migrations that are missing, each followed by its number, and tells what was done.

        Only one process at a time may do this. Interrupted anywhere, it goes on with the migration that was cut off.

        Args:
            check_space: Raises where so many bytes more do not fit. It is called before anything is changed, and not
                where the migrations write no more than the number.

        Raises: `FormatTooNew`, and whatever `check_space` and the migrations raise.
        """
        pending = self.pending()
        missing = self.migrations[pending.found :]
        # One that only stores its number must not close a full disk to those who read.
        if needed := sum(each.needed_bytes(self.place) for each in missing):
            check_space(needed)
        for number, each in enumerate(missing, pending.found + 1):
            each.run(self.place)
            self.write(number)
        return pending
