"""The contact sheet: queries and their neighbors in one HTML file that needs no other."""

from pathlib import Path
from typing import Any

from api.cli.pages import data_uri, rendered, write
from api.cli.workspace import AnyCatalog
from services.catalog.comparing import Comparison
from services.images.files import read
from services.records import Neighbor

COMPARED = 20
"""Products of a comparison that are shown."""
FIRST = 8
"""Neighbors of each that are shown."""

Answer = tuple[dict[str, str], list[Neighbor]]
"""A query, {"product_id": ...} or {"image": path}, and what was found."""


def write_sheet(file: Path, catalog: AnyCatalog, answers: list[Answer]) -> None:
    """Writes the sheet. Raises `InvalidInput` where the file cannot be written."""
    _write(
        file,
        title=f"Lookalikes in {catalog.spec.name}",
        about=f"{catalog.count()} products, {catalog.spec.encoder} {catalog.spec.features}, "
        f"{'trained weights' if catalog.trained else 'RANDOM WEIGHTS, so neighbors mean nothing'}",
        rows=[_row(catalog, query, neighbors) for query, neighbors in answers],
    )


def write_comparison(file: Path, catalog: AnyCatalog, found: Comparison, other: str) -> None:
    """Writes what two generations find for the same products, one under the other, as a sheet; `other` is what the
    other one is called. Raises `InvalidInput` where the file cannot be written.
    """
    live = f"{catalog.spec.encoder} {catalog.spec.features}"
    rows = []
    for pair in found.pairs[:COMPARED]:
        for name, neighbors in ((live, pair.live), (other, pair.other)):
            row = _row(catalog, {"product_id": pair.product_id}, [*neighbors[:FIRST]])
            rows.append(row | {"name": f"{pair.product_id}: {name}"})
    shares = ", ".join(f"{share:.0%} of the first {rank}" for rank, share in found.common.items())
    _write(
        file,
        title=f"{live} and {other} in {catalog.spec.name}",
        about=f"Of {found.sample} products, both find {shares or 'nothing'}",
        rows=rows,
    )


def _write(file: Path, **shown: Any) -> None:
    write(file, rendered("sheet.html", **shown), "contact sheet", "--html")


def _row(catalog: AnyCatalog, query: dict[str, str], neighbors: list[Neighbor]) -> dict[str, Any]:
    if "product_id" in query:
        product = catalog.get(query["product_id"])
        shown = _shown(catalog, product.product_id, product.attributes)
    else:
        path = Path(query["image"])
        thumbnail = data_uri(lambda: catalog.thumbnail_of(read(path, catalog.max_image_bytes)))
        shown = {"name": path.name, "uri": thumbnail, "attributes": ""}
    hits = [_shown(catalog, each.product_id, each.attributes) | {"score": f"{each.score:.3f}"} for each in neighbors]
    return shown | {"neighbors": hits}


def _shown(catalog: AnyCatalog, product_id: str, attributes: Any) -> dict[str, Any]:
    text = ", ".join(str(value) for value in attributes.values())
    return {"name": product_id, "uri": data_uri(lambda: catalog.thumbnail(product_id)), "attributes": text}
