"""Lists of products to sources, and tables of attributes: CSV and NDJSON."""

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.errors import InvalidSource
from services.feeds.source import Source
from services.query.filters import key_of
from services.records import AttributeKind, Attributes

LISTS = (".csv", ".ndjson", ".jsonl")

_READ: dict[AttributeKind, Callable[[str], str | int | float]] = {
    AttributeKind.KEYWORD: str,
    AttributeKind.INTEGER: int,
    AttributeKind.FLOAT: float,
}
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,14})(\.\d{1,15})?")


@dataclass(frozen=True)
class Table:
    """Attributes by product ID, read from a CSV. A column whose values are all numbers holds numbers."""

    rows: Mapping[str, Attributes]
    kinds: Mapping[str, AttributeKind]

    @property
    def keys(self) -> dict[str, AttributeKind]:
        """The kinds of the attributes, by the keys that filters use."""
        return {key_of(column): kind for column, kind in self.kinds.items()}


def attributes_table(path: Path) -> Table:
    """Reads attributes from a CSV with a `product_id` column; empty cells are skipped. Raises `InvalidSource`."""
    rows = list(_csv_rows(path, ("product_id",)))
    kinds = _kinds(rows, path)
    table: dict[str, Attributes] = {}
    for line, row in rows:
        product_id = row["product_id"]
        if product_id in table:
            raise InvalidSource(f"{path} line {line} names product {product_id!r} a second time; leave one of the two.")
        table[product_id] = _attributes(row, kinds)
    return Table(table, kinds)


def listed(path: Path) -> Iterator[Source]:
    """The products that a list names. Raises `InvalidSource`, also after some."""
    required = ("product_id", "image_path")
    if path.suffix.lower() == ".csv":
        rows = list(_csv_rows(path, required))
        kinds = _kinds(rows, path)
        for line, row in rows:
            image = _image(path, line, row["image_path"])
            yield Source(row["product_id"], image, _attributes(row, kinds) or None)
        return
    for line, record in _json_rows(path, required):
        attributes = record.get("attributes")
        if attributes is not None and not isinstance(attributes, dict):
            raise InvalidSource(f"{path} line {line}: attributes must be an object.")
        yield Source(record["product_id"], _image(path, line, record["image_path"]), attributes)


def _image(path: Path, line: int, name: str) -> Path:
    if not name:
        raise InvalidSource(f"{path} line {line} has no image_path; name the picture.")
    return path.parent / name


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise InvalidSource(f"{path} is not a file; give a CSV or NDJSON file.")


def _csv_rows(path: Path, required: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    _check_file(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            header = stream.readline(1 << 20)
            stream.seek(0)
            reader = csv.DictReader(
                stream, delimiter=";" if header.count(";") > header.count(",") else ",", strict=True
            )
            names = reader.fieldnames or ()
            if len(set(names)) < len(names):
                raise InvalidSource(f"{path} names a column twice; leave one of the two.")
            missing = [column for column in required if column not in (reader.fieldnames or ())]
            if missing:
                raise InvalidSource(f"{path} has no column {missing[0]}; its first line must name the columns.")
            for row in reader:
                if None in row or None in row.values():
                    raise InvalidSource(f"{path} line {reader.line_num} has not as many cells as the first line.")
                yield reader.line_num, row
    except OSError as error:
        raise InvalidSource(f"{path} cannot be read ({error.strerror}); check the path and its rights.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidSource(f"{path} is no CSV in UTF-8 ({error}); save it as one.") from error


def _json_rows(path: Path, required: tuple[str, ...]) -> Iterator[tuple[int, dict[str, Any]]]:
    _check_file(path)
    try:
        with path.open(encoding="utf-8-sig") as stream:
            for number, text in enumerate(stream, 1):
                if text.strip():
                    yield number, _json_row(path, number, text, required)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSource(f"{path} is no NDJSON in UTF-8 ({error}); save it as one.") from error


def _json_row(path: Path, number: int, text: str, required: tuple[str, ...]) -> dict[str, Any]:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidSource(f"{path} line {number} is no JSON ({error}); write one object a line.") from error
    if not isinstance(record, dict) or not all(isinstance(record.get(field), str) for field in required):
        raise InvalidSource(f"{path} line {number} must be an object with the strings {' and '.join(required)}.")
    unknown = set(record) - {*required, "attributes"}
    if unknown:
        raise InvalidSource(
            f"{path} line {number} has an unknown field {min(unknown)!r}; besides {', '.join(required)} it takes "
            "attributes, an object."
        )
    return record


def _kinds(rows: list[tuple[int, dict[str, str]]], path: Path) -> dict[str, AttributeKind]:
    columns = [column for column in (rows[0][1] if rows else ()) if column not in ("product_id", "image_path")]
    for column in columns:
        _check_column(path, column)
    return {column: _kind([row[column] for _, row in rows if row[column]]) for column in columns}


def _check_column(path: Path, column: str) -> None:
    if not column:
        raise InvalidSource(f"{path} has a column without a name; name it in the first line.")
    try:
        key_of(column)
    except ValueError as error:
        raise InvalidSource(f"{path} has a column that filters cannot name: {error}.") from error


def _kind(values: list[str]) -> AttributeKind:
    numbers = [_NUMBER.fullmatch(value) for value in values]
    if not all(numbers) or not numbers:
        return AttributeKind.KEYWORD
    return AttributeKind.FLOAT if any("." in value for value in values) else AttributeKind.INTEGER


def _attributes(row: Mapping[str, str], kinds: Mapping[str, AttributeKind]) -> Attributes:
    return {column: _READ[kind](row[column]) for column, kind in kinds.items() if row[column]}
