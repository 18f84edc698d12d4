"""The differences of an evaluation with their intervals as a picture: a forest plot, in SVG."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import ceil, floor, log10
from typing import Any

from rich.cells import cell_len

from api.cli.figures import Pair, counted, difference, interval, name, pairs, percent, points
from api.cli.pages import plain, rendered
from services.catalog.evaluating import Evaluation
from services.explore.evaluation import JUDGED, METRICS
from services.explore.report import Figure, LabelReport

WIDTH = 760
LEFT, RIGHT = 210, 540
"""Between which the intervals are drawn."""
LINE = 22
"""Of text, like all lengths here in units of the picture."""
CELLS = 26
"""Widths of a character that the name of a row may have."""
TICKS = 6


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the plot: a mean and its interval, 0..1 or -1..1; one without is a heading."""

    name: str
    figure: Figure | None = None
    mark: str = "none"
    text: str = ""
    queries: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """Rows that share an axis."""

    title: str
    about: str
    rows: Sequence[Row]
    is_difference: bool


@dataclass(slots=True)
class _Drawing:
    """What the template draws, at its place."""

    texts: list[dict[str, Any]] = field(default_factory=list)
    ticks: list[dict[str, Any]] = field(default_factory=list)
    bars: list[dict[str, Any]] = field(default_factory=list)
    y: float = 8.0


def forest(found: Evaluation) -> str:
    """The plot of all labels and comparisons. The same evaluation gives the same bytes."""
    return drawn(f"Evaluation of {found['catalog']}", [each for label in found["labels"] for each in of(found, label)])


def of(found: Evaluation, label: LabelReport) -> list[Section]:
    """The sections of a label: its comparisons, or the figures of what is alone."""
    if not label["compared"]:
        rows = [
            Row(name(metric), label["figures"][0][metric], text=interval(label["figures"][0][metric]))
            for metric in METRICS
        ]
        return [Section(counted(found, label), "in percent, with 95% intervals", rows, False)]
    return [section(each) for each in pairs(found, label)]


def section(pair: Pair) -> Section:
    """The section of one comparison: by metric, then by value, what got worse first."""
    rows = []
    for metric in METRICS:
        apart = pair.compared["differences"][metric]
        rows.append(Row(name(metric), apart, apart["verdict"], difference(apart), str(pair.label["queries"])))
    rows.append(Row(f"{JUDGED} by value"))
    rows += [
        Row(each["value"], each, each["verdict"], difference(each), str(each["queries"]))
        for each in pair.compared["values"]
    ]
    title = f"{pair.label['label']}: {pair.other['name']} against {pair.live['name']}"
    return Section(title, "percentage points, with 95% intervals; right of 0 is better", rows, True)


def drawn(title: str, sections: Iterable[Section]) -> str:
    """The plot of these sections."""
    drawing = _Drawing()
    for each in sections:
        _draw(drawing, each)
    parts = {"texts": drawing.texts, "ticks": drawing.ticks, "bars": drawing.bars}
    return rendered("forest.svg", title=plain(title), width=WIDTH, height=round(drawing.y), **parts)


def _draw(drawing: _Drawing, section: Section) -> None:
    low, high, step = _axis([row.figure for row in section.rows if row.figure], section.is_difference)

    def x(value: float) -> float:
        return round(LEFT + (min(max(value, low), high) - low) / (high - low) * (RIGHT - LEFT), 1)

    _write(drawing, 0, section.title, "title", most=90)
    drawing.y += LINE
    _write(drawing, 0, section.about, "soft", most=90)
    queries = "queries" if section.is_difference else ""
    drawing.texts.append({"x": WIDTH, "y": drawing.y + 15, "kind": "soft end", "text": queries, "full": ""})
    drawing.y += LINE
    top = drawing.y
    for row in section.rows:
        _draw_row(drawing, row, x)
    for at in range(round(low / step), round(high / step) + 1):
        value = at * step
        text = points(value) if section.is_difference else percent(value)
        kind = "zero" if at == 0 and section.is_difference else "tick"
        text = "0" if at == 0 else text.removesuffix(".0")
        drawing.ticks.append({"x": x(value), "top": top, "bottom": drawing.y + 4, "text": text, "kind": kind})
    drawing.y += 2 * LINE + 14


def _draw_row(drawing: _Drawing, row: Row, x: Any) -> None:
    middle = drawing.y + LINE / 2
    if row.figure is None:
        drawing.y += LINE / 2
        _write(drawing, 0, row.name, "soft", most=CELLS)
    else:
        _write(drawing, 0, row.name, "name", most=CELLS)
        ends = {"low": x(row.figure["low"]), "high": x(row.figure["high"]), "mean": x(row.figure["mean"])}
        tips = {"left": round(ends["mean"] - 5, 1), "right": round(ends["mean"] + 5, 1), "top": middle - 6}
        drawing.bars.append({**ends, **tips, "y": middle, "kind": row.mark})
        drawing.texts.append({"x": RIGHT + 14, "y": drawing.y + 15, "kind": "figure", "text": row.text, "full": ""})
        drawing.texts.append({"x": WIDTH, "y": drawing.y + 15, "kind": "soft end", "text": row.queries, "full": ""})
    drawing.y += LINE


def _write(drawing: _Drawing, x: int, text: str, kind: str, *, most: int) -> None:
    """A text, cut where it is longer than so many cells; then a pointer on it shows it all."""
    whole = plain(text)
    cut = whole
    while cell_len(cut) > most:
        cut = cut[:-2].rstrip("…") + "…"
    full = whole if cut != whole else ""
    drawing.texts.append({"x": x, "y": drawing.y + 15, "kind": kind, "text": cut, "full": full})


def _axis(figures: Sequence[Figure], is_difference: bool) -> tuple[float, float, float]:
    """The ends of an axis and the distance of its ticks, which is 1, 2 or 5 times a power of ten."""
    low, high = 0.0, 1.0
    if is_difference:
        low = min(0.0, *(each["low"] for each in figures))
        high = max(0.0, *(each["high"] for each in figures))
    if high - low < 0.01:
        low, high = low - 0.005, high + 0.005
    raw = (high - low) / TICKS
    power = 10.0 ** floor(log10(raw))
    step = next(each * power for each in (1, 2, 5, 10) if each * power >= raw - 1e-12)
    return floor(low / step + 1e-9) * step, ceil(high / step - 1e-9) * step, step
