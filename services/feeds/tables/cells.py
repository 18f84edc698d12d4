"""What a cell is like by itself, and how many cells of a column are like what."""

import re
from collections import Counter
from functools import cached_property

from services.feeds.tables.columns import FALSE, NO_VALUE, TRUE, Cell, Missing, shown
from services.feeds.tables.numbers import Number, is_trade_number, number_of

WORDS = frozenset({"y", "n", "ja", "nein", "oui", "non"})
"""Cells that may mean yes and no, and may be something else."""

LETTERS = 3
"""Letters that a cell has which only says that there is no number: XL is a size, "ask" is none."""

REMEMBERED = 250
"""Different cells of a column whose sorts are kept: many columns have few."""

_DIGIT = re.compile(r"\d")
Sorts = tuple[str, ...]


class Tally:
    """How many cells of a column are of which sorts, and the first of each; the cells are not kept."""

    def __init__(self) -> None:
        self.rows = 0
        self.empty = Missing()
        self.unread = Missing()
        self._seen: dict[Sorts, int] = {}
        self._examples: dict[Sorts, Cell] = {}
        self._known: dict[str, Sorts] = {}

    def see(self, line: int, cell: str) -> None:
        """One more cell."""
        self.rows += 1
        sorts = self._known.get(cell)
        if sorts is None:
            sorts = sorts_of(cell.strip())
            if len(self._known) < REMEMBERED and len(cell) < 40:
                self._known[cell] = sorts
        if sorts in self._seen:
            self._seen[sorts] += 1
        else:
            self._seen[sorts] = 1
            self._examples[sorts] = Cell(line, shown(cell.strip()))
        if sorts[0] in ("blank", "absent"):
            self.empty.add(line, cell.strip())
        elif sorts[0] == "other":
            self.unread.add(line, cell.strip())

    @property
    def written(self) -> int:
        """How many cells are not blank."""
        return self.rows - self.counts["blank"]

    @property
    def filled(self) -> int:
        """How many cells are neither blank nor say that there is no value."""
        return self.rows - self.empty.count

    @cached_property
    def counts(self) -> Counter[str]:
        """How many cells are of each sort, when all have been seen."""
        counts: Counter[str] = Counter()
        for sorts, count in self._seen.items():
            for sort in sorts:
                counts[sort] += count
        return counts

    @cached_property
    def first(self) -> dict[str, Cell]:
        """The first cell of each sort, when all have been seen."""
        first: dict[str, Cell] = {}
        for sorts, cell in self._examples.items():
            for sort in sorts:
                first.setdefault(sort, cell)
        return first

    @property
    def currencies(self) -> list[str]:
        """Those of its cells, in their order."""
        return [sort.removeprefix("in ") for sort in self.first if sort.startswith("in ")]


def sorts_of(text: str) -> Sorts:
    """The sorts of a cell without white space around it; the first of them is blank, absent, number or other."""
    word = text[:9].casefold()
    if not text:
        return ("blank",)
    if word in NO_VALUE:
        return ("absent",)
    if number := number_of(text):
        return ("number", *_sorts_of_number(text, number))
    if word in TRUE or word in FALSE:
        return ("other", "bool")
    if word in WORDS:
        return ("other", "word")
    return ("other", "remark" if _says_no_number(text) else "text")


def _sorts_of_number(text: str, number: Number) -> list[str]:
    found = {
        "odd": bool(number.odd),
        "percent": number.percent,
        f"in {number.currency}": bool(number.currency),
        "spaced": number.spaced,
        "zero": text == "0",
        "one": text == "1",
        "trade number": is_trade_number(text),
    }
    sorts = [sort for sort, holds in found.items() if holds]
    if number.is_ambiguous:
        sorts.append("ambiguous point" if number.point and "." in number.point else "ambiguous comma")
    elif number.point is None or number.comma is None:
        sorts.append("comma" if number.point is None else "point")
        if "." in (number.point or number.comma or ""):
            sorts.append("fraction")
    return sorts


def _says_no_number(text: str) -> bool:
    """Whether a cell among numbers only says that there is none, like "on request", and is no name like XL or A4."""
    if _DIGIT.search(text) or text.lower().lstrip("-") in ("inf", "infinity"):
        return False
    return sum(map(str.isalpha, text[:100])) >= LETTERS
