"""What the bench of the map found as a table of docs/navigation.md."""

from collections.abc import Iterator, Mapping
from typing import Any

from navigation_tables import table

Result = Mapping[str, Any]


def map_tables(result: Result) -> dict[str, str]:
    """By name."""
    nearest = result["nearest"]
    head = ["features", "products", f"trustworthiness@{nearest}", f"of the {nearest} nearest, kept"]
    return {"map": table([*head, "layout, processor s", "placing, processor s"], _rows(result))}


def _rows(result: Result) -> Iterator[list[str]]:
    for each in result["maps"]:
        trust = f"{each['trustworthiness']:.3f}" if "trustworthiness" in each else ""
        seconds = (f"{each[name]:.1f}" for name in ("layout_seconds", "placing_seconds"))
        yield [each["features"], f"{each['products']:,}", trust, f"{each['kept']:.2f}", *seconds]
