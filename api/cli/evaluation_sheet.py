"""An evaluation as one HTML file: figures, plot, and the queries that got worse as pictures."""

from pathlib import Path
from typing import Any

from markupsafe import Markup

from api.cli import forest
from api.cli.figures import VERDICTS, Pair, counted, described, difference, interval, name, not_better, pairs
from api.cli.pages import data_uri, plain, rendered, write
from api.cli.workspace import AnyCatalog
from services.catalog.evaluating import Evaluation
from services.catalog.labels import values_at
from services.errors import ProductNotFound
from services.explore.evaluation import METRICS
from services.explore.report import LabelReport, ShownAnswer

QUERIES = 10
"""Queries of each comparison that are shown."""


def write_evaluation(file: Path, catalog: AnyCatalog, found: Evaluation) -> None:
    """Writes the file. Raises `InvalidInput` where it cannot be written."""
    pictures = _Pictures(catalog)
    page = rendered(
        "evaluation.html",
        title=plain(f"Is it better for {found['catalog']}?"),
        columns=[plain(described(each)) for each in found["columns"]],
        about=f"{found['products']} of {found['sample']} products have a label and all vectors.",
        labels=[_label(found, each, pictures) for each in found["labels"]],
    )
    write(file, page, "evaluation", "--html")


class _Pictures:
    """The pictures and labels of products, each asked for once."""

    def __init__(self, catalog: AnyCatalog) -> None:
        self._catalog = catalog
        self._uris: dict[str, str | None] = {}
        self._attributes: dict[str, Any] = {}

    def shown(self, product_id: str, label: str) -> dict[str, Any]:
        """A product: its ID, its picture where there is one, and its values."""
        if product_id not in self._uris:
            self._uris[product_id] = data_uri(lambda: self._catalog.thumbnail(product_id))
            try:
                self._attributes[product_id] = self._catalog.get(product_id).attributes
            except ProductNotFound:
                self._attributes[product_id] = {}
        values = sorted(values_at(self._attributes[product_id], label))
        return {"name": plain(product_id), "uri": self._uris[product_id], "label": plain(", ".join(values))}


def _label(found: Evaluation, label: LabelReport, pictures: _Pictures) -> dict[str, Any]:
    return {
        "title": plain(label["label"]),
        "about": plain(counted(found, label)),
        "alone": [(name(metric), interval(label["figures"][0][metric])) for metric in METRICS],
        "live": plain(found["columns"][0]["name"]),
        "pairs": [_pair(each, pictures) for each in pairs(found, label)],
    }


def _pair(pair: Pair, pictures: _Pictures) -> dict[str, Any]:
    label = pair.label["label"]
    figures = []
    for metric in METRICS:
        live, other, apart = pair.figures(metric)
        told = VERDICTS[apart["verdict"]]
        figures.append((name(metric), interval(live), interval(other), difference(apart), told, apart["verdict"]))
    worst = pair.compared["worst"][:QUERIES]
    return {
        "live": plain(pair.live["name"]),
        "other": plain(pair.other["name"]),
        "figures": figures,
        "sentences": [plain(each) for each in not_better(pair)],
        # Escaped by its own template.
        "plot": Markup(forest.drawn(f"{label}: differences", [forest.section(pair)])),
        "lost": pair.compared["lost"],
        "gained": pair.compared["gained"],
        "worst": [
            pictures.shown(each["product_id"], label)
            | {
                "drop": f"average precision {each['live_map']:.2f}, then {each['other_map']:.2f}",
                "rows": [
                    (plain(column["name"]), [_hit(one, label, pictures) for one in answers])
                    for column, answers in ((pair.live, each["live"]), (pair.other, each["other"]))
                ],
            }
            for each in worst
        ],
    }


def _hit(answer: ShownAnswer, label: str, pictures: _Pictures) -> dict[str, Any]:
    shown = pictures.shown(answer["product_id"], label)
    return shown | {"score": f"{answer['score']:.3f}", "relevant": answer["relevant"]}
