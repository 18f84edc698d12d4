"""`lookalike facets`: what the products of a catalog have for indexed attributes."""

from collections.abc import Iterable
from dataclasses import asdict

import click
from rich.bar import Bar
from rich.console import RenderableType
from rich.table import Table

from api.cli.output import (
    catalog_option,
    command,
    data_option,
    display,
    json_option,
    plain_warnings,
    print_json,
    stdout,
    warn,
)
from api.cli.workspace import opened_catalog
from services.catalog.facets import MAX_FACETED, AttributeFacets
from services.catalog.number_facets import Numbers
from services.errors import AttributeNotIndexed
from services.query.filters import parse
from services.records import Facet

BAR = 30
"""Characters of the longest bar."""


@click.command("facets")
@click.argument("keys", metavar="[KEY]...", nargs=-1)
@click.option("--filter", "filter_json", metavar="JSON", help="Of these products, in Qdrant's form (docs/cli.md).")
@click.option(
    "-n", "--limit", metavar="N", type=int, default=10, show_default=True, help="Values of each KEY, up to 1000."
)
@catalog_option
@data_option
@json_option
@command
def facets_command(
    keys: tuple[str, ...], filter_json: str | None, limit: int, catalog: str, data: str | None, as_json: bool
) -> None:
    """Count products by the values of indexed attributes.

    Without KEY, of all of them. Numbers get a histogram, whose bars count products.
    """
    filter = parse(filter_json) if filter_json is not None else None
    with opened_catalog(data, catalog) as opened:
        asked = dict.fromkeys(keys or opened.spec.indexed_attributes)
        if not asked:
            raise AttributeNotIndexed(
                f"Catalog {catalog} has no indexed attributes, and only those have facets; "
                "`lookalike index FOLDER --attributes FILE` indexes some."
            )
        found = [
            each
            for some in _in_parts([*asked], MAX_FACETED)
            for each in opened.attribute_facets(some, limit=limit, filter=filter)
        ]
        warnings = opened.warnings(filter) if all(each.is_empty for each in found) else []
    if as_json:
        print_json({"catalog": catalog, "facets": [asdict(each) for each in found], **plain_warnings(warnings)})
        return
    for each in found:
        _show(each, limit)
    warn(warnings)


def _in_parts(keys: list[str], size: int) -> Iterable[list[str]]:
    return (keys[start : start + size] for start in range(0, len(keys), size))


def _show(found: AttributeFacets, limit: int) -> None:
    title = f"{found.key} ({found.kind.value})"
    if found.numbers is not None:
        _show_numbers(title, found.numbers)
    if found.values is not None:
        _show_values(title, found.values, limit)


def _show_numbers(title: str, numbers: Numbers) -> None:
    if numbers.min is None or numbers.max is None:
        stdout().print(display(f"{title}: no product has a number."))
        return
    said = f"{title}: {numbers.count} products, {_number(numbers.min)} to {_number(numbers.max)}"
    rows = [(f"{_number(each.start)} to {_number(each.end)}", each.count) for each in numbers.histogram]
    stdout().print(_table(said, "from, to below", rows))


def _show_values(title: str, values: tuple[Facet, ...], limit: int) -> None:
    if not values:
        stdout().print(display(f"{title}: no product has a value."))
        return
    said = f"{title}: the {limit} most frequent values" if len(values) >= limit else f"{title}: all values"
    stdout().print(_table(said, "value", [(_value(each.value), each.count) for each in values]))


def _table(title: str, first: str, rows: list[tuple[str, int]]) -> Table:
    """Rows of a name, a count, and a bar as long as the count."""
    table = Table(title=display(title), title_justify="left", title_style="bold")
    table.add_column(first, overflow="fold")
    table.add_column("products", justify="right")
    table.add_column("")
    most = max(count for _, count in rows)
    for name, count in rows:
        bar: RenderableType = Bar(max(most, 1), 0, count, width=BAR)
        table.add_row(display(name), str(count), bar)
    return table


def _value(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _number(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:.15g}"
