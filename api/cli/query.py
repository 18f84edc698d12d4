"""`lookalike query`: what is near several things at once, and away from others."""

from pathlib import Path
from typing import Any, TypedDict, Unpack

import click

from api.cli.answers import NO_GOOD_MATCH, plain_answer, shares, show_neighbors, show_rest
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
from api.cli.terms import asking, example_of, plain_operand, terms_of
from api.cli.workspace import AnyCatalog, opened_catalog
from services.query.filters import parse
from services.query.query import Query
from services.records import Answer


class Arranged(TypedDict):
    """The options that are fields of a `Query`."""

    exclude: tuple[str, ...]
    min_score: float | None
    min_percentile: float | None
    color_weight: float | None
    rerank: bool
    diversity: float
    group_by: str | None
    group_size: int
    limit: int
    explain: bool


@click.command("query")
@click.argument("text", metavar="[QUERY]...", nargs=-1)
@click.option("--like", "likes", metavar="ID", multiple=True, help="An example of what is wanted. May be repeated.")
@click.option("--unlike", "unlikes", metavar="ID", multiple=True, help="An example of what is not. May be repeated.")
@filter_option
@click.option("--exclude", metavar="ID", multiple=True, help="Not this product. May be repeated.")
@click.option("--min-score", metavar="S", type=float, help="Only from this cosine on, -1 to 1.")
@click.option("--min-percentile", metavar="P", type=float, help="Only from this percentile on, 0 to 100.")
@click.option(
    "--color-weight",
    metavar="W",
    type=float,
    help="Of tuned features: how much colors count, 0 to 10.  [default: the direction's, or 1]",
)
@click.option("--rerank", is_flag=True, help="Rank the first 50 again by what is near to each other, too.")
@click.option(
    "--diversity",
    metavar="D",
    type=float,
    default=0.0,
    show_default=True,
    help="How much answers differ from each other rather than be near, 0 to 1.",
)
@click.option("--group-by", metavar="KEY", help="One answer for each value of this attribute.")
@click.option("--group-size", metavar="N", type=int, default=1, show_default=True, help="Answers of a group, at most.")
@click.option(
    "-n", "--limit", metavar="N", type=int, default=10, show_default=True, help="Answers, or groups; up to 1000."
)
@click.option("--explain", is_flag=True, help="Show how much of each score is which term's.")
@html_option
@catalog_option
@data_option
@json_option
@command
def query_command(
    text: tuple[str, ...],
    likes: tuple[str, ...],
    unlikes: tuple[str, ...],
    filter_json: str | None,
    html: Path | None,
    catalog: str,
    data: str | None,
    as_json: bool,
    **arranged: Unpack[Arranged],
) -> None:
    """Find what is near several things, and away from others.

    \b
      lookalike query 'sneaker-12 - mug-3 + 0.5 direction:floral'
      lookalike query 'file:shoe.jpg' --unlike boot-3

    QUERY is a sum of terms: product IDs, direction:NAME and file:PATH, with + or - between them (white space on both
    sides) and perhaps a number before each. What has white space is written in double quotes: '"mug 3"'. The products
    that are named are no answers. Write -- before a QUERY that begins with -.

    --like and --unlike take IDs, or file:PATH.
    """
    with opened_catalog(data, catalog) as opened:
        query = Query(
            near=terms_of(" ".join(text), opened),
            like=tuple(example_of(each, opened) for each in likes),
            unlike=tuple(example_of(each, opened) for each in unlikes),
            filter=None if filter_json is None else parse(filter_json),
            **arranged,
        ).checked()
        with asking(query.operands):
            answer = opened.query(query)
        warnings = [] if answer.neighbors else opened.warnings(query.filter)
        if html:
            _write_sheet(html, opened, query, answer)
        trained = opened.trained
    if as_json:
        print_json({"query": _plain(query), **plain_answer(answer), **plain_warnings(warnings)})
        return
    show_neighbors(title(query), answer.neighbors, group=query.group_by or "", good=answer.good)
    show_rest(answer.notes, warnings, trained=trained, html=html)


def title(query: Query) -> str:
    """A query in words."""
    near = ""
    for term in query.near:
        sign = ("- " if term.weight < 0 else "+ ") if near or term.weight < 0 else ""
        number = "" if abs(term.weight) == 1 else f"{abs(term.weight):g} "
        near += f" {sign}{number}{term.operand.written}"
    parts = [near.strip()] if near else []
    for name, examples in (("like", query.like), ("unlike", query.unlike)):
        if examples:
            parts.append(f"{name} {', '.join(each.written for each in examples)}")
    return "; ".join(parts)


def _plain(query: Query) -> dict[str, Any]:
    asked: dict[str, Any] = {"near": [plain_operand(each.operand) | {"weight": each.weight} for each in query.near]}
    for name, examples in (("like", query.like), ("unlike", query.unlike)):
        asked[name] = [plain_operand(each) for each in examples]
    return {name: each for name, each in asked.items() if each}


def _write_sheet(file: Path, catalog: AnyCatalog, query: Query, answer: Answer) -> None:
    terms = [
        *(term_card(catalog, each.operand, f"{each.weight:+g}") for each in query.near),
        *(term_card(catalog, each, "like") for each in query.like),
        *(term_card(catalog, each, "unlike") for each in query.unlike),
    ]
    hits = []
    for each in answer.neighbors:
        hit = neighbor_card(catalog, each, label=each.group or "")
        hits.append(hit | {"lines": hit["lines"] + (shares(each.explanation) if each.explanation else [])})
    said = [about(catalog), *(note.message for note in answer.notes)]
    if answer.neighbors and answer.good == 0:
        said.append(NO_GOOD_MATCH)
    write_rows(file, title(query), said, [{"terms": terms, "hits": hits}])
