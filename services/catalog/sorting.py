"""What a list of products is sorted by, and where a page of it begins."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from math import isfinite

from services.descriptions import AttributeKind
from services.errors import InvalidInput, NotSortable
from services.index.vector_index import checked_cursor
from services.paging import from_cursor, to_cursor
from services.query.filters import Filter, is_key, steps, written

_NUMBER = r"-?[0-9]{1,20}(?:\.[0-9]{1,20})?(?:e[+-][0-9]{1,3})?"
_CURSOR = re.compile(rf"s(?P<list>[0-9a-f]{{12}}):(?P<number>(?:{_NUMBER})?):(?P<id>[0-9a-f-]{{36}})")


@dataclass(frozen=True, slots=True)
class Sort:
    """By the numbers at a key: a product's smallest one, smallest first; `descending`, its largest one, largest first.

    Products without a number come last either way.
    """

    key: str
    descending: bool = False

    @classmethod
    def parsed(cls, text: str, declared: Mapping[str, AttributeKind]) -> "Sort":
        """Reads `price` or, for descending order, `-price`. A name that begins with - is quoted: `"-price"`.

        Raises:
            NotSortable: The key is none that is declared as integer or float.
        """
        descending, key = text.startswith("-"), text.removeprefix("-")
        numbers = [name for name, kind in declared.items() if kind.is_number]
        for name in numbers:
            if is_key(key) and steps(name) == steps(key):
                return cls(name, descending)
        there = f"there are {', '.join(numbers)}" if numbers else "the catalog has none yet"
        raise NotSortable(
            f"Products cannot be sorted by {key[:80]!r}: lists are sorted by an attribute that is declared as integer "
            f"or float, and {there}; declare it in the catalog's indexed attributes."
        )

    def mark(self, filter: Filter | None) -> str:
        """What tells this list from others: 12 hex digits."""
        of = f"{self.key}\n{self.descending}\n{written(filter) if filter else ''}"
        return sha256(of.encode(errors="surrogatepass")).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a sorted list: that of a number and the ID of a point (`point_id`).

    `number` None is behind all numbers, where products have none.
    """

    number: float | None
    id: str

    def cursor(self, sort: Sort, filter: Filter | None) -> str:
        """The place as the cursor of a list."""
        value = "" if self.number is None else repr(self.number)
        return to_cursor(f"s{sort.mark(filter)}:{value}:{self.id}")


def place_of(cursor: str, sort: Sort, filter: Filter | None) -> Place:
    """The place that a cursor is.

    Raises:
        InvalidInput: It is not a cursor of this list.
    """
    if (found := _read(cursor)) is None or found["list"] != sort.mark(filter):
        raise InvalidInput(
            "The cursor belongs to a list with another sort or filter: send both as for the page before, or begin "
            "again without a cursor."
        )
    checked_cursor(found["id"])
    number = float(found["number"]) if found["number"] else None
    if number is not None and not isfinite(number):
        raise InvalidInput("The cursor was not returned by this catalog; begin again without one.")
    return Place(number, found["id"])


def check_unsorted(cursor: str | None) -> None:
    """Raises `InvalidInput` where a cursor is one of a sorted list."""
    if cursor is not None and _read(cursor) is not None:
        raise InvalidInput(
            "The cursor belongs to a sorted list: send the same sort and filter, or begin again without a cursor."
        )


def _read(cursor: str) -> re.Match[str] | None:
    return _CURSOR.fullmatch(from_cursor(cursor))
