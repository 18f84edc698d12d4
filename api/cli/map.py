"""`lookalike map`: all products on one picture, what looks alike beside each other."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
from rich.table import Table

from api.cli.findings import brought_up_to_date, warn_not_current
from api.cli.map_picture import picture
from api.cli.output import (
    catalog_option,
    command,
    data_option,
    display,
    json_option,
    limit_option,
    print_json,
    reported,
    stderr,
    stdout,
)
from api.cli.pages import plain, rendered, write
from api.cli.sheet import about
from api.cli.workspace import AnyCatalog, opened_catalog
from services.errors import InvalidInput
from services.explore.regions import NO_REGION

Form = Callable[[Path, AnyCatalog, str | None], None]
"""Writes the map of a catalog into a file, colored by an attribute."""


@click.command("map")
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write it as a picture (.svg, .html) or as a table (.parquet).",
)
@click.option("--html", metavar="FILE", type=click.Path(path_type=Path), help="The same as --out FILE.html.")
@click.option("--color-by", metavar="KEY", help="Color products by this attribute.")
@click.option("--anew", is_flag=True, help="Lay it out anew: everything may stand elsewhere afterwards.")
@limit_option
@catalog_option
@data_option
@json_option
@command
def map_command(
    out: Path | None,
    html: Path | None,
    color_by: str | None,
    anew: bool,
    limit: int,
    catalog: str,
    data: str | None,
    as_json: bool,
) -> None:
    """Make the map of a catalog, or bring it up to date.

    \b
      lookalike map --html map.html --color-by category

    What looks alike stands together, as far as a plane allows. New products are placed among those that are there,
    which keep their places, until the catalog has twice or half as many. A key for searching shows the map that there
    is. --limit is how many clusters are listed, those with most products first.
    """
    started = time.monotonic()
    files = _files(out, html, color_by)
    with opened_catalog(data, catalog) as opened:
        made, is_renewed = _made(opened, anew)
        for file, form in files:
            form(file, opened, color_by)
    if as_json:
        shown = {**made, "clusters": made["clusters"][:limit]}
        print_json({"catalog": catalog, **shown, "seconds": round(time.monotonic() - started, 3)})
    else:
        _show(catalog, made, limit)
    warn_not_current(
        f"lookalike map --catalog {catalog}",
        found_at=made["found_at"],
        stale=made["stale"],
        complete=True,
        refused=not is_renewed,
    )
    for file, _ in files:
        stderr().print(display(f"Wrote {file}"), soft_wrap=True)


def _made(catalog: AnyCatalog, anew: bool) -> tuple[Mapping[str, Any], bool]:
    """The map, and whether it could be brought up to date where the catalog has changed."""
    title = "Placing products"
    if anew:
        # Who wants a new layout is not content with the old one.
        with reported(title) as report:
            catalog.map.make(anew=True, report=report)
        return catalog.map.told(), True
    return brought_up_to_date(
        title,
        catalog.map.told,
        lambda report: catalog.map.make(report=report),
        is_current=lambda told: not told["stale"],
    )


def _files(out: Path | None, html: Path | None, color_by: str | None) -> list[tuple[Path, Form]]:
    """The files to be written, each with what writes it. Raises `InvalidInput` where a name says of what form it is,
    and that is none."""
    forms: dict[str, Form] = {".svg": _write_svg, ".html": _write_html, ".parquet": _write_table}
    if out and out.suffix.lower() not in forms:
        raise InvalidInput(f"The map {out} has no format that there is: end the name of --out in {', '.join(forms)}.")
    found = [(out, forms[out.suffix.lower()])] if out else []
    if html:
        found.append((html, _write_html))
    if color_by is not None and not any(form is not _write_table for _, form in found):
        raise InvalidInput(
            "--color-by colors a picture: a table has all indexed attributes."
            if found
            else "--color-by colors a picture: give --html or --out, too."
        )
    return found


def _write_svg(out: Path, catalog: AnyCatalog, color_by: str | None) -> None:
    shown = _picture(catalog, color_by)
    write(out, rendered("map.svg", **shown, is_alone=True), "map", "--out")


def _write_html(out: Path, catalog: AnyCatalog, color_by: str | None) -> None:
    shown = _picture(catalog, color_by)
    write(out, rendered("map.html", **shown, is_alone=False), "map", "--html")


def _picture(catalog: AnyCatalog, color_by: str | None) -> dict[str, Any]:
    standing = catalog.map.standing()
    column = None if color_by is None else catalog.map.column(color_by, standing.product_ids)
    with stderr().status("Fetching thumbnails"):
        shown = picture(standing, catalog.thumbnail, column)
    title = f"Map of {catalog.spec.name}"
    return shown | {"title": plain(title), "about": plain(about(catalog)), "by": plain(color_by or "")}


def _write_table(out: Path, catalog: AnyCatalog, _: str | None) -> None:
    from services.archive.table import write_table

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


def _show(catalog: str, made: Mapping[str, Any], limit: int) -> None:
    title = f"{catalog}: map of {made['products']} products, layout {made['version']}"
    named = [each for each in made["clusters"] if each["name"]]
    if not named:
        stdout().print(display(f"{title}, no clusters with a name"), soft_wrap=True)
        return
    table = Table(title=display(title), title_justify="left", title_style="bold")
    table.add_column("cluster", overflow="fold")
    table.add_column("products", justify="right")
    for each in named[:limit]:
        table.add_row(display(each["name"]), str(each["products"]))
    stdout().print(table)
    if len(named) > limit:
        stderr().print(f"{len(named) - limit} more: raise --limit.")
