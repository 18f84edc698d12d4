"""`lookalike path`: products that lead from one look to another."""

from pathlib import Path

import click

from api.cli.answers import plain_answer, show_neighbors, show_rest
from api.cli.output import (
    catalog_option,
    command,
    data_option,
    filter_option,
    html_option,
    json_option,
    plain_warnings,
    print_json,
)
from api.cli.sheet import about, neighbor_card, term_card, write_rows
from api.cli.terms import asking, example_of, plain_operand
from api.cli.workspace import AnyCatalog, opened_catalog
from services.query.filters import parse
from services.query.terms import Example
from services.records import Answer


@click.command("path")
@click.argument("start", metavar="START")
@click.argument("end", metavar="END")
@click.option("--steps", metavar="K", type=int, default=6, show_default=True, help="Products between both, up to 50.")
@filter_option
@click.option(
    "--color-weight", metavar="W", type=float, help="Of tuned features: how much colors count, 0 to 10.  [default: 1]"
)
@html_option
@catalog_option
@data_option
@json_option
@command
def path_command(
    start: str,
    end: str,
    steps: int,
    filter_json: str | None,
    color_weight: float | None,
    html: Path | None,
    catalog: str,
    data: str | None,
    as_json: bool,
) -> None:
    """Find products that lead from one look to another.

    START and END are product IDs, or pictures: file:PATH. The steps are even, and no product comes twice.
    """
    filter = None if filter_json is None else parse(filter_json)
    with opened_catalog(data, catalog) as opened:
        ends = example_of(start, opened), example_of(end, opened)
        with asking(ends):
            answer = opened.path(*ends, steps, filter=filter, color_weight=color_weight)
        warnings = [] if answer.neighbors else opened.warnings(filter)
        if html:
            _write_sheet(html, opened, ends, answer)
        trained = opened.trained
    if as_json:
        asked = {"start": plain_operand(ends[0]), "end": plain_operand(ends[1])}
        print_json({**asked, **plain_answer(answer), **plain_warnings(warnings)})
        return
    show_neighbors(f"From {ends[0].written} to {ends[1].written}", answer.neighbors, good=answer.good)
    show_rest(answer.notes, warnings, trained=trained, html=html)


def _write_sheet(file: Path, catalog: AnyCatalog, ends: tuple[Example, Example], answer: Answer) -> None:
    first, last = (
        term_card(catalog, each, label) | {"is_end": True} for each, label in zip(ends, ("from", "to"), strict=True)
    )
    steps = [neighbor_card(catalog, each, label=str(number)) for number, each in enumerate(answer.neighbors, 1)]
    said = [about(catalog), *(note.message for note in answer.notes)]
    write_rows(file, f"From {ends[0].written} to {ends[1].written}", said, [{"line": [first, *steps, last]}])
