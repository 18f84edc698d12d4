"""`lookalike demo`: a catalog that the project draws itself."""

import itertools
import sys
import time
from pathlib import Path

import click

from api.cli.index import described, index, report
from api.cli.output import command, data_option, json_option, print_json, progress, stderr, stdout
from api.cli.search import show_neighbors
from api.cli.sheet import write_sheet
from services import bootstrap, demo, settings
from services.catalog import Catalog
from services.data import DataFolder
from services.errors import WeightsUnreachable
from services.settings import Settings
from services.sources import Source, attributes_table, sources

CATALOG = "demo"
DOWNLOAD_SECONDS = 20.0
NEIGHBORS = 6
SHOWN_IN_TERMINAL = 3


@click.command("demo")
@data_option
@json_option
@command
def demo_command(data: str | None, as_json: bool) -> None:
    """Draw a catalog, index it, show neighbors.

    The contact sheet is demo.html in the data folder.

    The encoder is InceptionV3 where its ImageNet weights are there or can be had within seconds, else
    efficientnet_lite0, whose trained weights are installed with Lookalike.
    """
    configured = settings.load(data=data, download_seconds=DOWNLOAD_SECONDS)
    with bootstrap.data_folder(configured) as folder:
        pictures = folder.path / "demo"
        _draw(pictures)
        started = time.monotonic()
        with _opened(folder, configured) as catalog:
            run = index(catalog, _sources(catalog, pictures), started)
            if run.interrupted:
                report(run, catalog, as_json=as_json)
                sys.exit(run.status)
            queries = _queries(catalog)
            answers = [({"product_id": each}, catalog.neighbors(each, limit=NEIGHBORS)) for each in queries]
            sheet = folder.path / "demo.html"
            write_sheet(sheet, catalog, answers)
            if as_json:
                print_json(run.answer(catalog) | {"pictures": str(pictures), "html": str(sheet)})
            else:
                report(run, catalog, as_json=False)
    if not as_json:
        for query, neighbors in answers[:SHOWN_IN_TERMINAL]:
            show_neighbors(f"Like {query['product_id']}", neighbors)
        _say_what_next(sheet, queries[0], configured.data)
    sys.exit(run.status)


def _draw(folder: Path) -> None:
    with progress() as bar:
        task = bar.add_task("Drawing the pictures", total=None)
        demo.write(folder, on_progress=lambda done, total: bar.update(task, completed=done, total=total))


def _opened(folder: DataFolder, configured: Settings) -> Catalog:
    """The demo catalog as it is, or a new one with the best encoder that can be had now."""
    note = stderr().print
    if folder.has_catalog(CATALOG):
        return bootstrap.open_catalog(folder, CATALOG, configured)
    try:
        catalog = bootstrap.open_catalog_with(folder, CATALOG, configured, encoder="inception_v3")
    except WeightsUnreachable as error:
        note(f"Taking efficientnet_lite0, trained on ImageNet: {error}", soft_wrap=True)
        return bootstrap.open_catalog_with(folder, CATALOG, configured, encoder="efficientnet_lite0")
    note("Taking inception_v3: its ImageNet weights are at hand.")
    return catalog


def _sources(catalog: Catalog, pictures: Path) -> list[Source]:
    file = pictures / "attributes.csv"
    table = attributes_table(file)
    catalog.declare(table.keys)
    return described(sources([pictures]), table, file)


def _queries(catalog: Catalog) -> list[str]:
    """The first product of each category, six of them spread over the catalog."""
    products = sorted(demo.products(), key=lambda each: str(each.attributes["category"]))
    groups = itertools.groupby(products, key=lambda each: each.attributes["category"])
    firsts = [next(group).product_id for _, group in groups]
    return firsts[:: max(1, len(firsts) // 6)][:6]


def _say_what_next(sheet: Path, product_id: str, data: Path) -> None:
    option = "" if data == Settings().data else f" --data {data}"
    stdout().print(
        f"Contact sheet: {sheet}\n"
        f"Next: lookalike search --product {product_id} --catalog {CATALOG}{option} --filter "
        """'{"must": [{"key": "color", "match": {"value": "blue"}}]}'""",
        markup=False,
        soft_wrap=True,
    )
