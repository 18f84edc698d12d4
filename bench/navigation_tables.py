"""What the bench of navigation found as tables of docs/navigation.md."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Result = Mapping[str, Any]
UNTRAINED = "inception_v3"
NAMES = {"plain": "plain neighbors", "filter": "a filter", "centered": "amount 1, were all centered"}
SHOWN = ("plain", "0.5", "0.7", "1.0", "1.4", "filter")


def navigation_tables(result: Result) -> dict[str, str]:
    """By name; the figures are shares, with 95% intervals."""
    kinds = [*_kinds(result)]
    return {
        "navigation-steps": table(
            ["to", "features", "from", "AUC", *(NAMES.get(each, f"amount {each}") for each in SHOWN)], _steps(kinds)
        ),
        "navigation-likes": table(["same category and", "features", "one", "5 likes", "5 and 5"], _likes(kinds)),
        "navigation-centered": table(["what", "stored as it is", "stored centered"], _centered(kinds)),
        "navigation-bands": table(
            ["percentile", *(f"{kind}: same category, and pattern" for kind, _ in kinds)], _bands(kinds)
        ),
        "navigation-strangers": table(["best answer to", *(kind for kind, _ in kinds)], _strangers(kinds)),
    }


def table(head: Sequence[str], rows: Iterator[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])


def _kinds(result: Result) -> Iterator[tuple[str, Result]]:
    """Features by the name that is shown."""
    for network, found in result["networks"].items():
        for name, figures in found["features"].items():
            yield f"{name}, InceptionV3 with random weights" if network == UNTRAINED else name, figures


def _steps(kinds: list[tuple[str, Result]]) -> Iterator[list[str]]:
    for kind, found in kinds:
        for each in found["steps"]:
            weight = f", color weight {each['color_weight']:g}" if each["color_weight"] != 1 else ""
            low, middle, high = each["auc"]
            figures = [_figure(each["figures"][name]) for name in SHOWN]
            yield [each["attribute"], kind + weight, each["from"], f"{middle:.2f} ({low:.2f} to {high:.2f})", *figures]


def _likes(kinds: list[tuple[str, Result]]) -> Iterator[list[str]]:
    for kind, found in kinds:
        for each in found["likes"]:
            yield [each["attribute"], kind, *(_figure(each["figures"][n]) for n in ("one", "5 likes", "5 and 5"))]


def _centered(kinds: list[tuple[str, Result]]) -> Iterator[list[str]]:
    """Only head features are stored without being centered."""
    for kind, found in kinds:
        if kind.startswith("head"):
            for each in found["steps"]:
                one, other = (_figure(each["figures"][name]) for name in ("1.0", "centered"))
                yield [f"{kind}: a step of amount 1 to a {each['attribute']}", one, other]
            for each in found["likes"]:
                one, other = (_figure(each["figures"][name]) for name in ("5 and 5", "5 and 5, centered"))
                yield [f"{kind}: 5 likes, 5 unlikes, {each['attribute']}", one, other]


def _bands(kinds: list[tuple[str, Result]]) -> Iterator[list[str]]:
    for rows in zip(*(found["bands"] for _, found in kinds), strict=True):
        shown = [f"{_share(row['category'])}, {_share(row['category_and_pattern'])}" for row in rows]
        yield [f"{100 * rows[0]['from']:g} to {100 * rows[0]['to']:g}", *shown]


def _strangers(kinds: list[tuple[str, Result]]) -> Iterator[list[str]]:
    for name in kinds[0][1]["strangers"]:
        every = [found["strangers"][name] for _, found in kinds]
        yield [name, *(f"{100 * middle:.1f} ({100 * low:.1f} to {100 * high:.1f})" for low, middle, high in every)]


def _figure(figure: Mapping[str, float]) -> str:
    return f"{figure['mean']:.2f} [{figure['low']:.2f}, {figure['high']:.2f}]"


def _share(share: float | None) -> str:
    return "none" if share is None else f"{share:.2f}"
