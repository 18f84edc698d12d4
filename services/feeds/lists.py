"""Lists of products to sources, and tables of attributes: CSV and NDJSON."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from services.attributes import checked_attributes
from services.descriptions import AttributeKind
from services.errors import DuplicateProduct, InvalidChange, InvalidSource, LookalikeError
from services.feeds.names import nfc
from services.feeds.source import Source
from services.feeds.tables.headers import ATTRIBUTES, LIST, Use
from services.feeds.tables.options import Options, Role
from services.feeds.tables.table import Record, Table
from services.names import checked_new_product_id, checked_product_id
from services.outbound.urls import checked_url
from services.records import Attributes, RemoteImage

LISTS = (".csv", ".tsv", ".ndjson", ".jsonl")
TABLES = (".csv", ".tsv")

_IMAGES = ("image_path", "image_url")


@dataclass
class Reading:
    """How lists are read, and what was found in them.

    Attributes:
        options: What is said by hand of columns.
        declared: Kinds that the catalog declares, by the keys of attributes.
        tables: Those that were read, by their files.
    """

    options: Options = field(default_factory=Options)
    declared: Mapping[str, AttributeKind] = field(default_factory=dict)
    tables: dict[Path, Table] = field(default_factory=dict)

    def check(self) -> None:
        """Raises `InvalidSource` where something is said by hand of a column that no table has."""
        if not self.tables and (self.options.kinds or self.options.headers or self.options.encoding):
            raise InvalidSource("Columns and encodings are those of CSV files, and none was given; leave them out.")
        for name in (*self.options.headers.values(), *self.options.kinds):
            refusals = [table.unknown.get(name) for table in self.tables.values()]
            if refusals and all(refusals):
                raise next(each for each in refusals if each)


@dataclass(frozen=True)
class Described:
    """Attributes by product ID, read from a table. `wrong` are the rows that cannot be taken, as sources."""

    rows: Mapping[str, Attributes]
    wrong: Mapping[str, Source]
    table: Table


def attributes_table(path: Path, reading: Reading | None = None) -> Described:
    """Reads attributes from a CSV by product ID, in NFC; empty cells are skipped.

    Raises:
        InvalidSource: The file cannot be read as a whole. A row that cannot be taken is in `wrong`.
    """
    rows: dict[str, Attributes] = {}
    lines: dict[str, int] = {}
    wrong: dict[str, Source] = {}
    reading = reading or Reading()
    for record in _records(path, ATTRIBUTES, reading):
        product_id, error = nfc(record.product_id), record.error
        if not error and product_id in lines:
            error = DuplicateProduct(
                f"It names product {product_id!r} a second time, after line {lines[product_id]}; leave one of the two."
            )
        if error:
            source = _wrong(path, record.line, product_id, error)
            wrong.setdefault(product_id or f"line {record.line}", source)
        else:
            rows[product_id] = record.attributes
        lines.setdefault(product_id, record.line)
    return Described(rows, wrong, reading.tables[path])


def listed(path: Path, reading: Reading) -> Iterator[Source]:
    """The products that a list names; a row that cannot be taken is a source with a fault.

    Raises:
        InvalidSource: The file cannot be read as a whole.
    """
    if path.suffix.lower() in TABLES:
        for record in _records(path, LIST, reading):
            yield _of_record(path, record)
        return
    for number, text in _lines(path):
        yield _of_json(path, number, text)


def _records(path: Path, use: Use, reading: Reading) -> Iterator[Record]:
    _check_file(path)
    try:
        with path.open("rb") as file:
            table = Table(file, str(path), use, reading.options, reading.declared)
            reading.tables[path] = table
            for record in table.records():
                yield _checked(record)
    except OSError as error:
        raise InvalidSource(f"{path} cannot be read ({error.strerror}); check the path and its rights.") from error


def _checked(record: Record) -> Record:
    """The record, with an error where its ID or attributes are none, so that its line is told."""
    if record.error:
        return record
    try:
        checked_product_id(record.product_id)
        checked_attributes(record.attributes)
    except LookalikeError as error:
        return replace(record, error=error)
    return record


def _of_record(path: Path, record: Record) -> Source:
    if record.error:
        return _wrong(path, record.line, record.product_id, record.error)
    places = {name: record.roles.get(Role(name), "") for name in _IMAGES}
    if places["image_path"] == places["image_url"]:
        # One column for both.
        is_url = places["image_url"].strip().lower().startswith(("http://", "https://"))
        places["image_path" if is_url else "image_url"] = ""
    return _source(path, record.line, record.product_id, places, record.attributes or None)


def _of_json(path: Path, number: int, text: str) -> Source:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        return _wrong(path, number, "", InvalidChange(f"It is no JSON ({error}); write one object a line."))
    product_id = record.get("product_id") if isinstance(record, dict) else None
    if not isinstance(product_id, str) or not any(isinstance(record.get(name), str) for name in _IMAGES):
        return _wrong(
            path,
            number,
            product_id if isinstance(product_id, str) else "",
            InvalidChange("It must be an object with the strings product_id and image_path, or image_url."),
        )
    attributes = record.get("attributes")
    if unknown := set(record) - {"product_id", *_IMAGES, "attributes"}:
        why = f"It has an unknown field {min(unknown)[:120]!r}; a product takes product_id, image_path, image_url and "
        return _wrong(path, number, product_id, InvalidChange(f"{why}attributes, an object."))
    if attributes is not None and not isinstance(attributes, dict):
        return _wrong(path, number, product_id, InvalidChange("The attributes must be an object."))
    places = {name: record.get(name) or "" for name in _IMAGES}
    if not all(isinstance(place, str) for place in places.values()):
        return _wrong(path, number, product_id, InvalidChange("Its image_path and image_url must be strings."))
    return _source(path, number, product_id, places, attributes)


def _source(path: Path, line: int, product_id: str, places: Mapping[str, str], attributes: Attributes | None) -> Source:
    name, url = places["image_path"], places["image_url"]
    try:
        checked_new_product_id(product_id)
        if name and url:
            raise InvalidChange("It has both an image_path and an image_url; leave one of the two.")
        if not name and not url.strip():
            raise InvalidChange("It has no image_path and no image_url; name the picture.")
        image = path.parent / name if name else RemoteImage(checked_url(url))
        return Source(product_id, image, attributes, row=f"{path} line {line}")
    except LookalikeError as error:
        return _wrong(path, line, product_id, error)


def _wrong(path: Path, line: int, product_id: str, error: LookalikeError) -> Source:
    """The row as a source that cannot be taken; its error names the line."""
    row = f"{path} line {line}"
    return Source(product_id, path, fault=type(error)(f"{row}: {error}"), row=row)


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise InvalidSource(f"{path} is not a file; give a CSV or NDJSON file.")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    _check_file(path)
    try:
        with path.open(encoding="utf-8-sig") as stream:
            for number, text in enumerate(stream, 1):
                if text.strip():
                    yield number, text
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSource(f"{path} is no NDJSON in UTF-8 ({error}); save it as one.") from error
