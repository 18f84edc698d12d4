"""What the bench of duplicates found as tables of docs/navigation.md."""

from collections.abc import Iterator, Mapping
from typing import Any

from navigation_tables import table

Result = Mapping[str, Any]


def duplicates_tables(result: Result) -> dict[str, str]:
    """By name; the figures are shares, with 95% intervals."""
    found = result["features"]
    kinds = [*next(iter(found.values()))["by_kind"]]
    return {
        "duplicates-found": f"{result['products']:,} products, percentile {result['percentile']:g}.\n\n"
        + table(
            ["features", "precision", "recall", *kinds, "variants taken for copies", "percentile of copies, lowest"],
            _found(found),
        ),
        "duplicates-percentiles": table(["percentile", *_sides(found)], _tried(found)),
    }


def _found(found: Result) -> Iterator[list[str]]:
    for features, each in found.items():
        shares = [f"{share:.2f}" for share in each["by_kind"].values()]
        lowest = f"{each['percentiles_of_copies'][0]:.2f}"
        yield [
            *(features, _figure(each["precision"]), _figure(each["recall"])),
            *(*shares, f"{each['variants_taken']:.2f}", lowest),
        ]


def _sides(found: Result) -> list[str]:
    return [f"{features}: {what}" for features in found for what in ("precision", "recall")]


def _tried(found: Result) -> Iterator[list[str]]:
    for percentile in next(iter(found.values()))["tried"]:
        tried = [each["tried"][percentile] for each in found.values()]
        yield [percentile, *(_figure(each[what]) for each in tried for what in ("precision", "recall"))]


def _figure(figure: Mapping[str, float] | None) -> str:
    return "none" if figure is None else f"{figure['mean']:.2f} [{figure['low']:.2f}, {figure['high']:.2f}]"
