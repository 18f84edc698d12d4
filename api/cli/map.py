"""`lookalike map`: all products on one picture, what looks alike beside each other."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
from rich.table import Table

from api.cli.map_picture import picture
from api.cli.output import (
    catalog_option,
    command,
    data_option,
    display,
    json_option,
    print_json,
    reported,
    stderr,
    stdout,
)
from api.cli.pages import plain, rendered, write
from api.cli.sheet import about
from api.cli.workspace import AnyCatalog, opened_catalog
from services.errors import FindingNotFound, InvalidInput
from services.explore.regions import NO_REGION

SHOWN = 20
"""Clusters that are listed."""


@click.command("map")
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write it as a picture (.svg, .html) or as a table (.parquet).",
)
@click.option("--color-by", metavar="KEY", help="Color products by this attribute.")
@click.option("--anew", is_flag=True, help="Lay it out anew: everything may stand elsewhere afterwards.")
@catalog_option
@data_option
@json_option
@command
def map_command(
    out: Path | None, color_by: str | None, anew: bool, catalog: str, data: str | None, as_json: bool
) -> None:
    """Make the map of a catalog, or bring it up to date.

    \b
      lookalike map --out map.html --color-by category

    What looks alike stands together, as far as a plane allows. New products are placed among those that are there,
    which keep their places, until the catalog has twice or half as many.
    """
    started = time.monotonic()
    form = _form(out, color_by)
    with opened_catalog(data, catalog) as opened:
        made = _made(opened, anew)
        if out and form:
            form(out, opened, color_by)
            stderr().print(display(f"Wrote {out}"), soft_wrap=True)
    if as_json:
        print_json({"catalog": catalog, **made, "seconds": round(time.monotonic() - started, 3)})
    else:
        _show(catalog, made)


def _made(catalog: AnyCatalog, anew: bool) -> Mapping[str, Any]:
    if not anew:
        try:
            told = catalog.map.told()
        except FindingNotFound:
            pass
        else:
            if not told["stale"]:
                return told
    with reported("Placing products") as report:
        return catalog.map.make(anew=anew, report=report)


def _form(out: Path | None, color_by: str | None) -> Callable[[Path, AnyCatalog, str | None], None] | None:
    """What writes a file of this name. Raises `InvalidInput` for others."""
    if out is None:
        if color_by is not None:
            raise InvalidInput("--color-by colors a picture: give --out, too.")
        return None
    forms = {".svg": _write_svg, ".html": _write_html, ".parquet": _write_table}
    if out.suffix.lower() not in forms:
        raise InvalidInput(f"The map {out} has no format that there is: end the name of --out in {', '.join(forms)}.")
    return forms[out.suffix.lower()]


def _write_svg(out: Path, catalog: AnyCatalog, color_by: str | None) -> None:
    shown = _picture(catalog, color_by)
    write(out, rendered("map.svg", **shown, is_alone=True), "map", "--out")


def _write_html(out: Path, catalog: AnyCatalog, color_by: str | None) -> None:
    shown = _picture(catalog, color_by)
    write(out, rendered("map.html", **shown, is_alone=False), "map", "--out")


def _picture(catalog: AnyCatalog, color_by: str | None) -> dict[str, Any]:
    standing = catalog.map.standing()
    column = None if color_by is None else catalog.map.column(color_by, standing.product_ids)
    with stderr().status("Fetching thumbnails"):
        shown = picture(standing, catalog.thumbnail, column)
    title = f"Map of {catalog.spec.name}"
    return shown | {"title": plain(title), "about": plain(about(catalog)), "by": plain(color_by or "")}


def _write_table(out: Path, catalog: AnyCatalog, color_by: str | None) -> None:
    from services.archive.table import write_table

    if color_by is not None:
        raise InvalidInput("--color-by colors a picture: a table has all indexed attributes.")
    standing = catalog.map.standing()
    columns = {key: catalog.map.column(key, standing.product_ids) for key in sorted(catalog.spec.indexed_attributes)}
    is_nowhere = standing.labels == NO_REGION
    clusters = np.ma.masked_array(standing.labels, is_nowhere)
    names = [*(region.name or None for region in standing.regions), None]
    table: dict[str, npt.NDArray[Any] | Sequence[str | None]] = {
        "product_id": standing.product_ids,
        "x": standing.points[:, 0],
        "y": standing.points[:, 1],
        "cluster": clusters,
        "cluster_name": [names[-1 if label == NO_REGION else label] for label in standing.labels.tolist()],
    }
    write_table(out, table | {f"attributes.{key}": column.cells() for key, column in columns.items()})


def _show(catalog: str, made: Mapping[str, Any]) -> None:
    title = f"{catalog}: map of {made['products']} products, layout {made['version']}"
    named = [each for each in made["clusters"] if each["name"]]
    if not named:
        stdout().print(display(f"{title}, no clusters with a name"), soft_wrap=True)
        return
    table = Table(title=display(title), title_justify="left", title_style="bold")
    table.add_column("cluster", overflow="fold")
    table.add_column("products", justify="right")
    for each in named[:SHOWN]:
        table.add_row(display(each["name"]), str(each["products"]))
    stdout().print(table)
    if len(named) > SHOWN:
        stdout().print(f"... and {len(named) - SHOWN} more")
