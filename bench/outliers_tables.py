"""What the bench of outliers found as a table of docs/navigation.md."""

from collections.abc import Iterator, Mapping
from typing import Any

from navigation_tables import table


def outliers_tables(result: Mapping[str, Any]) -> dict[str, str]:
    head = [
        "label",
        "features",
        "wrong label",
        "AUC",
        "by middles alone",
        "by 10 neighbors alone",
        "listed, of planted",
    ]
    return {"outliers": table(head, _rows(result))}


def _rows(result: Mapping[str, Any]) -> Iterator[list[str]]:
    for each in result["rows"]:
        figures = [f"{each['auc'][name][0]:.3f}" for name in ("outliers", "middles", "neighbors")]
        listed = f"{each['found']:.0%} of {each['planted']}, among {each['shown']:.0f}"
        yield [each["label"], each["features"], each["wrong"], *figures, listed]
