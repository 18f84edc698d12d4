"""The contact sheet: what was asked and what was found, in one HTML file that needs no other."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from api.cli.answers import word
from api.cli.pages import data_uri, plain, rendered, write
from api.cli.workspace import AnyCatalog
from services.catalog.comparing import Comparison
from services.errors import ProductNotFound
from services.images.files import read
from services.query.terms import DirectionTerm, ImageTerm, Operand, ProductTerm
from services.records import Attributes, Neighbor

COMPARED = 20
"""Products of a comparison that are shown."""
FIRST = 8
"""Neighbors of each that are shown."""

Answer = tuple[dict[str, str], list[Neighbor]]
"""A query, {"product_id": ...} or {"image": path}, and what was found."""

Card = dict[str, Any]
"""A picture and what stands under it."""


def write_sheet(file: Path, catalog: AnyCatalog, answers: list[Answer]) -> None:
    """Writes queries, each with its neighbors. Raises `InvalidInput` where the file cannot be written."""
    rows = [_row(catalog, query, neighbors) for query, neighbors in answers]
    write_rows(file, f"Lookalikes in {catalog.spec.name}", [about(catalog)], rows)


def write_comparison(file: Path, catalog: AnyCatalog, found: Comparison, other: str) -> None:
    """Writes what two generations find for the same products, one under the other, as a sheet; `other` is what the
    other one is called. Raises `InvalidInput` where the file cannot be written.
    """
    live = f"{catalog.spec.encoder} {catalog.spec.features}"
    rows = []
    for pair in found.pairs[:COMPARED]:
        for name, neighbors in ((live, pair.live), (other, pair.other)):
            row = _row(catalog, {"product_id": pair.product_id}, [*neighbors[:FIRST]])
            row["terms"][0]["name"] = plain(f"{pair.product_id}: {name}")
            rows.append(row)
    shares = ", ".join(f"{share:.0%} of the first {rank}" for rank, share in found.common.items())
    said = f"Of {found.sample} products, both find {shares or 'nothing'}"
    write_rows(file, f"{live} and {other} in {catalog.spec.name}", [said], rows)


def write_rows(file: Path, title: str, said: Iterable[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes rows of cards: `terms` beside `hits`, or one `line` of cards in order. `said` stands below the title.
    Raises `InvalidInput` where the file cannot be written."""
    page = rendered("sheet.html", title=plain(title), said=[plain(each) for each in said], rows=rows)
    write(file, page, "contact sheet", "--html")


def about(catalog: AnyCatalog) -> str:
    """What the vectors of a catalog are, in a sentence."""
    weights = "trained weights" if catalog.trained else "RANDOM WEIGHTS, so neighbors mean nothing"
    return f"{catalog.count()} products, {catalog.spec.encoder} {catalog.spec.features}, {weights}"


def card(name: str, uri: str | None, *told: str, label: str = "", instead: str = "no image") -> Card:
    """A picture with its name; `told` are lines below, `label` is above, and `instead` where there is no picture."""
    lines = [plain(each) for each in told if each]
    return {"name": plain(name), "uri": uri, "lines": lines, "label": plain(label), "instead": instead, "is_end": False}


def neighbor_card(catalog: AnyCatalog, found: Neighbor, *told: str, label: str = "") -> Card:
    """A product that was found: its percentile, or its score where that is not known, and its attributes."""
    if not told:
        told = (f"score {found.score:.3f}" if found.percentile is None else f"percentile {found.percentile:.2f}",)
        told += (word(found),)
    return card_of(catalog, found.product_id, found.attributes, *told, label=label)


def term_card(catalog: AnyCatalog, term: Operand, label: str = "") -> Card:
    """A term of a query. A picture that cannot be shown, or a product that has gone, keeps its name."""
    match term:
        case ProductTerm():
            try:
                attributes = catalog.get(term.product_id).attributes
            except ProductNotFound:
                attributes = {}
            return card_of(catalog, term.product_id, attributes, label=label)
        case DirectionTerm():
            return card(term.name, None, label=label, instead="direction")
        case ImageTerm():
            thumbnail = data_uri(lambda: catalog.thumbnail_of(term.image))
            return card(Path(term.name).name, thumbnail, label=label)
        case _:
            return card(term.name, None, label=label, instead="vector")


def _row(catalog: AnyCatalog, query: dict[str, str], neighbors: list[Neighbor]) -> dict[str, Any]:
    asked: Operand
    if "product_id" in query:
        asked = ProductTerm(query["product_id"])
    else:
        path = Path(query["image"])
        asked = ImageTerm(read(path, catalog.max_image_bytes), query["image"])
    return {"terms": [term_card(catalog, asked)], "hits": [neighbor_card(catalog, each) for each in neighbors]}


def card_of(catalog: AnyCatalog, product_id: str, attributes: Attributes, *told: str, label: str = "") -> Card:
    """A product of the catalog: its picture, where there is one, and its attributes."""
    values = ", ".join(str(value) for value in attributes.values())
    return card(product_id, data_uri(lambda: catalog.thumbnail(product_id)), *told, values, label=label)
