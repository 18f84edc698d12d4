"""A feed: changes of many products in one body, checked one by one as they are read and spooled until all have been."""

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from tempfile import SpooledTemporaryFile, gettempdir
from typing import IO, Any, NamedTuple

from api.errors import Fault, FeedInvalid, Malformed
from api.requests import strict_json
from api.requests.body import Body
from api.requests.images import not_uploaded
from services.errors import InvalidAttributes, InvalidChange
from services.feeds.changes import WrongChange, named, parse_change
from services.kinds import NO_KINDS, Kinds
from services.ledger import Named, Refusal
from services.ledger.payload import image_name, image_named
from services.records import Change, ChangeKind, StoredImage
from services.storage.disk import disk_errors

MAX_LINE = 256 << 10
MAX_NAMED = 100
"""Faults that a refusal names."""

KEEP = "keep"
"""The `op` of a line that only names its product."""

IN_MEMORY = 1 << 20
"""Bytes of a feed that are spooled in memory; more go to a temporary file."""

AT_ONCE = 1000
"""Lines whose images are asked for together."""

Missing = Callable[[Sequence[str]], Collection[str]]
"""Which of these hashes name no uploaded image."""

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_BOM = b"\xef\xbb\xbf"
_SPACE = re.compile(r"[ \t\r\n]*")


class _Line(NamedTuple):
    """A line that was read: its change as it is spooled and the hash of its image, or why it holds none."""

    number: int
    product_id: str
    change: bytes = b""
    image: str | None = None
    wrong: Fault | None = None


class Feed:
    """The changes of a feed in their order, to be iterated any number of times.

    With `skip`, a line that holds no valid change becomes a `Refusal`; without it, `check` refuses the whole feed.
    `kinds` are those that the catalog declares for values of attributes; `missing` says which of up to `AT_ONCE` hashes
    name no uploaded image. With `replace`, the feed names all products, and a line may name one without changing it
    (`op` is keep). `total` are its changes, and `nameless` those of its lines that have no product ID.
    """

    def __init__(self, *, skip: bool, kinds: Kinds = NO_KINDS, missing: Missing = list, replace: bool = False) -> None:
        self.total = 0
        self.nameless = 0
        self._kept = 0
        self._replace = replace
        self._missing = missing
        self._lines: list[_Line] = []
        self._bytes = 0
        self._skip = skip
        self._kinds = kinds
        self._wrong = 0
        self._of_other_kinds = 0
        self._faults: list[Fault] = []
        self._spool: IO[bytes] = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115  `close` does

    def take(self, number: int, value: object) -> None:
        """Checks and spools one change: a line of NDJSON as bytes, or an element of an array already parsed."""
        parsed = None
        try:
            parsed = _parsed(value) if isinstance(value, bytes) else value
            self.take_value(number, parsed)
        except WrongChange as wrong:
            self.refuse(number, named(parsed), wrong)

    def take_value(self, number: int, value: object) -> None:
        """Checks and spools a change in decoded JSON. Raises `WrongChange`."""
        if self._replace and isinstance(value, dict) and value.get("op") == KEEP:
            product_id = _kept(value)
            self._kept += 1
            self._add(_Line(number, product_id, _encoded([KEEP, product_id, None, None])))
        else:
            self._take_change(number, parse_change(value))

    def refuse(self, number: int, product_id: str, wrong: WrongChange, *, of_other_kind: bool = False) -> None:
        """Notes why a line is no change. `of_other_kind`: it is one, but for the kinds that the catalog declares."""
        self.total += 1
        self.nameless += not product_id
        self._of_other_kinds += of_other_kind
        self._add(_Line(number, product_id, wrong=_fault(number, wrong)))

    def check(self) -> None:
        """Raises `FeedInvalid` if a change is wrong and not to be skipped, `InvalidChange` if the feed is empty.

        Values of another kind than the declared one are left to `of_new_request`.
        """
        self._spool_lines()
        if not self.total and not self._kept:
            raise InvalidChange(
                "The body holds no change: send one JSON object a line, an array of them, or rows of CSV."
            )
        if self._wrong > self._of_other_kinds and not self._skip:
            raise FeedInvalid(self._faults, self._wrong)

    def of_new_request(self) -> "Feed":
        """The feed, where the request is not the repetition of one that was accepted before a kind was declared.

        Raises:
            FeedInvalid: A value is of another kind than the declared one, and not to be skipped.
        """
        if self._wrong and not self._skip:
            raise FeedInvalid(self._faults, self._wrong)
        return self

    def close(self) -> None:
        self._spool.close()

    def __iter__(self) -> Iterator[Change | Refusal | Named]:
        self._spool.seek(0)
        for line in self._spool:
            yield _meant(json.loads(line))

    def _take_change(self, number: int, change: Change) -> None:
        """Judges a change by the declared kinds, and spools it."""
        if change.attributes:
            try:
                change = replace(change, attributes=self._kinds.checked(change.attributes))
            except InvalidAttributes as error:
                self.refuse(number, change.product_id, WrongChange("attributes", error), of_other_kind=True)
                return
        self.total += 1
        hash = change.image.hash if isinstance(change.image, StoredImage) else None
        self._add(_Line(number, change.product_id, _encoded(_fields(change)), hash))

    def _add(self, line: "_Line") -> None:
        self._lines.append(line)
        self._bytes += len(line.change)
        if len(self._lines) >= AT_ONCE or self._bytes > IN_MEMORY:
            self._spool_lines()

    def _spool_lines(self) -> None:
        """Spools the lines that were read, of which those are wrong that name an image that is not there."""
        lines, self._lines, self._bytes = self._lines, [], 0
        hashes = [line.image for line in lines if line.image]
        missing = frozenset(self._missing(hashes)) if hashes else frozenset()
        for line in lines:
            spooled = line.change
            wrong = _fault(line.number, not_uploaded(line.image)) if line.image in missing else line.wrong
            if wrong:
                self._note(wrong)
                spooled = _encoded([line.number, line.product_id, wrong.code, wrong.detail])
            if self._skip or not self._wrong:
                self._spool.write(spooled)

    def _note(self, wrong: Fault) -> None:
        self._wrong += 1
        if len(self._faults) < MAX_NAMED:
            self._faults.append(wrong)


def read(
    body: Body,
    *,
    array: bool,
    skip: bool,
    kinds: Kinds = NO_KINDS,
    missing: Missing = list,
    replace: bool = False,
) -> Feed:
    """Reads a body as a feed, which the caller closes.

    Args:
        body: The request's body.
        array: Whether it is one JSON array; else NDJSON, which is read as a stream.
        skip: Whether wrong changes are kept as refusals instead of refusing the feed.
        kinds: Those that the catalog declares for values of attributes.
        missing: Which of up to `AT_ONCE` hashes name no uploaded image.
        replace: Whether it names all products, and may name some without changing them.

    Raises:
        Malformed: The body is no JSON array.
        FeedInvalid, InvalidChange: As `Feed.check`.
    """
    feed = Feed(skip=skip, kinds=kinds, missing=missing, replace=replace)
    try:
        with disk_errors(gettempdir()):
            values = enumerate(elements(body.all()), 1) if array else lines(body.chunks())
            for number, value in values:
                feed.take(number, value)
        feed.check()
    except BaseException:
        feed.close()
        raise
    return feed


def lines(chunks: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, with their numbers from 1; one that is too long is cut one byte after the limit."""
    number, rest, cut = 0, b"", b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            number, line, cut = number + 1, cut or line, b""
            if line := _stripped(number, line):
                yield number, line
        if len(rest) > MAX_LINE:
            cut, rest = cut or rest[: MAX_LINE + 1], b""
    if line := _stripped(number + 1, cut or rest):
        yield number + 1, line


def elements(data: bytes) -> Iterator[Any]:
    """The elements of a JSON array, parsed one at a time: parsed as a whole it would take several times its size.

    Raises `Malformed`, also after some elements.
    """
    text = strict_json.decoded(data)
    position = _past(text, 0, "[")
    if text[position : position + 1] != "]":
        while True:
            value, position = strict_json.parsed_at(text, position)
            yield value
            position = _skip_space(text, position)
            if text[position : position + 1] == "]":
                break
            position = _past(text, position, ",")
    position = _skip_space(text, position + 1)
    if position < len(text):
        raise Malformed(f"body: this is no JSON array: it goes on at character {position}, after its end.", "body")


def _past(text: str, position: int, sign: str) -> int:
    position = _skip_space(text, position)
    if text[position : position + 1] != sign:
        raise Malformed(f"body: this is no JSON array: {sign!r} is missing at character {position}.", "body")
    return _skip_space(text, position + 1)


def _skip_space(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return found.end() if found else position


def _stripped(number: int, line: bytes) -> bytes:
    return line.removeprefix(_BOM if number == 1 else b"").strip()


def _parsed(line: bytes) -> object:
    try:
        if len(line) > MAX_LINE:
            raise Malformed(f"The line has more than the {MAX_LINE:,} bytes that are allowed.")
        return strict_json.parsed(line, "line")
    except Malformed as error:
        raise WrongChange(None, InvalidChange(str(error))) from None


def _fault(number: int, wrong: WrongChange) -> Fault:
    """What is wrong with a line; the error itself would keep what was read of it in memory."""
    field = wrong.field and wrong.field.encode(errors="backslashreplace").decode()
    return Fault(str(wrong).encode(errors="backslashreplace").decode(), wrong.error.code, field, number)


def _encoded(fields: list[Any]) -> bytes:
    return _ENCODER.encode(fields).encode() + b"\n"


def _fields(change: Change) -> list[Any]:
    return [change.kind, change.product_id, image_name(change.image), change.attributes]


def _kept(value: dict[str, Any]) -> str:
    """The product that a line only names. Raises `WrongChange`."""
    if extra := value.keys() - {"product_id", "op"}:
        name = str(min(extra))[:120]
        raise WrongChange(name, InvalidChange(f"{name}: a line that keeps its product takes nothing but its ID."))
    return parse_change(value | {"op": ChangeKind.DELETE.value}).product_id


def _meant(fields: list[Any]) -> Change | Refusal | Named:
    first, product_id, third, fourth = fields
    if first == KEEP:
        return Named(product_id)
    if isinstance(first, int):
        return Refusal(first, product_id, third, fourth)
    return Change(product_id, ChangeKind(first), image_named(third), fourth)
