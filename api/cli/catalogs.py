"""`lookalike catalogs` and `lookalike optimize`."""

import time
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from api.cli.output import catalog_option, command, data_option, display, json_option, print_json, stderr, stdout
from api.cli.workspace import AnyCatalog, opened_catalog, opened_catalogs
from services import settings


@click.command("catalogs")
@data_option
@json_option
@command
def catalogs_command(data: str | None, as_json: bool) -> None:
    """List the catalogs."""
    configured = settings.load(data=data)
    rows = []
    if configured.qdrant_url or configured.service_url or configured.data.exists():
        with opened_catalogs(configured) as catalogs:
            rows = [described(catalogs.get(spec.name)) for spec in catalogs.specs()]
    if as_json:
        print_json({"catalogs": rows})
        return
    table = Table()
    for column in ("catalog", "products", "encoder", "features", "weights", "resample"):
        table.add_column(column, overflow="fold")
    for row in rows:
        weights = display(Path(row["weights"]).name)
        table.add_row(row["name"], str(row["products"]), row["encoder"], row["features"], weights, row["resample"])
    nothing = display(f"No catalogs in {configured.data}: make one with `lookalike index FOLDER`.")
    stdout().print(table if rows else nothing)


@click.command("optimize")
@catalog_option
@data_option
@json_option
@command
def optimize_command(catalog: str, data: str | None, as_json: bool) -> None:
    """Build the search graph.

    It takes a while, and makes large catalogs answer faster. Searches and changes of a running service go on.
    """
    started = time.monotonic()
    with opened_catalog(data, catalog) as opened, stderr().status(display(f"Building the graph of {catalog}")):
        worked = opened.optimize()
        products = opened.count()
    seconds = round(time.monotonic() - started, 3)
    if as_json:
        print_json({"catalog": catalog, "products": products, "optimized": worked, "seconds": seconds})
    else:
        done = f"graph built in {seconds:.1f} s" if worked else "nothing to do"
        stdout().print(f"{catalog}: {products} products, {done}")


def described(catalog: AnyCatalog) -> dict[str, Any]:
    """A catalog as JSON."""
    spec = catalog.spec
    return {
        "name": spec.name,
        "products": catalog.count(),
        "encoder": spec.encoder,
        "weights": spec.weights,
        "resample": spec.resample,
        "features": spec.features,
        "quantization": spec.quantization,
        "dim": spec.dim,
        "fingerprint": spec.fingerprint,
        "trained": catalog.trained,
        "indexed_attributes": dict(spec.indexed_attributes),
        "created_at": spec.created_at,
    }
