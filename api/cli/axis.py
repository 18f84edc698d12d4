"""`lookalike axis`: the products of a catalog along a direction."""

from pathlib import Path
from typing import Any

import click
from rich.table import Table

from api.cli.answers import described, plain_notes, show_rest
from api.cli.output import (
    catalog_option,
    command,
    data_option,
    display,
    filter_option,
    html_option,
    json_option,
    plain_warnings,
    print_json,
    stdout,
)
from api.cli.sheet import about, neighbor_card, write_rows
from api.cli.workspace import AnyCatalog, opened_catalog
from services.catalog.axis import Axis, Stop, ordered, stops
from services.errors import InvalidInput
from services.query.filters import parse

LIMIT = 10


@click.command("axis")
@click.argument("name", metavar="NAME")
@filter_option
@click.option("-n", "--limit", metavar="N", type=int, help=f"How many, up to 1000.  [default: {LIMIT}]")
@click.option("--reverse", is_flag=True, help="Begin with those that have least of it.")
@click.option("--stops", "count", metavar="K", type=int, help="K products at even ranks from least to most, up to 50.")
@html_option
@catalog_option
@data_option
@json_option
@command
def axis_command(
    name: str,
    filter_json: str | None,
    limit: int | None,
    reverse: bool,
    count: int | None,
    html: Path | None,
    catalog: str,
    data: str | None,
    as_json: bool,
) -> None:
    """Order the products along direction NAME.

    What has most of it comes first. --stops shows the whole axis in a few products.
    """
    if count is not None and (limit is not None or reverse):
        raise InvalidInput("--stops shows the whole axis, from least to most: leave out --limit and --reverse.")
    filter = None if filter_json is None else parse(filter_json)
    with opened_catalog(data, catalog) as opened:
        if count is None:
            found = ordered(opened, name, filter=filter, limit=LIMIT if limit is None else limit, reverse=reverse)
        else:
            found = stops(opened, name, count, filter=filter)
        warnings = [] if found.stops else opened.warnings(filter)
        if html:
            _write_sheet(html, opened, name, found)
        trained = opened.trained
    if as_json:
        axis = {"direction": name, "products": found.products, "neighbors": [_plain(each) for each in found.stops]}
        print_json({**axis, **plain_notes(found.notes), **plain_warnings(warnings)})
        return
    _show(name, found)
    show_rest(found.notes, warnings, trained=trained, html=html)


def _plain(stop: Stop) -> dict[str, Any]:
    found = stop.neighbor
    told = {"product_id": found.product_id, "score": round(found.score, 6), "attributes": dict(found.attributes)}
    return {"rank": stop.rank, **told}


def _show(name: str, found: Axis) -> None:
    title = f"Along {name}, of {found.products} products"
    if not found.stops:
        stdout().print(display(f"{title}: nothing found."))
        return
    table = Table(title=display(title), title_justify="left", title_style="bold")
    table.add_column("rank", justify="right")
    table.add_column("score", justify="right")
    table.add_column("product", overflow="fold")
    table.add_column("attributes", overflow="fold")
    for each in found.stops:
        told = each.neighbor
        cells = (str(each.rank), f"{told.score:.3f}", told.product_id, described(told.attributes))
        table.add_row(*map(display, cells))
    stdout().print(table)


def _write_sheet(file: Path, catalog: AnyCatalog, name: str, found: Axis) -> None:
    line = [
        neighbor_card(catalog, each.neighbor, f"{each.neighbor.score:.3f}", label=f"{each.rank} of {found.products}")
        for each in found.stops
    ]
    said = [about(catalog), *(note.message for note in found.notes)]
    write_rows(file, f"Along {name}", said, [{"line": line}])
