"""A column whose kind is known: what its cells mean, and what is said of it."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from services.descriptions import AttributeKind
from services.errors import InvalidAttributes
from services.feeds.tables.numbers import Number, number_of
from services.kinds import EXACT

NO_VALUE = frozenset({"", "n/a", "#n/a", "na", "nan", "null", "none", "-", "--", "–", "—"})
"""Cells without a value where numbers or truth values are expected, in lower case."""

TRUE = frozenset({"true", "yes"})
FALSE = frozenset({"false", "no"})
TRUE_WORDS = TRUE | {"y", "1", "ja", "oui"}
FALSE_WORDS = FALSE | {"n", "0", "nein", "non"}
"""Taken where a column is said to be bool; by themselves they may mean something else."""

SHOWN_CELL = 40


class Cell(NamedTuple):
    """A cell that is told: its line, and its text shortened."""

    line: int
    text: str


@dataclass(slots=True)
class Missing:
    """Cells without a value that can be used: how many, and the first of them."""

    count: int = 0
    first: list[Cell] = field(default_factory=list)

    def add(self, line: int, text: str) -> None:
        self.count += 1
        if len(self.first) < 10:
            self.first.append(Cell(line, shown(text)))

    def shown(self) -> str:
        cells = ", ".join(f"{line} {text!r}" if text else f"{line} (blank)" for line, text in self.first)
        more = self.count - len(self.first)
        return f"line{'s' if self.count > 1 else ''} {cells}" + (f" and {more:,} more" if more else "")

    def extended(self, other: "Missing") -> "Missing":
        first = sorted(self.first + other.first)[:10]
        return Missing(self.count + other.count, first)


@dataclass(frozen=True, slots=True)
class Column:
    """A column and what it was taken for.

    Attributes:
        name: Its header.
        taken_as: The kind of its values; else the role that it has, or `skip`.
        kind: The kind, where it is an attribute.
        values: How many of its cells have a value of that kind.
        rows: How many rows there are.
        missing: Cells that have none, where numbers or truth values are expected.
        misfits: Cells that cost their rows, when the rows have been read.
        note: Why it was taken for that, where there is something to say.
        is_doubtful: It could be of another kind, and the note says which.
        is_strict: A cell that does not fit costs the row: the kind was declared, or said by hand.
        is_by_hand: It was said by hand.
        comma: Whether the decimal mark is a comma; None where nothing tells.
        currency: The only one that its cells may name.
    """

    name: str
    taken_as: str
    kind: AttributeKind | None = None
    values: int = 0
    rows: int = 0
    missing: Missing = field(default_factory=Missing)
    misfits: Missing = field(default_factory=Missing)
    note: str = ""
    is_doubtful: bool = False
    is_strict: bool = False
    is_by_hand: bool = False
    comma: bool | None = None
    currency: str = ""
    advice: str = ""

    def value(self, cell: str) -> Any:
        """What a cell means; None: it has no value.

        Raises:
            InvalidAttributes: It does not fit, and the kind was declared or said by hand.
        """
        if self.kind is AttributeKind.KEYWORD:
            return cell or None
        text = cell.strip()
        if text.casefold() in NO_VALUE:
            return None
        value = self._truth(text) if self.kind is AttributeKind.BOOL else self._number(text)
        if value is None and self.is_strict:
            raise InvalidAttributes(self._misfit(text))
        return value

    def sentence(self) -> str:
        """What is said of the column, as one line."""
        told = f"{self.name or '(no name)'}: {self.taken_as}"
        if self.kind:
            told += f", {self.values:,} of {self.rows:,} rows"
        if self.missing.count:
            told += f"; {self.missing.shown()} {'has' if self.missing.count == 1 else 'have'} none"
        if self.misfits.count:
            told += f"; {self.misfits.shown()} {'does' if self.misfits.count == 1 else 'do'} not fit"
        return f"{told}; {self.note}" if self.note else told

    def as_json(self, examples: int = 10) -> dict[str, Any]:
        return {
            "name": shown(self.name, 80),
            "kind": self.taken_as,
            "values": self.values,
            "rows": self.rows,
            "missing": self.missing.count,
            "examples": [{"line": line, "cell": text} for line, text in self.missing.first[:examples]],
            "note": shown(self.note, 300) or None,
        }

    def _truth(self, text: str) -> bool | None:
        word = text.casefold()
        true, false = (TRUE_WORDS, FALSE_WORDS) if self.is_strict else (TRUE, FALSE)
        return True if word in true else False if word in false else None

    def _number(self, text: str) -> int | float | None:
        number = number_of(text)
        if number is None:
            return _odd_number(text, self.kind) if self.is_strict else None
        if number.currency and number.currency != self.currency:
            return None
        if number.percent and not self.is_by_hand:
            return None
        if self.kind is AttributeKind.INTEGER:
            return _whole(number, self.comma)
        written = self._reading(number)
        if written is None:
            return None
        value = float(written)
        # What a float cannot hold stays what it is; an integer goes into a float.
        return int(written) if abs(value) >= EXACT and "." not in written else value

    def _reading(self, number: Number) -> str | None:
        if not number.is_ambiguous:
            return number.point if number.point is not None else number.comma
        if self.comma is not None:
            return number.comma if self.comma else number.point
        # What is written as programs write numbers is one, where numbers are declared.
        is_plain = number.point is not None and "." in number.point
        return number.point if self.is_by_hand or is_plain else None

    def _misfit(self, text: str) -> str:
        what = {AttributeKind.BOOL: "true or false", AttributeKind.INTEGER: "a whole number"}.get(
            self.kind or AttributeKind.FLOAT, "a number"
        )
        how = "said to be" if self.is_by_hand else "declared as"
        told = f"{shown(self.name, 80)} is {how} {self.kind}, and {shown(text)!r} is not read as {what}"
        number = number_of(text)
        if number and number.currency and number.currency != self.currency:
            return f"{told}, since other cells are in {self.currency}: one column has one currency."
        if number and number.percent:
            return f"{told}: to read 12% as 12 say {self.advice}=float."
        if number and number.is_ambiguous and self.kind is AttributeKind.FLOAT:
            return f"{told}: it is {number.point} or {number.comma}; say {self.advice}=decimal-point or =decimal-comma."
        return f"{told}: correct it, or leave it empty to have no value."


def shown(text: str, length: int = SHOWN_CELL) -> str:
    """A text for messages: shortened, and with what is no character escaped."""
    text = text if len(text) <= length else text[: length - 3] + "..."
    return text.encode(errors="backslashreplace").decode()


def _whole(number: Number, comma: bool | None) -> int | None:
    """The whole number; where both readings are one, that of the column's decimal mark."""
    found = {int(text) for each in (number.point, number.comma) if each and (text := _without_zeros(each))}
    if len(found) == 1:
        return found.pop()
    chosen = _without_zeros((number.comma if comma else number.point) or "") if comma is not None else ""
    return int(chosen) if chosen else None


def _without_zeros(written: str) -> str:
    whole, _, fraction = written.partition(".")
    return "" if fraction.strip("0") else whole


def _odd_number(text: str, kind: AttributeKind | None) -> int | float | None:
    """What programs write as numbers and people do not: taken where numbers are declared."""
    if not text.isascii() or not text[-1:].isdigit() or "_" in text:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    if kind is AttributeKind.INTEGER:
        return int(value) if value.is_integer() and abs(value) <= EXACT else None
    return value if abs(value) != float("inf") else None
