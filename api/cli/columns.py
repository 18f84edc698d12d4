"""What commands are told of the columns of tables, and what they say of them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from api.cli.output import display, stderr
from api.cli.workspace import AnyCatalogs, printable
from services.feeds.lists import Described, Reading
from services.feeds.source import Source
from services.feeds.tables.options import Options, parsed


def column_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that decide by hand how tables are read."""
    encoding = click.option(
        "--encoding", metavar="NAME", help="Encoding of CSV files.  [default: by BOM, else UTF-8, else Windows-1252]"
    )
    column = click.option(
        "--column",
        "columns",
        metavar="NAME=KIND",
        multiple=True,
        help="What a CSV column is: integer, float, decimal-point, decimal-comma, bool, keyword or skip; or which one "
        'is product_id, image_path or image_url: product_id="Variant SKU". May be repeated.',
    )
    return column(encoding(command))


def reading_for(catalogs: AnyCatalogs, catalog: str, columns: Sequence[str], encoding: str | None) -> Reading:
    """How tables for this catalog are read. Raises `InvalidSource`."""
    kinds, headers = parsed(columns)
    declared = catalogs.get(catalog).spec.indexed_attributes if catalogs.find(catalog) else {}
    return Reading(Options(kinds, headers, encoding), declared)


def as_json_object(reading: Reading) -> dict[str, Any]:
    """For the JSON object of a command: nothing where no table was read."""
    columns = [
        {"file": printable(path), **column} for path, table in reading.tables.items() for column in table.as_json()
    ]
    notes = [f"{printable(path)}: {note}." for path, note in _notes(reading)]
    return ({"columns": columns} if columns else {}) | ({"notes": notes} if notes else {})


def report_columns(console: Console, reading: Reading) -> None:
    """A line for each column."""
    for path, note in _notes(reading):
        console.print(display(f"{printable(path)}: {note}."), style="yellow", soft_wrap=True)
    for path, table in reading.tables.items():
        if len(reading.tables) > 1:
            console.print(display(f"{printable(path)}:"), soft_wrap=True)
        for sentence in table.sentences():
            console.print(display(sentence), soft_wrap=True)


def described(found: list[Source], table: Described) -> list[Source]:
    """The sources with their attributes of the table, and its rows that cannot be taken in place of their products'."""
    taken = [
        replace(source, attributes=table.rows.get(source.product_id, source.attributes))
        for source in found
        if source.product_id not in table.wrong
    ]
    return [*taken, *table.wrong.values()]


def note_unmatched(table: Described, found: list[Source], file: Path | None) -> None:
    """Says how many rows are of products that have no picture here."""
    unmatched = sorted(table.rows.keys() - {source.product_id for source in found})
    if unmatched:
        count = f"{len(unmatched)} of {len(table.rows)} rows"
        note = display(f"{count} of {file} belong to no picture here, the first to {unmatched[0]!r}.")
        stderr().print(note, style="yellow", soft_wrap=True)


def _notes(reading: Reading) -> list[tuple[Path, str]]:
    return [(path, note) for path, table in reading.tables.items() for note in table.notes]
