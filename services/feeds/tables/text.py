"""The text of a table: which encoding its bytes are in, and its lines."""

import codecs
import io
import re
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from services.errors import InvalidSource

MAX_ROW = 1 << 20
"""Characters of a row."""

PATIENCE = 8 << 20
"""Characters that are read again after rows whose quotes do not end, in a file that is full of them."""

_BLOCK = 1 << 20
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_TAKEN = re.compile(
    r"ascii|utf-(8|8-sig|16|32)(-[lb]e)?|iso8859-\d+|cp\d+|mac-.*|koi8-.|shift_jis.*|euc_.*|gb.*|big5.*|tis-620"
)
_WIDE = ("utf-16", "utf-32")
_ESCAPED = re.compile("[\udc80-\udcff]+")
_BEYOND_ASCII = re.compile("[^\x00-\x7f\udc80-\udcff]+")


class RowTooLong(Exception):
    """A row has more than `MAX_ROW` characters."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How bytes are read as text. `note` says so where that was a guess."""

    codec: str
    note: str = ""

    @property
    def shown(self) -> str:
        return {"cp1252": "Windows-1252", "utf-8-sig": "UTF-8"}.get(self.codec, self.codec.upper())

    def is_text(self, text: str) -> bool:
        """Whether all of it was text in this encoding."""
        return not (_ESCAPED.search(text) or (self.codec.startswith(_WIDE) and "\ufffd" in text))


def encoding_of(file: IO[bytes], named: str | None, name: str) -> Encoding:
    """The encoding of a file: the one that is named, else that of its byte order mark, else UTF-8, else Windows-1252.

    Raises:
        InvalidSource: There is no such encoding, or the file is a workbook.
    """
    file.seek(0)
    start = file.read(4)
    if start == b"PK\x03\x04":
        raise InvalidSource(f"{name} is a workbook or an archive, no CSV: save it as CSV in UTF-8.")
    marked = next((codec for mark, codec in _BOMS if start.startswith(mark)), None)
    if named is not None:
        codec = _codec(named)
        if marked and codec.startswith(marked):
            return Encoding(marked)
        # Without a mark it is what Windows writes, as browsers take it.
        return Encoding(f"{codec}-le" if codec in _WIDE else codec)
    if marked:
        return Encoding(marked)
    file.seek(0)
    return _guessed(file)


def _codec(named: str) -> str:
    try:
        codec = codecs.lookup(named).name
    except (LookupError, ValueError):
        codec = ""
    if not _TAKEN.fullmatch(codec):
        raise InvalidSource(
            f"There is no encoding {named[:40]!r}; name utf-8, utf-16, latin-1, windows-1252 or another one."
        )
    # As browsers read what calls itself Latin-1: the 32 characters that differ are control characters there.
    return {"utf-8": "utf-8-sig", "iso8859-1": "cp1252"}.get(codec, codec)


def _guessed(file: IO[bytes]) -> Encoding:
    """UTF-8, unless most of what is not ASCII is none."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    others = valid = lines = first = 0
    while block := file.read(_BLOCK):
        text = decoder.decode(block)
        if not text.isascii():
            wrong = _ESCAPED.search(text)
            if wrong and not first:
                first = 1 + lines + text.count("\n", 0, wrong.start())
            others += sum(len(found) for found in _ESCAPED.findall(text))
            valid += sum(len(found) for found in _BEYOND_ASCII.findall(text))
        lines += text.count("\n")
    others += len(decoder.decode(b"", True))
    if others <= valid:
        return Encoding("utf-8")
    at = f"line {first or lines + 1} is not UTF-8"
    return Encoding("cp1252", f"{at}, so the file was read as Latin-1 (Windows-1252)")


@contextmanager
def opened(file: IO[bytes], encoding: Encoding) -> Iterator[io.TextIOWrapper]:
    """The text of a file from its beginning. The file is left open."""
    file.seek(0)
    errors = "replace" if encoding.codec.startswith(_WIDE) else "surrogateescape"
    text = io.TextIOWrapper(file, encoding.codec, errors, newline="")
    try:
        yield text
    finally:
        text.detach()


class Lines:
    """The lines of a text, to be read row by row: all but the first of a row can be given back."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self.number = 0
        self.start = 1
        self._text = text
        self._again: deque[str] = deque()
        self._row: list[str] = []
        self._size = 0
        self._patience = PATIENCE

    def begin(self) -> None:
        """From here on lines belong to the next row."""
        self.start = self.number + 1
        self._row = []
        self._size = 0

    def back(self) -> bool:
        """The row was none: what comes after its first line is read again, unless that was done too often."""
        rest = self._row[1:]
        self._patience -= sum(map(len, rest))
        if self._patience < 0:
            return not rest
        self._again.extendleft(reversed(rest))
        self.number -= len(rest)
        return True

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else self._read()
        if not line:
            raise StopIteration
        self.number += 1
        self._row.append(line)
        self._size += len(line)
        if self._size > MAX_ROW:
            raise RowTooLong
        return line

    def _read(self) -> str:
        line = part = self._text.readline(MAX_ROW + 1)
        while len(part) > MAX_ROW and not part.endswith(("\n", "\r")):
            part = self._text.readline(MAX_ROW + 1)
        return line
