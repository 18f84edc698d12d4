"""The map of a catalog as a drawing: thumbnails where there is room, dots for all others, the names of clusters."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import hypot
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.cells import cell_len

from api.cli.map_colors import NO_COLOR, Key, key_of
from api.cli.pages import data_uri, plain
from services.catalog.map import Standing
from services.catalog.map_columns import Column
from services.explore.regions import Region

WIDTH, TALLEST = 1600, 2000
"""Of the drawing. All lengths here are in its units."""
EDGE, ASIDE = 128, 64
"""Around the places of products, which thumbnails may leave; and left of text."""
THUMBNAIL = 40
"""The side of a thumbnail."""
GAP = 3
REACH = 2.3
"""How far from where its product stands a thumbnail may be, in cells of a grid; each has one to itself."""
BUDGET = 6_000_000
"""Bytes that all thumbnails together may take in the file."""
NAMES = 30
"""Clusters that are named."""
HEAD, ROW = 96, 34
"""Heights of the title and of a row of the legend, of a drawing that stands alone."""
_TEXT, _CHARACTER = 20, 11.4
"""The height of a name, and the width of one of its characters."""

Places = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle around a middle."""

    x: float
    y: float
    width: float
    height: float

    def meets(self, other: "Box") -> bool:
        return (
            abs(self.x - other.x) * 2 < self.width + other.width
            and abs(self.y - other.y) * 2 < self.height + other.height
        )


@dataclass(slots=True)
class _Drawing:
    thumbnails: list[dict[str, Any]] = field(default_factory=list)
    names: list[dict[str, Any]] = field(default_factory=list)
    dots: list[dict[str, Any]] = field(default_factory=list)


def picture(standing: Standing, thumbnail: Callable[[str], bytes], column: Column | None) -> dict[str, Any]:
    """What the templates draw.

    Args:
        standing: The map.
        thumbnail: That of a product, as WebP.
        column: What its products have for the attribute that they are colored by; None: all have one color.
    """
    places, height = _scaled(standing)
    key = key_of(column) if column else Key([], ["" for _ in standing.product_ids])
    drawing = _Drawing()
    is_shown = _draw_thumbnails(drawing, standing, places, thumbnail, key)
    _draw_dots(drawing, places[~is_shown], [key.colors[row] for row in np.flatnonzero(~is_shown)], len(places))
    _draw_names(drawing, standing, places)
    legend, legend_height = _legend(key)
    return {
        "width": WIDTH,
        "height": round(height),
        "head": HEAD,
        "legend_height": legend_height,
        "thumbnails": drawing.thumbnails,
        "dots": drawing.dots,
        "names": drawing.names,
        "legend": legend,
        "side": THUMBNAIL,
        "aside": ASIDE,
        "all": len(places),
        "shown": int(is_shown.sum()),
    }


def _scaled(standing: Standing) -> tuple[Places, float]:
    """The places of products in the drawing, y downward, and its height. Both axes have the same scale."""
    points = standing.points.astype(np.float64)
    low, high = points.min(axis=0), points.max(axis=0)
    inner = WIDTH - 2 * EDGE
    span = np.maximum(high - low, 1)
    scale = min(inner / span[0], (TALLEST - 2 * EDGE) / span[1])
    height = max(span[1] * scale, 4 * THUMBNAIL) + 2 * EDGE
    middle = np.array([WIDTH, height]) / 2
    return (points - (low + high) / 2) * scale + middle, height


def _draw_thumbnails(
    drawing: _Drawing, standing: Standing, places: Places, thumbnail: Callable[[str], bytes], key: Key
) -> npt.NDArray[np.bool_]:
    """Thumbnails, each in a cell of its own, in the order of products, which is a random one; returns whose were
    drawn. Their places become those cells."""
    is_shown = np.zeros(len(places), np.bool_)
    left = BUDGET
    for row, x, y in _cells(places):
        product_id = standing.product_ids[row]
        uri = data_uri(partial(thumbnail, product_id))
        if uri is None:
            continue
        left -= len(uri)
        if left < 0:
            break
        is_shown[row], places[row] = True, (x, y)
        place = {"x": round(x - THUMBNAIL / 2, 1), "y": round(y - THUMBNAIL / 2, 1)}
        drawing.thumbnails.append({**place, "uri": uri, "name": plain(product_id), "color": key.colors[row]})
    return is_shown


def _cells(places: Places) -> Iterator[tuple[int, float, float]]:
    """Products with the middle of the cell that each has: its own, or the nearest that is free; those who find none are
    left out."""
    side, reach = THUMBNAIL + GAP, int(REACH) + 1
    shifts = [(dx, dy) for dx in range(-reach, reach + 1) for dy in range(-reach, reach + 1)]
    taken: set[tuple[int, int]] = set()
    for row, (x, y) in enumerate((places / side).tolist()):
        column, line = int(x), int(y)
        near = sorted((hypot(column + dx + 0.5 - x, line + dy + 0.5 - y), column + dx, line + dy) for dx, dy in shifts)
        for apart, *cell in near:
            if apart > REACH:
                break
            if (found := (cell[0], cell[1])) not in taken:
                taken.add(found)
                yield row, (found[0] + 0.5) * side, (found[1] + 0.5) * side
                break


def _draw_dots(drawing: _Drawing, places: Places, colors: Sequence[str], count: int) -> None:
    """Dots as one path for each color: tens of thousands of them stay small."""
    width = 9.0 if count <= 1000 else 7.0 if count <= 5000 else 4.5 if count <= 20_000 else 3.0
    paths: dict[str, list[str]] = {}
    for (x, y), color in zip(places, colors, strict=True):
        paths.setdefault(color, []).append(f"M{x:.0f} {y:.0f}h0")
    # What has no color lies below.
    for color in sorted(paths, key=lambda color: color not in ("", NO_COLOR)):
        drawing.dots.append({"color": color, "path": "".join(paths[color]), "width": width})


def _draw_names(drawing: _Drawing, standing: Standing, places: Places) -> None:
    """The names of the largest clusters at their upper ends, moved up or down where they would overlap, and left out
    where that does not help."""
    drawn: list[Box] = []
    bottom = max(y for _, y in places.tolist()) + EDGE
    for number, region in enumerate(standing.regions):
        rows = np.flatnonzero(standing.labels == number)
        if not region.name or not len(rows) or len(drawn) == NAMES:
            continue
        x, y = np.median(places[rows, 0]), places[rows, 1].min() - THUMBNAIL / 2
        box = _free(region, float(x), float(y), bottom, drawn)
        if box:
            drawn.append(box)
            drawing.names.append(
                {
                    "x": round(box.x, 1),
                    "y": round(box.y, 1),
                    "left": round(box.x - box.width / 2, 1),
                    "top": round(box.y - box.height / 2, 1),
                    "width": round(box.width, 1),
                    "height": round(box.height, 1),
                    "name": plain(_cut(region.name)),
                    "products": region.products,
                }
            )


def _free(region: Region, x: float, y: float, bottom: float, drawn: Sequence[Box]) -> Box | None:
    width, height = cell_len(_cut(region.name)) * _CHARACTER + 24, _TEXT + 12
    x = min(max(x, width / 2 + 4), WIDTH - width / 2 - 4)
    for shift in (0, -1, 1, -2, 2):
        box = Box(x, min(max(y + shift * (height + 3), height / 2 + 4), bottom - height / 2), width, height)
        if not any(box.meets(each) for each in drawn):
            return box
    return None


def _cut(name: str) -> str:
    return name if len(name) <= 32 else f"{name[:31]}…"


def _legend(key: Key) -> tuple[list[dict[str, Any]], int]:
    """Its entries at their places, and the height of all rows."""
    found: list[dict[str, Any]] = []
    x, y = ASIDE, 0
    for name, color in key.entries:
        text = plain(_cut(name))
        width = round(cell_len(text) * 10 + 52)
        if x + width > WIDTH - ASIDE and x > ASIDE:
            x, y = ASIDE, y + ROW
        found.append({"x": x, "y": y, "name": text, "color": color})
        x += width
    return found, y + ROW if found else 0
