"""Plots of the tables, as SVG: the same bytes for the same figures."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from tables import Line, Table

STYLE = {"svg.fonttype": "none", "svg.hashsalt": "lookalike", "font.family": "sans-serif", "font.size": 9}
GOOD, MISSED, PLAIN, MARK = "#2f7d6b", "#c4553b", "#8a93a0", "#1d2733"
WIDTH = 7.2
WIDE = 20.0
"""From this ratio of the largest figure to the smallest on, the axis is logarithmic."""


def plot_table(table: Table, path: Path) -> None:
    """A bar for each line, and a mark where it should reach, or should not pass."""
    lines = [line for line in table.lines if line.figure is not None]
    with mpl.rc_context(STYLE):
        figure, axes = _figure(len(lines), table.title)
        for row, line in enumerate(lines):
            _draw(axes, row, line)
        values = [value for line in lines for value in (line.figure, line.bar) if value]
        if values and max(values) / max(min(values), 1e-9) > WIDE:
            axes.set_xscale("log")
        axes.set_yticks(range(len(lines)), [line.what for line in lines])
        axes.margins(x=0.18)
        _save(figure, path)


def plot_costs(parts: Mapping[str, float], title: str, path: Path) -> None:
    """A bar for each part of a whole."""
    whole = sum(parts.values())
    with mpl.rc_context(STYLE):
        figure, axes = _figure(len(parts), title)
        for row, value in enumerate(parts.values()):
            axes.barh(row, value, color=PLAIN, height=0.6)
            axes.annotate(f"{value:.2f} ({value / whole:.0%})", (value, row), (4, 0), **_BESIDE)
        axes.set_yticks(range(len(parts)), [*parts])
        axes.margins(x=0.2)
        _save(figure, path)


def _figure(rows: int, title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, 0.9 + 0.3 * rows), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", color=MARK)
    axes.invert_yaxis()
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    return figure, axes


def _draw(axes: Axes, row: int, line: Line) -> None:
    assert line.figure is not None
    color = {True: GOOD, False: MISSED, None: PLAIN}[line.met]
    axes.barh(row, line.figure, color=color, height=0.6)
    if line.bar is not None:
        axes.plot([line.bar] * 2, [row - 0.42, row + 0.42], color=MARK, linewidth=1.6)
    end = max(line.figure, line.bar or 0)
    limit = "" if line.bar is None else f"  ({'≤' if line.at_most else '≥'} {line.bar:,})"
    axes.annotate(f"{line.figure:,}{line.unit}{limit}", (end, row), (5, 0), **_BESIDE)


_BESIDE = {"textcoords": "offset points", "va": "center", "color": MARK}


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, metadata={"Date": None})
