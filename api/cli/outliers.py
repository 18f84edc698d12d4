"""`lookalike outliers`: products that are unlike their own label, and products that nothing is alike."""

import time
from pathlib import Path

import click
from rich.table import Table

from api.cli.answers import described
from api.cli.findings import brought_up_to_date, warn_not_current
from api.cli.output import (
    catalog_option,
    command,
    data_option,
    display,
    html_option,
    json_option,
    limit_option,
    print_json,
    stderr,
    stdout,
    warn_untrained,
)
from api.cli.sheet import about, card_of, neighbor_card, write_rows
from api.cli.workspace import AnyCatalog, opened_catalog
from services.catalog.outliers import Outliers, ShownOutlier
from services.errors import InvalidInput, ProductNotFound

BESIDE = 5
"""Nearest products that a contact sheet shows beside each outlier."""


@click.command("outliers")
@click.option("--label", metavar="KEY", help="Products that are unlike their own value of this attribute.")
@click.option("--isolated", is_flag=True, help="Products that nothing in the catalog is alike.")
@click.option("--value", metavar="VALUE", help="Only products with this value of the label.")
@limit_option
@html_option
@catalog_option
@data_option
@json_option
@command
def outliers_command(
    label: str | None,
    isolated: bool,
    value: str | None,
    limit: int,
    html: Path | None,
    catalog: str,
    data: str | None,
    as_json: bool,
) -> None:
    """Find products that are unlike their own label, or isolated ones.

    \b
      lookalike outliers --label category --html outliers.html
      lookalike outliers --isolated

    A shoe filed under lamps comes first. What was found is kept; where the catalog has changed since, it is looked
    through anew. A key for searching shows what was found before. After Ctrl-C the search for isolated products goes on
    where it was.
    """
    if (label is None) is not isolated:
        raise InvalidInput("Say what is looked for: give either --label KEY or --isolated.")
    started = time.monotonic()
    with opened_catalog(data, catalog) as opened:
        found, is_looked = brought_up_to_date(
            "Looking at products",
            lambda: opened.outliers.page(label, value=value, limit=limit),
            lambda report: opened.outliers.look(label, report),
            is_current=lambda page: page["complete"] and not page["stale"],
        )
        if html:
            _write_sheet(html, opened, found)
        trained = opened.trained
    if as_json:
        print_json({"catalog": catalog, **found, "seconds": round(time.monotonic() - started, 3)})
    else:
        _show(catalog, found)
        if not trained:
            warn_untrained(stderr())
    warn_not_current(
        f"lookalike outliers {'--isolated' if label is None else f'--label {label}'} --catalog {catalog}",
        found_at=found["found_at"],
        stale=found["stale"],
        complete=found["complete"],
        refused=not is_looked,
    )
    if html:
        stderr().print(display(f"Wrote {html}"), soft_wrap=True)


def title(found: Outliers) -> str:
    """A list in words."""
    if found["label"] is None:
        return "Products that nothing is alike"
    return f"Products that are unlike their own {found['label']}"


def _show(catalog: str, found: Outliers) -> None:
    heading = f"{catalog}: {title(found)[0].lower()}{title(found)[1:]}, {found['found']} of {found['judged']}"
    if not found["outliers"]:
        stdout().print(display(f"{heading}: nothing to show."), soft_wrap=True)
    else:
        table = Table(title=display(heading), title_justify="left", title_style="bold")
        for column in ("product", *_COLUMNS[found["label"] is None], "attributes"):
            table.add_column(column, overflow="fold")
        for each in found["outliers"]:
            table.add_row(*map(display, (each["product_id"], *_cells(each), described(each["attributes"]))))
        stdout().print(table)
    for line in _left_out(found):
        stderr().print(display(line), soft_wrap=True)


_COLUMNS = (("label", "looks like", "score", "neighbors that disagree"), ("nearest", "score", "percentile"))


def _cells(each: ShownOutlier) -> tuple[str, ...]:
    if "nearest" in each:
        return each["nearest"], f"{each['score']:.3f}", f"{each['percentile']:.2f}"
    return each["label"], each["looks_like"], f"{each['score']:.1f}", _share(each["disagreeing"])


def _share(disagreeing: float | None) -> str:
    return "-" if disagreeing is None else f"{disagreeing:.0%}"


def _left_out(found: Outliers) -> list[str]:
    told = (
        (found["unlabeled"], f"without a value of {found['label']}"),
        (found["several_labels"], "with several values"),
        (found["rare_labels"], f"with values that fewer than 5 have ({', '.join(found['rare'])})"),
    )
    return [f"Not judged: {count} {'product' if count == 1 else 'products'} {why}." for count, why in told if count]


def _write_sheet(file: Path, catalog: AnyCatalog, found: Outliers) -> None:
    """Each outlier beside the products that it is nearest to."""
    rows = []
    for each in found["outliers"]:
        told = (
            f"nearest at percentile {each['percentile']:.2f}"
            if "nearest" in each
            else f"looks like {each['looks_like']}"
        )
        label = f"{found['label']}: {each['label']}" if "label" in each else ""
        shown = card_of(catalog, each["product_id"], each["attributes"], told, label=label)
        try:
            near = catalog.neighbors(each["product_id"], limit=BESIDE)
        except ProductNotFound:
            near = []  # it has gone just now
        rows.append({"terms": [shown], "hits": [neighbor_card(catalog, neighbor) for neighbor in near]})
    write_rows(file, title(found), [about(catalog), *_left_out(found)], rows)
