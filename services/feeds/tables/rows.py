"""The rows of a table: how its cells are told apart, and the line on which each row begins."""

import csv
import io
import re
from collections.abc import Collection, Generator
from dataclasses import dataclass
from typing import IO

from services.feeds.tables.text import MAX_ROW, Encoding, Lines, RowTooLong, opened

DELIMITERS = ",;\t|"
SAMPLE = 1 << 16
_SEP = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Form:
    """How cells are told apart. `padded`: spaces after delimiters are none of the cells', `trailing`: before them."""

    delimiter: str
    padded: bool = False
    trailing: bool = False
    named: bool = False
    """Whether a line `sep=` before the header says so."""

    @property
    def shown(self) -> str:
        """The delimiter, for messages."""
        return {",": "a comma", ";": "a semicolon", "\t": "a tab"}.get(self.delimiter, self.delimiter)


@dataclass(frozen=True, slots=True)
class Row:
    """The cells of a row, or why it is none, and the line on which it begins."""

    line: int
    cells: list[str]
    wrong: str = ""


def form_of(file: IO[bytes], encoding: Encoding, names: Collection[str]) -> Form:
    """Tells the form by the first rows.

    Args:
        file: The table.
        encoding: What its text is in.
        names: Names of columns in lower case, one of which is expected.
    """
    with opened(file, encoding) as text:
        sample = text.read(SAMPLE)
    first, rest = _line_and_rest(sample)
    named = _SEP.fullmatch(first)
    delimiter = named[1] if named else max(DELIMITERS, key=lambda each: _likeness(sample, each, names))
    header = next(iter(_parsed(rest if named else sample, delimiter)), [])
    while header and not header[-1]:
        header.pop()  # delimiters at the end
    padded = len(header) > 1 and all(cell.startswith(" ") for cell in header[1:])
    trailing = len(header) > 1 and all(cell.endswith(" ") for cell in header[:-1])
    return Form(delimiter, padded, trailing, named is not None)


def rows_of(file: IO[bytes], encoding: Encoding, form: Form) -> Generator[Row, None, None]:
    """The rows that are not blank: the header first, and others with as many cells, or the reason why they are none.

    What is no row costs no other, where it can be told apart.
    """
    # One limit for all of the process; the default is less than a row may have.
    csv.field_size_limit(MAX_ROW)
    count = least = 0
    with opened(file, encoding) as text:
        lines = Lines(text)
        if form.named:
            next(lines)
        reader = csv.reader(lines, delimiter=form.delimiter, strict=True, skipinitialspace=form.padded)
        while True:
            lines.begin()
            cells: list[str] = []
            try:
                cells = next(reader)
                wrong = ""
            except StopIteration:
                return
            except RowTooLong:
                wrong = f"The row has more than the {MAX_ROW:,} characters that are allowed."
            except csv.Error as error:
                wrong = _said(str(error))
            if form.trailing:
                cells = [cell.rstrip(" ") for cell in cells]
            whole = "".join(cells)
            if not wrong and (not whole or whole.isspace()):
                continue
            if not count and not wrong:
                # Delimiters at the end name no column, and rows may lack them.
                count, least = len(cells), max(n for n, cell in enumerate(cells, 1) if cell.strip())
            elif not wrong and (len(cells) < least or any(cell.strip() for cell in cells[count:])):
                wrong = f"The row has {len(cells)} cell{'s' * (len(cells) > 1)}, and the header {least}."
                if len(cells) > least:
                    wrong += f" Quote cells that hold {form.shown}."
            if wrong and not lines.back():
                wrong += f" It takes the lines to {lines.number} with it."
            elif not wrong and not (whole.isascii() or encoding.is_text(whole)):
                wrong = f"The row is no text in {encoding.shown}."
            if len(cells) < count:
                cells += [""] * (count - len(cells))
            yield Row(lines.start, cells, wrong)


def _said(error: str) -> str:
    if "end of data" in error:
        return "A quote opens a cell and nothing closes it; close it, or double it if it belongs to the text."
    return "After a closing quote the cell goes on; double the quotes that belong to its text."


def _line_and_rest(sample: str) -> tuple[str, str]:
    stream = io.StringIO(sample, newline="")
    return stream.readline(), stream.read()


def _parsed(sample: str, delimiter: str) -> list[list[str]]:
    found = []
    try:
        for cells in csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter, skipinitialspace=False):
            if any(cells):
                found.append(cells)
            if len(found) == 20:
                break
    except csv.Error:
        return found
    return found


def _likeness(sample: str, delimiter: str, names: Collection[str]) -> tuple[bool, bool, int]:
    """How much a table looks like one with this delimiter: a known name, rows that are alike, and its columns."""
    header, *rows = _parsed(sample, delimiter) or [[]]
    is_known = any(cell.strip().casefold() in names for cell in header)
    alike = sum(len(row) == len(header) for row in rows)
    return is_known, len(header) > 1 and 2 * alike >= len(rows), len(header)
