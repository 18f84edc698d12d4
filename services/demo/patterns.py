"""What is printed or woven on a product: how much of the second color shows at a place, 0 to 1."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
Pattern = Callable[[Floats, Floats], Floats]
"""From places in units of the pattern's repeat."""

EDGE = 0.05
"""Half the width of the soft edge between the colors, in repeats."""


def striped(x: Floats, y: Floats) -> Floats:
    return _inside(0.25 - abs(_centered(x)))


def dotted(x: Floats, y: Floats) -> Floats:
    row = np.floor(y / 0.8)
    return _inside(0.27 - np.hypot(_centered(x + 0.5 * (row % 2)), _centered(y / 0.8) * 0.8))


def checked(x: Floats, y: Floats) -> Floats:
    """Gingham: where two stripes cross, the color is full."""
    return (striped(x, y) + striped(y, x)) / 2


def zigzag(x: Floats, y: Floats) -> Floats:
    return _inside(0.25 - abs(_centered(y + abs(_centered(x)))))


def floral(x: Floats, y: Floats) -> Floats:
    """Five petals, leaning differently in every row."""
    x, y = x / 1.4, y / 1.2
    row = np.floor(y)
    u, v = _centered(x + 0.5 * (row % 2)), _centered(y)
    distance, angle = np.hypot(u, v), np.arctan2(v, u)
    petals = 0.26 + 0.1 * np.cos(5 * angle + row)
    return _inside(petals - distance) * _inside(distance - 0.09)


PATTERNS: dict[str, Pattern | None] = {
    "plain": None,
    "striped": striped,
    "dotted": dotted,
    "checked": checked,
    "zigzag": zigzag,
    "floral": floral,
}


def _centered(x: Floats) -> Floats:
    """The place within its repeat, -0.5 to 0.5."""
    return x - np.floor(x) - np.float32(0.5)


def _inside(depth: Floats) -> Floats:
    return np.asarray(np.clip(depth / (2 * EDGE) + 0.5, 0, 1))
