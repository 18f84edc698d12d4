"""Outlines as points. The canvas reaches from -1 to 1 both ways, y grows downwards, angles are in degrees."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]
"""float64, shape (n, 2)."""

Corner = tuple[float, float]


def polygon(*corners: Corner) -> Points:
    return np.array(corners, np.float64)


def join(*parts: Points) -> Points:
    """One line through all parts, end to start."""
    return np.concatenate(parts)


def moved(points: Points, x: float, y: float) -> Points:
    return np.add(points, (x, y))


def flipped(points: Points) -> Points:
    """The mirror image, left for right, walked backwards so that it continues the original."""
    return np.multiply(points[::-1], (-1.0, 1.0))


def spun(points: Points, degrees: float, x: float = 0.0, y: float = 0.0) -> Points:
    """Turned clockwise around (x, y)."""
    turn = np.radians(degrees)
    cos, sin = np.cos(turn), np.sin(turn)
    turning = np.array(((cos, sin), (-sin, cos)))
    return moved(moved(points, -x, -y) @ turning, x, y)


def ellipse(
    x: float, y: float, rx: float, ry: float, start: float = 0.0, stop: float = 360.0, steps: int = 64
) -> Points:
    """An ellipse or a part of one: 0 is right, 90 below, 180 left."""
    angles = np.radians(np.linspace(start, stop, steps))
    return np.stack((x + rx * np.cos(angles), y + ry * np.sin(angles)), axis=1)


def box(left: float, top: float, right: float, bottom: float, radius: float = 0.0) -> Points:
    """A rectangle with round corners."""
    r = min(radius, (right - left) / 2, (bottom - top) / 2)
    turns = (
        (right - r, top + r, -90.0),
        (right - r, bottom - r, 0.0),
        (left + r, bottom - r, 90.0),
        (left + r, top + r, 180.0),
    )
    return join(*(ellipse(x, y, r, r, start, start + 90.0, 10) for x, y, start in turns))


def smooth(corners: Sequence[Corner], closed: bool = True, steps: int = 10) -> Points:
    """A curve through all points (Catmull-Rom). A point given twice is a sharp corner."""
    points = np.array(corners, np.float64)
    if closed:
        around = np.concatenate((points[-1:], points, points[:2]))
    else:
        around = np.concatenate((points[:1], points, points[-1:]))
    moves = (around[1:-2] != around[2:-1]).any(axis=1)
    before, start, stop, after = (part[moves] for part in (around[:-3], around[1:-2], around[2:-1], around[3:]))
    t = np.linspace(0.0, 1.0, steps, endpoint=False)[None, :, None]
    parts = (start, (stop - before) / 2, before - 2.5 * start + 2 * stop - after / 2)
    cubic = (after - before) / 2 + 1.5 * (start - stop)
    curve = sum(part[:, None] * t**power for power, part in enumerate((*parts, cubic)))
    flat = np.asarray(curve).reshape(-1, 2)
    return flat if closed else np.concatenate((flat, points[-1:]))


def lathe(profile: Sequence[Corner], steps: int = 10) -> Points:
    """The outline of something turned on a lathe, from its right-hand side, top to bottom."""
    right = smooth(profile, closed=False, steps=steps)
    return join(right, flipped(right))


def arch(right: Sequence[Corner]) -> Points:
    """A curve over the middle, from its top and its right-hand side."""
    left = [(-x, y) for x, y in right[:0:-1]]
    return smooth((*left, *right), closed=False)


def band(line: Points, start: float, stop: float | None = None) -> Points:
    """A ribbon along a line, `start` wide at its start and `stop` at its end."""
    ahead = np.gradient(line, axis=0)
    length = np.maximum(np.hypot(ahead[:, 0], ahead[:, 1]), 1e-9)[:, None]
    aside = np.stack((-ahead[:, 1], ahead[:, 0]), axis=1) / length
    width = np.linspace(start, start if stop is None else stop, len(line))[:, None] / 2
    return join(line + aside * width, (line - aside * width)[::-1])


def segment(x0: float, y0: float, x1: float, y1: float, steps: int = 8) -> Points:
    """A straight line."""
    return np.linspace((x0, y0), (x1, y1), steps)
