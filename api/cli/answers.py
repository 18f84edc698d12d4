"""What queries found, as commands print it."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from api.cli.output import display, stderr, stdout, warn, warn_untrained
from services.records import Answer, Attributes, Explanation, FilterWarning, Neighbor, Note

NO_GOOD_MATCH = "No good match: none of these is alike."


def described(attributes: Attributes) -> str:
    """Attributes on one line."""
    return ", ".join(f"{key} {value}" for key, value in attributes.items())


def word(found: Neighbor) -> str:
    """How alike a product is, in words; empty where that is not known."""
    return (found.likeness or "").replace("_", " ")


def shares(found: Explanation) -> list[str]:
    """How much each term adds to a score, a line for each, and what is in common."""
    lines = [f"{each.share:+.3f} {'' if each.role == 'near' else each.role + ' '}{each.term}" for each in found.terms]
    return [*lines, *([f"in common: {described(found.in_common)}"] if found.in_common else [])]


def plain(found: Neighbor) -> dict[str, Any]:
    """A product of an answer as a part of a JSON object, as the API has it."""
    told: dict[str, Any] = {
        "product_id": found.product_id,
        "score": round(found.score, 6),
        "percentile": found.percentile,
        "likeness": found.likeness,
        "attributes": dict(found.attributes),
    }
    if found.group is not None:
        told["group"] = found.group
    if found.explanation is not None:
        terms = [asdict(each) | {"share": round(each.share, 6)} for each in found.explanation.terms]
        told["explanation"] = {"terms": terms, "in_common": dict(found.explanation.in_common)}
    return told


def plain_answer(answer: Answer) -> dict[str, Any]:
    """A whole answer, likewise."""
    return {
        "neighbors": [plain(each) for each in answer.neighbors],
        "good": answer.good,
        "color_weight": answer.color_weight,
        **plain_notes(answer.notes),
    }


def plain_notes(notes: Iterable[Note]) -> dict[str, Any]:
    """Notes, likewise: left out where there are none."""
    found = [asdict(each) for each in notes]
    return {"notes": found} if found else {}


def show_rest(notes: Iterable[Note], warnings: Sequence[FilterWarning], *, trained: bool, html: Path | None) -> None:
    """Says what is to be known of an answer, once it is shown: its notes, what may be wrong with its filter, that it is
    of random weights, and where its contact sheet is."""
    for each in notes:
        stderr().print(display(each.message), style="yellow", soft_wrap=True)
    warn(warnings)
    if not trained:
        warn_untrained(stderr())
    if html:
        stderr().print(display(f"Wrote {html}"), soft_wrap=True)


def show_neighbors(title: str, neighbors: Sequence[Neighbor], group: str = "", good: int | None = None) -> None:
    """A table of neighbors, best first, without columns of which nothing is known.

    Args:
        title: What was asked.
        neighbors: What was found.
        group: The key that they are grouped by; empty: they are not.
        good: How many of them are at least alike; None: not known.
    """
    if not neighbors:
        stdout().print(display(f"{title}: nothing found."))
        return
    table = Table(title=display(title), title_justify="left", title_style="bold")
    columns = _columns(neighbors, group)
    for name in columns:
        table.add_column(name, justify="right" if name in ("score", "percentile") else "left", overflow="fold")
    for row in zip(*columns.values(), strict=True):
        table.add_row(*(Text("\n").join(display(line) for line in cell) for cell in row))
    stdout().print(table)
    if good == 0:
        stdout().print(NO_GOOD_MATCH, style="yellow")


def _columns(neighbors: Sequence[Neighbor], group: str) -> dict[str, list[list[str]]]:
    """The cells of a table by column, each of some lines."""
    columns = {
        "score": [[f"{each.score:.3f}"] for each in neighbors],
        "percentile": [[] if each.percentile is None else [f"{each.percentile:.2f}"] for each in neighbors],
        "likeness": [[word(each)] if each.likeness else [] for each in neighbors],
        f"group: {group}": [[each.group] if each.group else [] for each in neighbors],
        "product": [[each.product_id] for each in neighbors],
        "shares": [shares(each.explanation) if each.explanation else [] for each in neighbors],
        "attributes": [[described(each.attributes)] for each in neighbors],
    }
    return {name: cells for name, cells in columns.items() if any(cells) or name in ("product", "attributes")}
