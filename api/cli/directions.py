"""`lookalike directions`: the named axes of meaning that a catalog has learned."""

import time
from pathlib import Path

import click
from rich.table import Table

from api.cli.output import (
    catalog_option,
    command,
    data_option,
    display,
    json_option,
    print_json,
    stderr,
    stdout,
)
from api.cli.workspace import opened_catalog
from services.catalog.definition import Definition, Side
from services.catalog.directions import is_weak, told
from services.descriptions import LearnedDirection
from services.errors import InvalidInput
from services.query.filters import parse, written

SHOWN_IDS = 10


@click.group("directions")
def directions_command() -> None:
    """Learn and list directions: named axes of meaning.

    A direction leads from one set of products to another one, such as from plain to floral. `query` goes along it, and
    `axis` orders products by it.
    """


@directions_command.command("list")
@catalog_option
@data_option
@json_option
@command
def list_command(catalog: str, data: str | None, as_json: bool) -> None:
    """List the directions of a catalog."""
    with opened_catalog(data, catalog) as opened:
        found = opened.directions.all()
    if as_json:
        print_json({"catalog": catalog, "directions": [told(each) for each in found]})
        return
    if not found:
        stdout().print(f"{catalog}: no directions; `lookalike directions learn` makes one.", soft_wrap=True)
        return
    table = Table(title=display(f"{catalog}: directions"), title_justify="left", title_style="bold")
    table.add_column("name", overflow="fold")
    for column in ("quality", "toward", "away", "categories", "color weight", "learned"):
        table.add_column(column, justify="right")
    for each in found:
        numbers = (each.positives, each.negatives, each.categories, f"{each.color_weight:g}", each.learned_at)
        table.add_row(*map(display, (each.name, _quality(each), *numbers)), style="yellow" if is_weak(each) else None)
    stdout().print(table)


@directions_command.command("learn")
@click.argument("name", metavar="NAME")
@click.option("--toward-filter", metavar="JSON", help="It leads to what matches, in Qdrant's form (docs/cli.md).")
@click.option(
    "--toward-ids",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="It leads to these products: a text file with an ID on each line, up to 1,000.",
)
@click.option("--away-filter", metavar="JSON", help="It leads away from what matches.  [default: all other products]")
@click.option("--away-ids", metavar="FILE", type=click.Path(path_type=Path), help="It leads away from these products.")
@click.option("--within", metavar="KEY", help="Compare products only within values of this attribute, e.g. category.")
@click.option(
    "--color-weight", metavar="W", type=float, help="Of tuned features: up to 10.  [default: the best of 1, 2 and 5]"
)
@click.option("--force", is_flag=True, help="Keep it although it is too weak to be of use.")
@catalog_option
@data_option
@json_option
@command
def learn_command(
    name: str,
    toward_filter: str | None,
    toward_ids: Path | None,
    away_filter: str | None,
    away_ids: Path | None,
    within: str | None,
    color_weight: float | None,
    force: bool,
    catalog: str,
    data: str | None,
    as_json: bool,
) -> None:
    """Learn direction NAME from two sets of products, at least 10 each.

    \b
      lookalike directions learn floral --within category \\
        --toward-filter '{"must": {"key": "pattern", "match": {"value": "floral"}}}'

    It takes the place of one of this name. Its quality says how often a product of one side is farther along it than
    one of the other side, of the same category: 0.5 is chance, below 0.85 it is weak, below 0.65 it is refused unless
    --force is given.
    """
    started = time.monotonic()
    toward = _side("toward", toward_filter, toward_ids)
    if toward is None:
        raise InvalidInput("Say what the direction leads to: give --toward-filter or --toward-ids.")
    away = _side("away", away_filter, away_ids)
    definition = Definition(toward, away, within, color_weight, force)
    with opened_catalog(data, catalog) as opened, stderr().status(display(f"Learning direction {name}")):
        learned = opened.directions.learn(name, definition)
    if as_json:
        print_json({"catalog": catalog, **told(learned), "seconds": round(time.monotonic() - started, 3)})
        return
    of = f"from {learned.positives} and {learned.negatives} products"
    of += f" in {learned.categories} categories" if within else ""
    stdout().print(display(f"{catalog}: learned direction {name} {of}, quality {_quality(learned)}"), soft_wrap=True)


@directions_command.command("show")
@click.argument("name", metavar="NAME")
@catalog_option
@data_option
@json_option
@command
def show_command(name: str, catalog: str, data: str | None, as_json: bool) -> None:
    """Show direction NAME, and what it is learned from."""
    with opened_catalog(data, catalog) as opened:
        found, definition = opened.directions.get(name)
    away = definition.away_from
    if as_json:
        sides = {"toward": definition.toward.json(), "away_from": away and away.json(), "within": definition.within}
        print_json({"catalog": catalog, **told(found), **sides})
        return
    for line in (
        f"{catalog}: direction {found.name}, quality {_quality(found)}",
        f"  toward {_shown(definition.toward)}: {found.positives} products",
        f"  away from {_shown(away) if away else 'all others'}: {found.negatives} products",
        *([f"  within {definition.within}: {found.categories} categories"] if definition.within else []),
        f"  color weight {found.color_weight:g}, learned {found.learned_at}",
    ):
        stdout().print(display(line), soft_wrap=True)


@directions_command.command("remove")
@click.argument("name", metavar="NAME")
@catalog_option
@data_option
@json_option
@command
def remove_command(name: str, catalog: str, data: str | None, as_json: bool) -> None:
    """Forget direction NAME."""
    with opened_catalog(data, catalog) as opened:
        opened.directions.remove(name)
    if as_json:
        print_json({"catalog": catalog, "direction": name, "removed": True})
    else:
        stdout().print(display(f"{catalog}: removed direction {name}"))


def _quality(found: LearnedDirection) -> str:
    return f"{found.quality:.2f}{' (weak)' if is_weak(found) else ''}"


def _side(name: str, filter: str | None, ids: Path | None) -> Side | None:
    if filter is not None and ids is not None:
        raise InvalidInput(f"--{name}-filter and --{name}-ids are two ways to say one thing: leave one out.")
    if filter is not None:
        return Side(parse(filter))
    return None if ids is None else Side(product_ids=_ids(ids, f"--{name}-ids"))


def _ids(file: Path, option: str) -> tuple[str, ...]:
    """Those of a file, each once. Raises `InvalidInput`."""
    try:
        lines = file.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise InvalidInput(f"The IDs in {file} cannot be read ({why}); give another {option}.") from error
    found = dict.fromkeys(line.removesuffix("\r") for line in lines)
    found.pop("", None)
    if not found:
        raise InvalidInput(f"{file} has no IDs; write one on each line, or give another {option}.")
    return tuple(found)


def _shown(side: Side) -> str:
    if side.filter is not None:
        return written(side.filter)
    first = ", ".join(side.product_ids[:SHOWN_IDS])
    return f"{first}, ..." if len(side.product_ids) > SHOWN_IDS else first
