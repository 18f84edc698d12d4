"""A feed: changes of many products in one body, checked one by one as they are read and spooled until all have been."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from tempfile import SpooledTemporaryFile, gettempdir
from typing import IO, Any

from api.errors import Fault, FeedInvalid, Malformed
from api.requests import strict_json
from api.requests.body import Body
from services.errors import InvalidAttributes, InvalidChange
from services.feeds.changes import WrongChange, named, parse_change
from services.kinds import NO_KINDS, Kinds
from services.ledger import Named, Refusal
from services.records import Change, ChangeKind, RemoteImage
from services.storage.disk import disk_errors

MAX_LINE = 256 << 10
MAX_NAMED = 100
"""Faults that a refusal names."""

KEEP = "keep"
"""The `op` of a line that only names its product."""

IN_MEMORY = 1 << 20
"""Bytes of a feed that are spooled in memory; more go to a temporary file."""

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_BOM = b"\xef\xbb\xbf"
_SPACE = re.compile(r"[ \t\r\n]*")


class Feed:
    """The changes of a feed in their order, to be iterated any number of times.

    With `skip`, a line that holds no valid change becomes a `Refusal`; without it, `check` refuses the whole feed.
    `kinds` are those that the catalog declares for values of attributes. With `replace`, the feed names all products,
    and a line may name one without changing it (`op` is keep). `total` are its changes, and `nameless` those of its
    lines that have no product ID.
    """

    def __init__(self, *, skip: bool, kinds: Kinds = NO_KINDS, replace: bool = False) -> None:
        self.total = 0
        self.nameless = 0
        self._kept = 0
        self._replace = replace
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
            self._write([KEEP, _kept(value), None, None])
            self._kept += 1
        else:
            self._take_change(number, parse_change(value))

    def _take_change(self, number: int, change: Change) -> None:
        """Judges a change by the declared kinds, and spools it. `number` is its line."""
        try:
            fields = _fields(
                replace(change, attributes=self._kinds.checked(change.attributes)) if change.attributes else change
            )
        except InvalidAttributes as error:
            self.refuse(number, change.product_id, WrongChange("attributes", error), of_other_kind=True)
            return
        self.total += 1
        self._write(fields)

    def refuse(self, number: int, product_id: str, wrong: WrongChange, *, of_other_kind: bool = False) -> None:
        """Notes why a line is no change. `of_other_kind`: it is one, but for the kinds that the catalog declares."""
        self.total += 1
        self.nameless += not product_id
        self._of_other_kinds += of_other_kind
        self._write([number, product_id, wrong.error.code, self._noted(number, wrong)])

    def check(self) -> None:
        """Raises `FeedInvalid` if a change is wrong and not to be skipped, `InvalidChange` if the feed is empty.

        Values of another kind than the declared one are left to `of_new_request`.
        """
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

    def _write(self, fields: list[Any]) -> None:
        if self._skip or not self._wrong:
            self._spool.write(_ENCODER.encode(fields).encode() + b"\n")

    def _noted(self, number: int, wrong: WrongChange) -> str:
        self._wrong += 1
        detail = str(wrong).encode(errors="backslashreplace").decode()
        if len(self._faults) < MAX_NAMED:
            field = wrong.field and wrong.field.encode(errors="backslashreplace").decode()
            self._faults.append(Fault(detail, wrong.error.code, field, number))
        return detail


def read(body: Body, *, array: bool, skip: bool, kinds: Kinds = NO_KINDS, replace: bool = False) -> Feed:
    """Reads a body as a feed, which the caller closes.

    Args:
        body: The request's body.
        array: Whether it is one JSON array; else NDJSON, which is read as a stream.
        skip: Whether wrong changes are kept as refusals instead of refusing the feed.
        kinds: Those that the catalog declares for values of attributes.
        replace: Whether it names all products, and may name some without changing them.

    Raises:
        Malformed: The body is no JSON array.
        FeedInvalid, InvalidChange: As `Feed.check`.
    """
    feed = Feed(skip=skip, kinds=kinds, replace=replace)
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


def _fields(change: Change) -> list[Any]:
    url = change.image.url if isinstance(change.image, RemoteImage) else None
    return [change.kind, change.product_id, url, change.attributes]


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
    return Change(product_id, ChangeKind(first), third and RemoteImage(third), fourth)
