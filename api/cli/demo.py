"""`lookalike demo`: a catalog that the project draws itself."""

import itertools
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from api.cli.answers import show_neighbors
from api.cli.output import command, data_option, json_option, print_json, stderr, stdout
from api.cli.run import Run, index, report
from api.cli.sheet import write_sheet
from api.cli.workspace import AnyCatalog, AnyCatalogs, open_or_create, opened_catalogs, product_ids
from services import demo, settings
from services.descriptions import AttributeKind
from services.encoders.specs import DEFAULT_ENCODER
from services.errors import WeightsUnreachable
from services.feeds.source import Source
from services.images.processes import Children
from services.settings import Settings

if TYPE_CHECKING:
    from api.client.catalogs import RemoteCatalogs

CATALOG = "demo"
INDEXED = {
    "category": AttributeKind.KEYWORD,
    "color": AttributeKind.KEYWORD,
    "pattern": AttributeKind.KEYWORD,
    "price": AttributeKind.FLOAT,
}
INSTALLED = "efficientnet_lite0"
DOWNLOAD_SECONDS = 20.0
DRAW_SECONDS = 60.0
DRAW_MEMORY = 1 << 30
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
    with opened_catalogs(configured) as catalogs:
        catalog = _opened(catalogs)
        run = load(catalog)
        if run.interrupted:
            report(run, catalog, as_json=as_json)
            sys.exit(run.status)
        queries = _queries()
        answers = [({"product_id": each}, catalog.neighbors(each, limit=NEIGHBORS)) for each in queries]
        sheet = configured.data.absolute() / "demo.html"
        write_sheet(sheet, catalog, answers)
        if as_json:
            print_json(run.answer(catalog) | {"products": catalog.count(), "html": str(sheet)})
            sys.exit(run.status)
        _say_what_was_done(run, catalog)
    for query, neighbors in answers[:SHOWN_IN_TERMINAL]:
        show_neighbors(f"Like {query['product_id']}", neighbors)
    _say_what_next(sheet, queries[0], configured.data)
    sys.exit(run.status)


def load(catalog: AnyCatalog) -> Run:
    """Draws the products that the catalog lacks and puts them, behind a progress bar."""
    there = set(product_ids(catalog))
    lacking = {each.product_id: each for each in demo.products() if each.product_id not in there}
    catalog.declare(INDEXED)
    if not lacking:
        return Run([])
    found = [Source(each.product_id, Path(f"{each.product_id}.jpg"), each.attributes) for each in lacking.values()]
    with painters() as children:
        drawn = {product_id: children.submit(demo.draw, each) for product_id, each in lacking.items()}
        run = Run(found, image=lambda source: drawn.pop(source.product_id).result())
        index(run, catalog, title="Loading the demo catalog")
        return run


def painters() -> Children:
    """Child processes that draw, one for each processor."""
    # A child that imports the module with its first task would count that as left behind, and be replaced after it.
    modules = (demo.__name__, "PIL.JpegImagePlugin")
    return Children(len(os.sched_getaffinity(0)), timeout=DRAW_SECONDS, memory=DRAW_MEMORY, modules=modules)


def load_into(catalogs: "RemoteCatalogs", *, needs_key: bool) -> None:
    """Loads the demo catalog into a service, and says what can be asked then."""
    catalog = catalogs.get(CATALOG) if catalogs.find(CATALOG) else catalogs.open_or_create(CATALOG, encoder=INSTALLED)
    _say_what_was_done(load(catalog), catalog)
    key = '-H "Authorization: Bearer $LOOKALIKE_API_KEY" ' if needs_key else ""
    [product_id, *_] = _queries()
    stdout().print(
        "Try this in a second terminal, and read on at the page below:\n"
        f"  curl {key}'{catalogs.url}/v1/catalogs/{CATALOG}/products/{product_id}/neighbors?limit=3'\n"
        f"  {catalogs.url}/docs",
        soft_wrap=True,
    )


def _opened(catalogs: AnyCatalogs) -> AnyCatalog:
    """The demo catalog as it is, or a new one with the best encoder that can be had now."""
    note = stderr().print
    if catalogs.find(CATALOG):
        return catalogs.get(CATALOG)
    try:
        catalog = open_or_create(catalogs, CATALOG, encoder=DEFAULT_ENCODER)
    except WeightsUnreachable as error:
        note(f"Taking {INSTALLED}, trained on ImageNet: {error}", soft_wrap=True)
        return open_or_create(catalogs, CATALOG, encoder=INSTALLED)
    note(f"Taking {DEFAULT_ENCODER}: its ImageNet weights are at hand.")
    return catalog


def _queries() -> list[str]:
    """The first product of each category, six of them spread over the catalog."""
    products = sorted(demo.products(), key=lambda each: str(each.attributes["category"]))
    groups = itertools.groupby(products, key=lambda each: each.attributes["category"])
    firsts = [next(group).product_id for _, group in groups]
    return firsts[:: max(1, len(firsts) // 6)][:6]


def _say_what_was_done(run: Run, catalog: AnyCatalog) -> None:
    if run.failures:
        report(run, catalog, as_json=False)
    answer = run.answer(catalog)
    stdout().print(
        f"{CATALOG}: {catalog.count()} products, {answer['applied']} of them new, in {answer['seconds']:.1f} s "
        f"({answer['encoder']})"
    )


def _say_what_next(sheet: Path, product_id: str, data: Path) -> None:
    option = "" if data == Settings().data else f" --data {data}"
    stdout().print(
        f"Contact sheet: {sheet}\n"
        f"Next: lookalike search --product {product_id} --catalog {CATALOG}{option} --filter "
        """'{"must": [{"key": "color", "match": {"value": "blue"}}]}'""",
        markup=False,
        soft_wrap=True,
    )
