"""`lookalike search`: what looks like a picture or a product."""

from pathlib import Path

import click

from api.cli.answers import plain, show_neighbors
from api.cli.output import (
    catalog_option,
    command,
    data_option,
    display,
    filter_option,
    html_option,
    json_option,
    plain_warnings,
    print_json,
    stderr,
    warn,
)
from api.cli.sheet import write_sheet
from api.cli.workspace import AnyCatalog, opened_catalog, printable
from services.catalog.search import SearchOptions
from services.errors import ImageError, InvalidInput
from services.images.files import read
from services.query.filters import parse
from services.query.likeness import count_good
from services.records import Neighbor


@click.command("search")
@click.argument("image", metavar="[IMAGE]", required=False, type=click.Path(path_type=Path))
@click.option("--product", "product_id", metavar="ID", help="Look for what is like this product of the catalog.")
@click.option("-n", "--limit", metavar="N", type=int, default=10, show_default=True, help="How many, up to 1000.")
@filter_option
@click.option("--min-score", metavar="S", type=float, help="Only from this cosine on, -1 to 1.")
@click.option(
    "--color-weight", metavar="W", type=float, help="Of tuned features: how much colors count, 0 to 10.  [default: 1]"
)
@click.option("--rerank", is_flag=True, help="Rank the first 50 again by what is near to each other, too.")
@html_option
@catalog_option
@data_option
@json_option
@command
def search_command(
    image: Path | None,
    product_id: str | None,
    limit: int,
    filter_json: str | None,
    min_score: float | None,
    color_weight: float | None,
    rerank: bool,
    html: Path | None,
    catalog: str,
    data: str | None,
    as_json: bool,
) -> None:
    """Find what looks like a picture or a product.

    Give either IMAGE or --product ID.
    """
    if (image is None) == (product_id is None):
        raise InvalidInput("Give one of the two: a picture to look for, or --product ID.")
    options: SearchOptions = {
        "limit": limit,
        "min_score": min_score,
        "color_weight": color_weight,
        "rerank": rerank,
    }
    if filter_json is not None:
        options["filter"] = parse(filter_json)
    with opened_catalog(data, catalog) as opened:
        query, neighbors = _search(opened, image, product_id, options)
        warnings = [] if neighbors else opened.warnings(options.get("filter"))
        if html:
            write_sheet(html, opened, [(query, neighbors)])
        trained = opened.trained
    if as_json:
        found = [plain(each) for each in neighbors]
        print_json({"query": query, "neighbors": found, **plain_warnings(warnings)})
        return
    show_neighbors(f"Like {' '.join(query.values())}", neighbors, good=_good(neighbors))
    warn(warnings)
    if not trained:
        stderr().print("The catalog's weights are random: these neighbors mean nothing.", style="yellow")
    if html:
        stderr().print(display(f"Wrote {html}"), soft_wrap=True)


def _good(neighbors: list[Neighbor]) -> int | None:
    """How many are at least alike; None where that is not known, of an older service, too."""
    is_known = all(each.percentile is not None for each in neighbors)
    return count_good(neighbors) if is_known else None


def _search(
    catalog: AnyCatalog, image: Path | None, product_id: str | None, options: SearchOptions
) -> tuple[dict[str, str], list[Neighbor]]:
    if product_id is not None:
        return {"product_id": product_id}, catalog.neighbors(product_id, **options)
    assert image is not None, "checked by the command"
    data = read(image, catalog.max_image_bytes)
    try:
        with stderr().status("Loading the encoder"):
            return {"image": printable(image)}, catalog.search_image(data, **options)
    except ImageError as error:
        raise type(error)(f"{image}: {error}") from error
