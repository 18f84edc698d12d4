"""One picture: a product in a pose, on a backdrop, with its shadow."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import numpy as np

from services.demo import backdrops
from services.demo.canvas import SIZE, Floats, softened
from services.demo.look import Look
from services.demo.palette import BACKGROUNDS
from services.demo.pen import Matrix, Pen

Drawing = Callable[[Pen, Look], None]


@dataclass(frozen=True)
class Pose:
    """How a kind of product is shown: `standing` on a floor or lying and hanging, turned by up to `turn` degrees."""

    standing: bool
    turn: float
    zoom: float


def picture(drawing: Drawing, pose: Pose, look: Look) -> Floats:
    """Floats 0 to 255, (SIZE, SIZE, 3)."""
    rng = look.rng
    light = rng.choice((-1.0, 1.0))
    pen = Pen(camera(rng, pose), light)
    drawing(pen, look)
    scene = backdrops.behind(rng, look.plain.color, BACKGROUNDS, pose.standing)
    scene = scene * (1 - _shadow(rng, pen.alpha, pose, light))[..., None]
    scene = scene * (1 - pen.alpha)[..., None] + pen.color
    return _developed(rng, scene)


def camera(rng: Random, pose: Pose) -> Matrix:
    """From the canvas to pixels: turned, seen from nearer or farther, from a side, perhaps in a mirror."""
    zoom = SIZE / 2 * pose.zoom * rng.uniform(0.76, 0.98)
    turn = np.radians(rng.triangular(-pose.turn, pose.turn, 0))
    cos, sin = np.cos(turn), np.sin(turn)
    side = rng.choice((-1, 1))
    wide, high, lean = rng.uniform(0.84, 1.04), rng.uniform(0.92, 1.04), rng.uniform(-0.08, 0.08)
    form = np.array(((side * wide, lean, 0), (0, high, 0), (0, 0, 1)))
    spin = np.array(((cos, -sin, 0), (sin, cos, 0), (0, 0, 1)))
    tilt = np.array(((1, 0, 0), (0, 1, 0), (rng.uniform(-0.1, 0.1), rng.uniform(-0.1, 0.1), 1)))
    middle = SIZE / 2
    place = np.array(((zoom, 0, middle + rng.uniform(-22, 22)), (0, zoom, middle + rng.uniform(-16, 16)), (0, 0, 1)))
    return np.asarray(place @ tilt @ spin @ form)


def _shadow(rng: Random, alpha: Floats, pose: Pose, light: float) -> Floats:
    """How much of the light the product keeps from its backdrop."""
    reach = rng.uniform(5, 13)
    strength = rng.uniform(0.25, 0.45)
    behind: Floats = _moved(alpha, reach, light) * np.float32(strength)
    if not pose.standing:
        return behind
    on_floor = _floor_shadow(alpha, light, strength)
    return np.asarray(np.maximum(on_floor, behind * np.float32(0.35)))


def _moved(alpha: Floats, reach: float, light: float) -> Floats:
    """The silhouette, blurred and pushed away from the light."""
    soft = softened(alpha, reach)
    down, aside = round(reach * 1.1), round(-light * reach * 0.8)
    return np.roll(soft, (down, aside), (0, 1))


def _floor_shadow(alpha: Floats, light: float, strength: float) -> Floats:
    """The silhouette laid flat on the floor, away from the light, and darkest where the product stands."""
    rows = np.flatnonzero(alpha.max(axis=1) > 0.5)
    if not rows.size:
        return np.zeros_like(alpha)
    foot = int(rows[-1])
    laid = softened(_laid(alpha, foot, 0.2, -light * 1.4), 6)
    near = softened(_laid(alpha, foot, 0.06, 0.0), 3)
    return np.clip(np.float32(strength) * (1.1 * laid + 1.2 * near), 0, 0.85)


def _laid(alpha: Floats, foot: int, squash: float, lean: float) -> Floats:
    """What stands above the row `foot` as a flat picture around it."""
    row, column = np.ogrid[:SIZE, :SIZE]
    height = foot + 4 - row
    source = foot - (height / squash).astype(int)
    aside = np.clip(column - (height * lean).astype(int), 0, SIZE - 1)
    return np.where((height >= 0) & (source >= 0), alpha[np.clip(source, 0, SIZE - 1), aside], np.float32(0))


def _developed(rng: Random, scene: Floats) -> Floats:
    """Darker corners, the warmth of the lamp, and a little grain."""
    row = np.linspace(-1, 1, SIZE, dtype=np.float32)
    corners = 1 - np.float32(rng.uniform(0.02, 0.1)) * (row**2 + row[:, None] ** 2) / 2
    warmth = rng.uniform(-0.025, 0.035)
    tint = np.array((1 + warmth, 1.0, 1 - warmth), np.float32) * np.float32(rng.uniform(0.94, 1.05))
    grain = backdrops.noise(rng, SIZE, SIZE) * np.float32(rng.uniform(1, 3))
    return scene * tint * corners[..., None] + grain[..., None]
