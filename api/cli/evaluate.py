"""`lookalike evaluate`: how well a catalog's generations, or a recipe, find what shares a label."""

import time
from pathlib import Path
from typing import Any, get_args

import click

from api.cli.evaluation_sheet import write_evaluation
from api.cli.figures import show
from api.cli.forest import forest
from api.cli.output import (
    catalog_option,
    command,
    data_option,
    display,
    features_option,
    json_option,
    print_json,
    reported,
    stderr,
    weights_option,
)
from api.cli.pages import write
from api.cli.workspace import AnyCatalogs, opened_catalogs
from services import settings
from services.catalog.catalogs import Catalogs
from services.catalog.evaluating import Evaluating, Evaluation, Watch
from services.catalog.question import MAX_SAMPLE, MIN_SAMPLE, SAMPLE, Question
from services.descriptions import Features, Resample
from services.encoders.specs import checked_spec


@click.command("evaluate")
@click.option(
    "--label",
    "labels",
    metavar="KEY",
    multiple=True,
    required=True,
    help="Attribute whose values say what is alike, such as category or size.width. May be repeated.",
)
@click.option("--group", metavar="KEY", help="Attribute that variants of one product share.")
@click.option(
    "--generation",
    "generations",
    metavar="ID",
    multiple=True,
    help="Compare it with the live one. May be repeated.  [default: the next one, or the only other one]",
)
@click.option("--encoder", metavar="NAME", help="Encode the sample with a network of docs/models.md.")
@weights_option
@click.option("--resample", type=click.Choice(get_args(Resample)), help="Encode the sample, resized so.")
@features_option
@click.option(
    "--sample",
    metavar="N",
    type=click.IntRange(MIN_SAMPLE, MAX_SAMPLE),
    default=SAMPLE,
    show_default=True,
    help="Products that are looked at, at most.",
)
@click.option("--svg", metavar="FILE", type=click.Path(path_type=Path), help="Write the differences as a plot.")
@click.option(
    "--html",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write figures, plot and the queries that got worse as pictures.",
)
@catalog_option
@data_option
@json_option
@command
def evaluate_command(
    labels: tuple[str, ...],
    group: str | None,
    generations: tuple[str, ...],
    encoder: str | None,
    weights: str | None,
    resample: Resample | None,
    features: Features | None,
    sample: int,
    svg: Path | None,
    html: Path | None,
    catalog: str,
    data: str | None,
    as_json: bool,
) -> None:
    """Say whether another generation is better for a catalog.

    Each product of a sample is asked for all others, and what shares a value of the label is right: 1-NN, precision and
    mean average precision, with 95% intervals, and differences to the live generation, query by query.

    With --encoder, --weights, --resample or --features the sample is encoded as no generation is, and nothing is
    stored.
    """
    started = time.monotonic()
    weights = checked_spec(weights) if weights else None
    given = {"encoder": encoder, "weights": weights, "resample": resample, "features": features}
    recipe = {name: value for name, value in given.items() if value is not None}
    question = Question(labels, group, generations, recipe or None, sample).checked()
    with opened_catalogs(settings.load(data=data), create=False) as catalogs:
        with reported("Looking at products", question.sample) as watch:
            found = _evaluated(catalogs, catalog, question, watch)
        if svg:
            write(svg, forest(found), "plot", "--svg")
        if html:
            write_evaluation(html, catalogs.get(catalog), found)
    for file in (svg, html):
        if file:
            stderr().print(display(f"Wrote {file}"), soft_wrap=True)
    if as_json:
        answer: dict[str, Any] = {**found, "seconds": round(time.monotonic() - started, 3)}
        print_json(answer)
    else:
        show(found)


def _evaluated(catalogs: AnyCatalogs, catalog: str, question: Question, watch: Watch) -> Evaluation:
    if isinstance(catalogs, Catalogs):
        return Evaluating(catalogs, catalog, question).evaluate(watch)
    return catalogs.evaluate(catalog, question, watch)
