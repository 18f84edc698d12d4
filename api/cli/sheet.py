"""The contact sheet: queries and their neighbors in one HTML file that needs no other."""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

from api.cli.workspace import AnyCatalog
from services.errors import ImageError, InvalidInput, MediaNotFound
from services.images.files import read
from services.records import Neighbor

Answer = tuple[dict[str, str], list[Neighbor]]
"""A query, {"product_id": ...} or {"image": path}, and what was found."""


def write_sheet(file: Path, catalog: AnyCatalog, answers: list[Answer]) -> None:
    """Writes the sheet. Raises `InvalidInput` where the file cannot be written."""
    from jinja2 import Environment, PackageLoader

    template = Environment(loader=PackageLoader("api.cli", ""), autoescape=True).get_template("sheet.html")
    html = template.render(
        title=f"Lookalikes in {catalog.spec.name}",
        about=f"{catalog.count()} products, {catalog.spec.encoder}, "
        f"{'trained weights' if catalog.trained else 'RANDOM WEIGHTS, so neighbors mean nothing'}",
        rows=[_row(catalog, query, neighbors) for query, neighbors in answers],
    )
    try:
        file.write_text(html, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(
            f"The contact sheet {file} cannot be written ({error.strerror}); give another --html."
        ) from error


def _row(catalog: AnyCatalog, query: dict[str, str], neighbors: list[Neighbor]) -> dict[str, Any]:
    if "product_id" in query:
        product = catalog.get(query["product_id"])
        shown = _shown(catalog, product.product_id, product.attributes)
    else:
        path = Path(query["image"])
        thumbnail = _uri(lambda: catalog.thumbnail_of(read(path, catalog.max_image_bytes)))
        shown = {"name": path.name, "uri": thumbnail, "attributes": ""}
    hits = [_shown(catalog, each.product_id, each.attributes) | {"score": f"{each.score:.3f}"} for each in neighbors]
    return shown | {"neighbors": hits}


def _shown(catalog: AnyCatalog, product_id: str, attributes: Any) -> dict[str, Any]:
    text = ", ".join(str(value) for value in attributes.values())
    return {"name": product_id, "uri": _uri(lambda: catalog.thumbnail(product_id)), "attributes": text}


def _uri(thumbnail: Callable[[], bytes]) -> str | None:
    """The picture as a data URI; None where its original was not kept."""
    try:
        return "data:image/webp;base64," + base64.b64encode(thumbnail()).decode()
    except (MediaNotFound, ImageError):
        return None
