"""What a column is, learned from all of its cells without keeping them."""

from collections import Counter
from dataclasses import replace

from services.feeds.tables.columns import FALSE, NO_VALUE, TRUE, Cell, Column, Missing, shown
from services.feeds.tables.numbers import Number, is_trade_number, number_of
from services.feeds.tables.options import ByHand
from services.records import AttributeKind

WORDS = frozenset({"y", "n", "ja", "nein", "oui", "non"})
"""Cells that may mean yes and no, and may be something else."""

LETTERS = 3
"""Letters that a cell has which only says that there is no number: XL is a size, "ask" is none."""


class Learner:
    """Counts what the cells of one column are like, and keeps the first of each sort."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._rows = 0
        self._counts: Counter[str] = Counter()
        self._first: dict[str, Cell] = {}
        self._empty = Missing()
        self._unread = Missing()
        self._currencies: Counter[str] = Counter()

    def see(self, line: int, cell: str) -> None:
        """One more cell."""
        self._rows += 1
        text = cell.strip()
        word = text[:9].casefold()
        if not text or word in NO_VALUE:
            self._count("absent" if text else "blank", line, text)
            self._empty.add(line, text)
        elif number := number_of(text):
            self._see_number(line, text, number)
        else:
            if word in TRUE or word in FALSE:
                self._count("bool", line, text)
            elif word in WORDS:
                self._count("word", line, text)
            elif not _says_no_number(text):
                self._count("text", line, text)
            self._count("other", line, text)
            self._unread.add(line, text)

    def detected(self, advice: str, commas_part_cells: bool) -> Column:
        """What the column is by itself.

        Args:
            advice: What begins the option that decides by hand, for the note.
            commas_part_cells: Whether the table has commas between cells: then its decimal mark is no comma, unless
                cells say so.
        """
        column, note = self._kind(advice, commas_part_cells)
        is_sure = not note or (column.kind is AttributeKind.KEYWORD and self._is_named())
        return replace(column, note=note, is_doubtful=not is_sure)

    def declared(self, kind: AttributeKind, advice: str, by_hand: ByHand | None = None) -> Column:
        """The column as it was declared, or said by hand."""
        comma = self._comma()
        if by_hand in (ByHand.DECIMAL_POINT, ByHand.DECIMAL_COMMA):
            comma = by_hand is ByHand.DECIMAL_COMMA
        column = Column(
            self.name,
            kind.value,
            kind,
            rows=self._rows,
            note="said by hand" if by_hand else "as the catalog declares it",
            is_strict=True,
            is_by_hand=by_hand is not None,
            comma=comma,
            currency=next(iter(self._currencies), ""),
            advice=advice,
        )
        if kind is AttributeKind.KEYWORD:
            return replace(column, values=self._rows - self._counts["blank"])
        return replace(column, values=self._rows - self._empty.count, missing=self._empty)

    def left_out(self, why: str = "") -> Column:
        """The column as one that is not read."""
        return Column(self.name, "skip", rows=self._rows, values=self._rows - self._counts["blank"], note=why)

    @property
    def is_blank(self) -> bool:
        return self._counts["blank"] == self._rows

    @property
    def first_filled(self) -> Cell | None:
        """The first cell that is not blank."""
        sorts = (cell for sort, cell in self._first.items() if sort != "blank")
        return min(sorts, default=None)

    def _see_number(self, line: int, text: str, number: Number) -> None:
        self._count("number", line, text)
        if number.odd:
            self._count("odd", line, text)
        if number.percent:
            self._count("percent", line, text)
        if number.currency:
            self._currencies[number.currency] += 1
            self._count(f"in {number.currency}", line, text)
        if number.spaced:
            self._count("spaced", line, text)
        if text not in ("0", "1"):
            self._count("beyond one", line, text)
        if is_trade_number(text):
            self._count("trade number", line, text)
        if number.is_ambiguous:
            self._count("ambiguous point" if number.point and "." in number.point else "ambiguous comma", line, text)
        elif number.point is None or number.comma is None:
            self._count("comma" if number.point is None else "point", line, text)
            if "." in (number.point or number.comma or ""):
                self._count("fraction", line, text)

    def _count(self, sort: str, line: int, text: str) -> None:
        self._counts[sort] += 1
        if sort not in self._first:
            self._first[sort] = Cell(line, shown(text))

    def _comma(self) -> bool | None:
        """Whether the decimal mark is a comma, where cells say so and none says otherwise."""
        is_comma, is_point = self._counts["comma"] > 0, self._counts["point"] > 0
        return is_comma if is_comma != is_point else None

    def _is_named(self) -> bool:
        """Whether its numbers are names, which nobody would calculate with."""
        return self._counts["odd"] > 0 or self._counts["trade number"] == self._counts["number"] > 0

    def _text(self, why: str = "") -> tuple[Column, str]:
        values = self._rows - self._counts["blank"]
        return Column(self.name, "keyword", AttributeKind.KEYWORD, values, self._rows), why

    def _kind(self, advice: str, commas_part_cells: bool) -> tuple[Column, str]:
        counts = self._counts
        filled = self._rows - self._empty.count
        if not counts["number"]:
            if filled and counts["bool"] == filled:
                return Column(self.name, "bool", AttributeKind.BOOL, filled, self._rows, self._empty), ""
            if filled and counts["word"] == filled:
                return self._text(f"yes and no are true and false with {advice}=bool")
            return self._text()
        if counts["other"] and (counts["text"] or counts["bool"] or counts["word"] or 2 * counts["number"] < filled):
            return self._text()
        return self._numbers(advice, commas_part_cells)

    def _numbers(self, advice: str, commas_part_cells: bool) -> tuple[Column, str]:
        counts = self._counts
        if why := self._why_text(advice, commas_part_cells):
            return self._text(f"{why}, so it stays text")
        comma = self._comma()
        has_fractions = counts["fraction"] or counts["ambiguous comma" if comma else "ambiguous point"]
        kind = AttributeKind.FLOAT if has_fractions else AttributeKind.INTEGER
        note = ""
        if kind is AttributeKind.INTEGER and not counts["beyond one"]:
            note = f"0 and 1 are false and true with {advice}=bool"
        column = Column(
            self.name,
            kind.value,
            kind,
            values=counts["number"],
            rows=self._rows,
            missing=self._empty.extended(self._unread),
            comma=bool(comma),
            currency=next(iter(self._currencies), ""),
        )
        return column, note

    def _why_text(self, advice: str, commas_part_cells: bool) -> str:
        """Why a column of numbers stays text; empty if it does not."""
        counts = self._counts
        if counts["odd"]:
            line, text = self._first["odd"]
            number = number_of(text)
            return f"line {line} {text!r} {number.odd if number else 'is no amount'}"
        if counts["trade number"] == counts["number"]:
            return "its numbers are trade numbers (GTIN)"
        if len(self._currencies) > 1:
            a, b = (self._first[f"in {each}"] for each in list(self._currencies)[:2])
            return f"line {a.line} {a.text!r} and line {b.line} {b.text!r} are in two currencies"
        if counts["percent"]:
            line, text = self._first["percent"]
            return f"line {line} {text!r} can be read in two ways ({advice}=float takes 12% as 12)"
        if counts["comma"] and counts["point"]:
            a, b = self._first["point"], self._first["comma"]
            return f"line {a.line} {a.text!r} and line {b.line} {b.text!r} have different decimal marks"
        if self._comma() is None:
            return self._why_ambiguous(advice, commas_part_cells)
        return ""

    def _why_ambiguous(self, advice: str, commas_part_cells: bool) -> str:
        counts = self._counts
        unclear = counts["ambiguous comma"] or (counts["ambiguous point"] and not commas_part_cells)
        if unclear:
            line, text = self._first["ambiguous comma" if counts["ambiguous comma"] else "ambiguous point"]
            number = number_of(text)
            assert number is not None
            return (
                f"line {line} {text!r} can be read in two ways, {number.point} ({advice}=decimal-point) or "
                f"{number.comma} ({advice}=decimal-comma)"
            )
        if counts["spaced"] and not self._currencies:
            line, text = self._first["spaced"]
            return f"line {line} {text!r} can be read in two ways ({advice}=float takes it for a number)"
        return ""


def _says_no_number(text: str) -> bool:
    """Whether a cell among numbers only says that there is none, like "on request", and is no name like XL or A4."""
    if text.lower().lstrip("-") in ("inf", "infinity"):
        return False
    return sum(each.isalpha() for each in text) >= LETTERS and not any(each.isdigit() for each in text)
