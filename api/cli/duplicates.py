"""`lookalike duplicates`: products with the same picture, or nearly, and what is decided about them."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import click
from click.core import ParameterSource
from rich.table import Table

from api.cli.duplicates_sheet import kind_of, write_duplicates
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
)
from api.cli.workspace import opened_catalog
from services.explore.decisions import DECISIONS, Decision
from services.explore.duplicate_groups import Group, Groups, told
from services.explore.kinds import Kind


@click.group("duplicates", invoke_without_command=True)
@click.option("--kind", type=click.Choice(get_args(Kind)), help="Only groups of this kind.")
@click.option(
    "--decision", type=click.Choice(DECISIONS), help="Groups of which this was decided.  [default: open ones]"
)
@click.option("--placeholder/--no-placeholder", default=None, help="Only placeholders, or none of them.")
@limit_option
@html_option
@catalog_option
@data_option
@json_option
@command
def duplicates_command(
    kind: Kind | None,
    decision: Decision | None,
    placeholder: bool | None,
    limit: int,
    html: Path | None,
    catalog: str,
    data: str | None,
    as_json: bool,
) -> None:
    """List products that have the same picture, or nearly, in groups.

    The first time, the whole catalog is looked through, and from then on what is new since; Ctrl-C stops that, and the
    next time it goes on from there. A key for searching shows what was found before. `same_bytes` are the same files,
    `same_picture` show the same, and of a `near_duplicate` one may be the other smaller, cropped, lit otherwise or with
    a border. One picture on ten products or more is called a placeholder.

    \b
      lookalike duplicates decide 5b86bb2ee533de1f remove --keep sku-1

    remembers what you decide about a group, which is listed no more then. It removes no product.
    """
    context = click.get_current_context()
    if context.invoked_subcommand:
        _check_no_options(context)
        return
    started = time.monotonic()
    with opened_catalog(data, catalog) as opened:
        _, is_looked = brought_up_to_date(
            "Looking at pictures",
            lambda: opened.duplicates.page(limit=1),
            opened.duplicates.look,
            is_current=lambda page: bool(page.complete) and not page.stale,
        )
        page = opened.duplicates.page(decision=decision, kind=kind, placeholder=placeholder, limit=limit)
        if html:
            write_duplicates(html, opened, page, decision)
    if as_json:
        print_json({"catalog": catalog, **_plain(page), "seconds": round(time.monotonic() - started, 3)})
    else:
        _show(catalog, page, decision)
    warn_not_current(
        f"lookalike duplicates --catalog {catalog}",
        found_at=page.found_at,
        stale=bool(page.stale),
        complete=page.complete is not False,
        refused=not is_looked,
    )
    if html:
        stderr().print(display(f"Wrote {html}"), soft_wrap=True)


@duplicates_command.command("decide")
@click.argument("group", metavar="GROUP")
@click.argument("decision", type=click.Choice(DECISIONS))
@click.option(
    "--keep",
    metavar="ID",
    multiple=True,
    help="With remove: a product that stays. May be repeated.  [default: suggested]",
)
@catalog_option
@data_option
@json_option
@command
def decide_command(
    group: str, decision: Decision, keep: tuple[str, ...], catalog: str, data: str | None, as_json: bool
) -> None:
    """Remember what is to become of GROUP.

    keep: all its products stay, though they are the same. remove: all but those of --keep are to go. distinct: they are
    not the same. The group is listed no more, until a product comes that is a duplicate of one of them.

    No product is removed: take those that it names out of where the catalog comes from, or the next feed brings them
    back; `lookalike remove` takes them out here.
    """
    with opened_catalog(data, catalog) as opened:
        found = opened.duplicates.decide(group, decision, keep)
    if as_json:
        print_json({"catalog": catalog, **told(found)})
        return
    line = f"{catalog}: decided {decision} about {found.products} products"
    if found.to_remove:
        line += f"; {', '.join(found.keep)} stays, and these are to go:"
    stdout().print(display(line), soft_wrap=True)
    for each in found.to_remove:
        stdout().print(display(f"  {each}"), soft_wrap=True)


@duplicates_command.command("undo")
@click.argument("group", metavar="GROUP")
@catalog_option
@data_option
@json_option
@command
def undo_command(group: str, catalog: str, data: str | None, as_json: bool) -> None:
    """Forget what was decided about GROUP."""
    with opened_catalog(data, catalog) as opened:
        opened.duplicates.undo(group)
    if as_json:
        print_json({"catalog": catalog, "id": group, "decision": None})
    else:
        stdout().print(display(f"{catalog}: nothing is decided about group {group} any more"), soft_wrap=True)


@duplicates_command.command("forget")
@catalog_option
@data_option
@json_option
@command
def forget_command(catalog: str, data: str | None, as_json: bool) -> None:
    """Forget all decisions where they have been lost.

    What was decided is a file of the catalog. Where that is gone or damaged, and there is no backup, duplicates are
    listed again after this, as if nothing had been decided. Decisions that are not lost are never forgotten by it.
    """
    with opened_catalog(data, catalog) as opened:
        opened.duplicates.forget_decisions()
    if as_json:
        print_json({"catalog": catalog})
    else:
        stdout().print(display(f"{catalog}: nothing is decided about duplicates"), soft_wrap=True)


def _check_no_options(context: click.Context) -> None:
    """Options before the name of a command would say nothing to it."""
    for parameter in context.command.params:
        if parameter.name and context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"Give options after {context.invoked_subcommand}, which they are for.", context)


def _plain(page: Groups) -> dict[str, Any]:
    return asdict(page) | {"groups": [told(each) for each in page.groups]}


def _show(catalog: str, page: Groups, decision: Decision | None) -> None:
    of = f"decided {decision}" if decision else "open"
    title = f"{catalog}: {page.total} groups of duplicates, {of}, of {page.products} products"
    if not page.groups:
        stdout().print(display(title), soft_wrap=True)
        return
    table = Table(title=display(title), title_justify="left", title_style="bold")
    table.add_column("group", no_wrap=True, min_width=16)
    table.add_column("kind")
    table.add_column("products", justify="right")
    table.add_column("keep", overflow="fold")
    table.add_column("why", overflow="fold")
    table.add_column("others", overflow="fold")
    for each in page.groups:
        cells = (each.id, kind_of(each), str(each.products), ", ".join(each.keep), each.why, _others(each))
        table.add_row(*map(display, cells))
    stdout().print(table)
    if page.next:
        stderr().print(f"{page.total - len(page.groups)} more: raise --limit.")


def _others(group: Group) -> str:
    others = [each.product_id for each in group.members if each.product_id not in group.keep]
    left = group.products - len(group.keep) - len(others[:5])
    return ", ".join(others[:5]) + (f" and {left} more" if left else "")
