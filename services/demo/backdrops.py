"""What a product is photographed on."""

from collections.abc import Callable
from random import Random

import numpy as np

from services.demo.canvas import SIZE, Floats, enlarged
from services.demo.palette import RGB, WOODS, brightness, darker, distance, lighter, mixed

Backdrop = Callable[[Random, RGB], Floats]
"""Draws floats 0 to 255, (SIZE, SIZE, 3), around one color."""


def noise(rng: Random, rows: int, columns: int) -> Floats:
    """Even noise of -1 to 1."""
    return np.frombuffer(rng.randbytes(rows * columns), np.uint8).reshape(rows, columns) / np.float32(127.5) - 1


def clouds(rng: Random, cells: int) -> Floats:
    """Noise with lumps a `cells`-th of the canvas wide."""
    return enlarged(noise(rng, cells, cells))


def studio(rng: Random, color: RGB) -> Floats:
    """A paper roll that curves from the wall to the floor, with a soft lamp on the wall."""
    x, y = _places()
    horizon = rng.uniform(0.55, 0.75)
    floor = _step(y, horizon, rng.uniform(0.05, 0.14))
    spot = np.exp(-(((x - rng.uniform(0.3, 0.7)) / 0.5) ** 2) - ((y - rng.uniform(0.3, 0.5)) / 0.45) ** 2)
    light = 0.86 + 0.2 * spot + 0.07 * floor - 0.1 * _step(y, 1.0, 0.2)
    return _tinted(color, light)


def paper(rng: Random, color: RGB) -> Floats:
    """Colored paper in slanting light."""
    x, y = _places()
    slant = rng.uniform(-0.16, 0.16) * (x - 0.5) + rng.uniform(-0.14, 0.14) * (y - 0.5)
    return _tinted(color, 1 + slant + 0.012 * noise(rng, SIZE, SIZE))


def two_tone(rng: Random, color: RGB) -> Floats:
    """A wall and a table top."""
    x, y = _places()
    table = _step(y, rng.uniform(0.6, 0.78), 0.004)[..., None]
    top = rng.choice((lighter(color, 0.45), darker(color, 0.25), rng.choice(WOODS), mixed(color, (120, 120, 128), 0.4)))
    wall = _tinted(color, 1.02 - 0.12 * y + rng.uniform(-0.1, 0.1) * x)
    return wall * (1 - table) + _tinted(top, 0.94 + 0.12 * y) * table


def planks(rng: Random, color: RGB) -> Floats:
    """Boards of wood, upright or level, oiled or painted."""
    wood = rng.choice(WOODS) if rng.random() < 0.6 else mixed(color, WOODS[0], 0.15)
    boards = rng.randint(3, 6)
    grain = enlarged(noise(rng, 5, 160)) * 0.05 + enlarged(noise(rng, 3, 40)) * 0.06
    place = np.linspace(0, boards, SIZE, endpoint=False, dtype=np.float32) + np.float32(rng.random())
    tones = np.array([rng.uniform(-0.09, 0.09) for _ in range(boards + 2)], np.float32)
    gap = np.clip(np.abs(place - np.round(place)) * SIZE / boards / 1.5, 0, 1)
    light = (1 + tones[np.floor(place).astype(int)] + grain) * (0.55 + 0.45 * gap)
    return _tinted(wood, light if rng.random() < 0.5 else light.T)


def linen(rng: Random, color: RGB) -> Floats:
    """Woven cloth with a few soft waves."""
    threads = noise(rng, SIZE // 2, 6), noise(rng, 6, SIZE // 2)
    weave = sum(enlarged(thread) for thread in threads) * np.float32(0.035)
    return _tinted(color, 1 + weave + 0.06 * clouds(rng, 5) + 0.02 * noise(rng, SIZE, SIZE))


def plaster(rng: Random, color: RGB) -> Floats:
    """A wall brushed unevenly."""
    rough = 0.05 * clouds(rng, 6) + 0.03 * clouds(rng, 24) + 0.015 * clouds(rng, 120)
    return _tinted(mixed(color, (168, 166, 162), 0.35), 1 + rough)


def window(rng: Random, color: RGB) -> Floats:
    """Sunlight that falls through a window, aslant."""
    x, y = _places()
    lean, at, wide = rng.uniform(0.3, 0.9) * rng.choice((-1, 1)), rng.uniform(0.25, 0.75), rng.uniform(0.16, 0.26)
    across = x - 0.5 + lean * (y - 0.5) + 0.5 - at
    pane = _step(wide - np.abs(across), 0.0, 0.02) * (1 - _step(0.015 - np.abs(across), 0.0, 0.015))
    return _tinted(color, 0.88 + 0.19 * pane + 0.01 * noise(rng, SIZE, SIZE))


WALLS: tuple[Backdrop, ...] = (paper, paper, planks, linen, plaster, window)
FLOORS: tuple[Backdrop, ...] = (studio, studio, two_tone, two_tone)


def behind(rng: Random, product: RGB, colors: tuple[RGB, ...], standing: bool) -> Floats:
    """A backdrop that the product does not vanish in. Only what stands gets a floor."""
    fitting = [color for color in colors if distance(color, product) > 75]
    color = rng.choice(fitting)
    kinds = FLOORS + WALLS if standing else WALLS
    for _ in range(8):
        picture = rng.choice(kinds)(rng, color)
        if abs(float(picture.mean()) - brightness(product)) > 25:
            break
    return picture


def _places() -> tuple[Floats, Floats]:
    """0 to 1 from left to right, and from top to bottom."""
    row = np.linspace(0, 1, SIZE, dtype=np.float32)
    return np.broadcast_to(row, (SIZE, SIZE)), np.broadcast_to(row[:, None], (SIZE, SIZE))


def _step(x: Floats, at: float, soft: float) -> Floats:
    """From 0 to 1 around a place."""
    share = np.clip((x - np.float32(at)) / np.float32(2 * soft) + 0.5, 0, 1)
    return np.asarray(share * share * (3 - 2 * share))


def _tinted(color: RGB, light: Floats) -> Floats:
    return np.array(color, np.float32) * light[..., None]
