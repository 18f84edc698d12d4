"""What a column is, learned from all of its cells without keeping them."""

from dataclasses import replace

from services.descriptions import AttributeKind
from services.feeds.tables.cells import Tally
from services.feeds.tables.columns import Cell, Column
from services.feeds.tables.numbers import number_of
from services.feeds.tables.options import ByHand

OUTLIERS = 10
"""Of so many cells one may be a mistake; where more are text, such as sizes, the column is one of texts."""


class Learner:
    """What one column is, when all of its cells have been seen."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._tally = Tally()
        self.see = self._tally.see

    def detected(self, advice: str, has_points: bool) -> Column:
        """What the column is by itself.

        Args:
            advice: What begins the option that decides by hand, for the note.
            has_points: Whether the table seems to write decimals with a point, unless cells say otherwise: it has
                commas between cells, and no decimal comma in any.
        """
        column, note = self._kind(advice, has_points)
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
            rows=self._tally.rows,
            note="said by hand" if by_hand else "as the catalog declares it",
            is_strict=True,
            is_by_hand=by_hand is not None,
            comma=comma,
            currency=next(iter(self._tally.currencies), ""),
            advice=advice,
        )
        if kind is AttributeKind.KEYWORD:
            return replace(column, values=self._tally.written)
        return replace(column, values=self._tally.filled, missing=self._tally.empty)

    def left_out(self, why: str = "") -> Column:
        """The column as one that is not read."""
        return Column(self.name, "skip", rows=self._tally.rows, values=self._tally.written, note=why)

    @property
    def first_filled(self) -> Cell | None:
        """The first cell that is not blank."""
        sorts = (cell for sort, cell in self._tally.first.items() if sort != "blank")
        return min(sorts, default=None)

    @property
    def has_decimal_commas(self) -> bool:
        """Whether some cell is a number by a decimal comma only."""
        return self._tally.counts["comma"] > 0

    def _comma(self) -> bool | None:
        """Whether the decimal mark is a comma, where cells say so and none says otherwise."""
        is_comma, is_point = self._tally.counts["comma"] > 0, self._tally.counts["point"] > 0
        return is_comma if is_comma != is_point else None

    def _is_named(self) -> bool:
        """Whether its cells are names, which nobody would calculate with, for all that is seen of them."""
        counts = self._tally.counts
        filled = self._tally.filled
        return counts["odd"] > 0 or self._are_trade_numbers() or OUTLIERS * counts["text"] > filled

    def _are_trade_numbers(self) -> bool:
        """Of amounts with 12 digits or more hardly one in ten passes the check; a mistyped EAN does not, either."""
        return 2 * self._tally.counts["trade number"] >= self._tally.counts["number"] > 0

    def _text(self, why: str = "") -> tuple[Column, str]:
        values = self._tally.written
        return Column(self.name, "keyword", AttributeKind.KEYWORD, values, self._tally.rows), why

    def _kind(self, advice: str, has_points: bool) -> tuple[Column, str]:
        counts = self._tally.counts
        filled = self._tally.filled
        if not counts["number"]:
            if filled and counts["bool"] == filled:
                return Column(self.name, "bool", AttributeKind.BOOL, filled, self._tally.rows, self._tally.empty), ""
            if filled and counts["word"] == filled:
                return self._text(f"yes and no are true and false with {advice}=bool")
            return self._text(self._outlier(filled))
        if counts["other"] and (counts["text"] or counts["bool"] or counts["word"] or 2 * counts["number"] < filled):
            return self._text(self._outlier(filled))
        return self._numbers(advice, has_points)

    def _outlier(self, filled: int) -> str:
        """The cell that makes a column text most of which is something else; empty if it is no such column."""
        counts, first = self._tally.counts, self._tally.first
        if 2 * max(counts["bool"], counts["number"]) < filled:
            return ""
        is_truth = counts["bool"] > counts["number"]
        others = ("number", "word", "remark", "text") if is_truth else ("bool", "word", "text")
        cell = min((first[sort] for sort in others if sort in first), default=None)
        what = "neither true nor false" if is_truth else "no number"
        return f"line {cell.line} {cell.text!r} is {what}, so it stays text" if cell else ""

    def _numbers(self, advice: str, has_points: bool) -> tuple[Column, str]:
        counts = self._tally.counts
        if why := self._why_text(advice, has_points):
            return self._text(f"{why}, so it stays text")
        comma = self._comma()
        has_fractions = counts["fraction"] or counts["ambiguous comma" if comma else "ambiguous point"]
        kind = AttributeKind.FLOAT if has_fractions else AttributeKind.INTEGER
        is_one = counts["number"] in (counts["zero"], counts["one"])
        note = f"0 and 1 are false and true with {advice}=bool" if is_one else ""
        column = Column(
            self.name,
            kind.value,
            kind,
            values=counts["number"],
            rows=self._tally.rows,
            missing=self._tally.empty.extended(self._tally.unread),
            comma=bool(comma),
            currency=next(iter(self._tally.currencies), ""),
        )
        return column, note

    def _why_text(self, advice: str, has_points: bool) -> str:
        """Why a column of numbers stays text; empty if it does not."""
        counts = self._tally.counts
        if counts["odd"]:
            line, text = self._tally.first["odd"]
            number = number_of(text)
            return f"line {line} {text!r} {number.odd if number else 'is no amount'}"
        if self._are_trade_numbers():
            of = "its" if counts["trade number"] == counts["number"] else "half or more of its"
            return f"{of} numbers are trade numbers (GTIN)"
        if len(self._tally.currencies) > 1:
            a, b = (self._tally.first[f"in {each}"] for each in self._tally.currencies[:2])
            return f"line {a.line} {a.text!r} and line {b.line} {b.text!r} are in two currencies"
        if counts["percent"]:
            line, text = self._tally.first["percent"]
            return f"line {line} {text!r} can be read in two ways ({advice}=float takes 12% as 12)"
        if counts["comma"] and counts["point"]:
            a, b = self._tally.first["point"], self._tally.first["comma"]
            return f"line {a.line} {a.text!r} and line {b.line} {b.text!r} have different decimal marks"
        if counts["zero"] + counts["one"] == counts["number"] > max(counts["zero"], counts["one"]):
            return (
                f"0 and 1 can be read in two ways, as numbers ({advice}=integer) or as false and true ({advice}=bool)"
            )
        if self._comma() is None:
            return self._why_ambiguous(advice, has_points)
        return ""

    def _why_ambiguous(self, advice: str, has_points: bool) -> str:
        counts = self._tally.counts
        unclear = counts["ambiguous comma"] or (counts["ambiguous point"] and not has_points)
        if unclear:
            line, text = self._tally.first["ambiguous comma" if counts["ambiguous comma"] else "ambiguous point"]
            number = number_of(text)
            assert number is not None
            return (
                f"line {line} {text!r} can be read in two ways, {number.point} ({advice}=decimal-point) or "
                f"{number.comma} ({advice}=decimal-comma)"
            )
        if counts["spaced"] and not self._tally.currencies:
            line, text = self._tally.first["spaced"]
            return f"line {line} {text!r} can be read in two ways ({advice}=float takes it for a number)"
        return ""
