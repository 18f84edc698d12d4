"""`lookalike show` and `lookalike remove`: the products of a catalog."""

import sys
from dataclasses import asdict

import click
from rich.table import Table

from api.cli.answers import described
from api.cli.output import (
    catalog_option,
    command,
    data_option,
    display,
    filter_option,
    json_option,
    plain_warnings,
    print_json,
    stdout,
    warn,
)
from api.cli.workspace import opened_catalog, opened_catalogs
from services import settings
from services.catalog.removal import checked_filter
from services.errors import InvalidInput
from services.query.filters import Filter, parse
from services.records import Product, State

EXAMPLES = 10
"""Products that a dry run names."""


@click.command("show")
@click.argument("product_id", metavar="[ID]", required=False)
@click.option("-n", "--limit", metavar="N", type=int, default=20, show_default=True, help="How many, up to 1000.")
@click.option("--after", metavar="CURSOR", help="Go on where the last answer's `next` says.")
@filter_option
@click.option(
    "--sort", metavar="KEY", help="By an attribute that is indexed as a number: price; -price for the largest first."
)
@catalog_option
@data_option
@json_option
@command
def show_command(
    product_id: str | None,
    limit: int,
    after: str | None,
    filter_json: str | None,
    sort: str | None,
    catalog: str,
    data: str | None,
    as_json: bool,
) -> None:
    """Show a product, or list all."""
    with opened_catalog(data, catalog) as opened:
        if product_id is not None:
            product = opened.get(product_id)
            if as_json:
                print_json(_told(product))
            else:
                _show([product], f"{catalog}: {product_id}")
            return
        filter = parse(filter_json) if filter_json is not None else None
        products, cursor = opened.scroll(after=after, limit=limit, filter=filter, sort=sort)
        count = opened.count(filter)
        warnings = [] if count else opened.warnings(filter)
    if as_json:
        listed = {"count": count, "products": [_told(each) for each in products], "next": cursor}
        print_json({"catalog": catalog, **listed, **plain_warnings(warnings)})
        return
    _show(products, f"{catalog}: {len(products)} of {count} products")
    warn(warnings)
    if cursor:
        stdout().print(f"Next: --after {cursor}")


@click.command("remove")
@click.argument("product_ids", metavar="[ID]...", nargs=-1)
@click.option("--filter", "filter_json", metavar="JSON", help="Remove what matches, in Qdrant's form (docs/cli.md).")
@click.option("--dry-run", is_flag=True, help="Only tell how many products --filter would remove, and some of them.")
@click.option("--all", "everything", is_flag=True, help="Remove the catalog itself.")
@click.option("--yes", is_flag=True, help="Do not ask before the catalog is removed.")
@catalog_option
@data_option
@json_option
@command
def remove_command(
    product_ids: tuple[str, ...],
    filter_json: str | None,
    dry_run: bool,
    everything: bool,
    yes: bool,
    catalog: str,
    data: str | None,
    as_json: bool,
) -> None:
    """Remove products by ID or by a filter, or with --all the catalog.

    The pictures in the data folder stay: other catalogs may show the same ones.
    """
    if [everything, bool(product_ids), filter_json is not None].count(True) != 1:
        raise InvalidInput("Name the products to remove, or give --filter, or --all to remove the catalog.")
    if dry_run and filter_json is None:
        raise InvalidInput("--dry-run takes --filter: it tells what that would remove.")
    if filter_json is not None:
        _remove_matching(checked_filter(parse(filter_json)), catalog, data, dry_run=dry_run, as_json=as_json)
        return
    if everything:
        _remove_catalog(catalog, data, yes=yes, as_json=as_json)
        return
    with opened_catalog(data, catalog) as opened:
        outcomes = opened.remove(product_ids)
    failures = [asdict(each) for each in outcomes if each.state is State.FAILED]
    if as_json:
        print_json({"catalog": catalog, "removed": len(outcomes) - len(failures), "failures": failures})
    else:
        for failure in failures:
            stdout().print(display(failure["message"]), style="red")
        stdout().print(f"{catalog}: removed {len(outcomes) - len(failures)} of {len(outcomes)}")
    sys.exit(bool(failures))


def _confirmed(name: str) -> bool:
    try:
        return click.confirm(f"Remove catalog {name} with all its vectors?", err=True)
    except click.Abort:
        if sys.stdin.isatty():
            raise  # Ctrl-C
        return False  # nobody is there to ask


def _remove_catalog(name: str, data: str | None, *, yes: bool, as_json: bool) -> None:
    with opened_catalogs(settings.load(data=data)) as catalogs:
        if catalogs.find(name) and not (yes or _confirmed(name)):
            raise InvalidInput(f"Catalog {name} was left as it is; confirm, or give --yes.")
        catalogs.remove(name)
    if as_json:
        print_json({"catalog": name, "removed": True})
    else:
        stdout().print(f"Removed catalog {name}")


def _remove_matching(filter: Filter, name: str, data: str | None, *, dry_run: bool, as_json: bool) -> None:
    with opened_catalog(data, name) as catalog:
        if dry_run:
            matching, _ = catalog.scroll(limit=EXAMPLES, filter=filter)
            examples, count = [product.product_id for product in matching], catalog.count(filter)
        else:
            removed = catalog.remove_matching(filter)
    if dry_run:
        if as_json:
            print_json({"catalog": name, "products": count, "examples": examples})
            return
        few = ", ".join(examples) + (", ..." if count > len(examples) else "")
        stdout().print(display(f"{name}: {count} would be removed{': ' if few else ''}{few}"))
        return
    if as_json:
        print_json({"catalog": name, **asdict(removed)})
    else:
        why = f", then it ended: {removed.not_removed}" if removed.not_removed else ""
        stdout().print(f"{name}: removed {removed.removed}{why}", style="red" if why else None)
    sys.exit(bool(removed.not_removed))


def _told(product: Product) -> dict[str, object]:
    """A product as the API tells it."""
    return {
        "product_id": product.product_id,
        "attributes": product.attributes,
        "image": product.image,
        "image_url": product.url,
        "version": product.version,
    }


def _show(products: list[Product], title: str) -> None:
    table = Table(title=display(title), title_justify="left", title_style="bold")
    for column in ("product", "attributes", "version", "image"):
        table.add_column(column, overflow="fold")
    for each in products:
        table.add_row(
            display(each.product_id), display(described(each.attributes)), str(each.version), (each.image or "-")[:12]
        )
    stdout().print(table)
