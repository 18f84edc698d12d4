"""Guitars and headphones."""

from services.demo.curves import Points, band, box, ellipse, lathe, polygon, segment, smooth, spun
from services.demo.look import Look
from services.demo.palette import CREAM, GOLD, INK, STEEL
from services.demo.pen import Paint, Pen
from services.demo.shades import both, padded, round_body, sideways, slope


def guitar(pen: Pen, look: Look) -> None:
    neck = look.rng.choice((Paint((104, 70, 46)), Paint((58, 42, 34)), Paint((196, 152, 104))))
    electric = look.chance(0.4)
    _head(pen, look, neck)
    body = _electric_body(look) if electric else _acoustic_body(look)
    pen.fill(body, look.plain.darker(0.5), padded(0.03))
    pen.fill(body * (0.965, 0.965) + (0.0, 0.014), look.main, both(padded(0.06, 0.7), sideways(0.06, -0.1)))
    if electric:
        _pickups(pen, look)
    else:
        _sound_hole(pen, look)
    board = polygon((-0.042, -0.62), (0.042, -0.62), (0.055, 0.2), (-0.055, 0.2))
    pen.fill(board, neck, round_body(0.1, 0.4), cast=0.3)
    for index in range(12):
        y = -0.58 + 0.78 * (1 - 0.93**index) / (1 - 0.93**12)
        pen.line(segment(-0.045, y, 0.045, y, 2), 0.009, Paint(STEEL))
    bridge = look.rng.choice((Paint(INK), Paint(STEEL)))
    pen.fill(box(-0.14, 0.55, 0.14, 0.6, 0.015), bridge, slope(0.2, -0.2), cast=0.3)
    for index in range(6):
        x = (index - 2.5) * 0.014
        pen.line(segment(x, -0.7, x * 1.4, 0.57, 2), 0.005, Paint((222, 214, 190)))


def _head(pen: Pen, look: Look, neck: Paint) -> None:
    head = lathe(((0.0, -0.9), (0.07, -0.92), (0.075, -0.68), (0.05, -0.6)))
    for side in (-1, 1):
        for index in range(3):
            pen.fill(ellipse(side * 0.1, -0.7 - 0.08 * index, 0.032, 0.024), Paint(STEEL), padded(0.01, 0.8))
    pen.fill(head, neck if look.chance(0.5) else look.plain, padded(0.02, 0.6))


def _acoustic_body(look: Look) -> Points:
    upper, waist, lower = look.between(0.25, 0.3), look.between(0.19, 0.24), look.between(0.35, 0.42)
    return lathe((
        (0.0, -0.08), (upper * 0.7, -0.06), (upper, 0.08), (waist, 0.28),
        (lower * 0.92, 0.45), (lower, 0.62), (lower * 0.7, 0.85), (0.0, 0.9),
    ))  # fmt: skip


def _electric_body(look: Look) -> Points:
    horn = look.between(-0.16, -0.04)
    return smooth((
        (-0.06, 0.12), (-0.14, 0.06), (-0.24, horn - 0.06), (-0.32, horn), (-0.25, 0.3), (-0.35, 0.55),
        (-0.33, 0.76), (-0.15, 0.86), (0.1, 0.84), (0.32, 0.74), (0.35, 0.52), (0.24, 0.3),
        (0.28, horn + 0.14), (0.22, horn + 0.06), (0.12, 0.12), (0.06, 0.16),
    ))  # fmt: skip


def _sound_hole(pen: Pen, look: Look) -> None:
    pen.fill(ellipse(0, 0.3, 0.135, 0.135), look.accent)
    pen.fill(ellipse(0, 0.3, 0.115, 0.115), Paint((30, 24, 22)), slope(-0.3, 0.15))
    if look.chance(0.4):
        guard = smooth(((0.1, 0.38), (0.18, 0.36), (0.24, 0.55), (0.14, 0.56)))
        pen.fill(guard, Paint((70, 36, 26)), slope(0.1, 0))


def _pickups(pen: Pen, look: Look) -> None:
    edge = ((-0.12, 0.16), (0.14, 0.14), (0.2, 0.34), (0.26, 0.56), (0.16, 0.7), (-0.02, 0.62), (-0.16, 0.56))
    plate = smooth((*edge, (-0.12, 0.36)))
    pen.fill(plate, look.rng.choice((Paint(CREAM), Paint(INK), look.accent)), padded(0.015), cast=0.2)
    for y in (0.3, 0.45):
        pen.fill(box(-0.12, y, 0.12, y + 0.06, 0.02), Paint((30, 30, 34)), slope(0.25, -0.1), cast=0.3)
    for x, y in ((0.2, 0.6), (0.24, 0.68)):
        pen.fill(ellipse(x, y, 0.03, 0.03), Paint(GOLD), padded(0.012, 0.8), cast=0.3)


def headphones(pen: Pen, look: Look) -> None:
    reach, top = look.between(0.46, 0.56), look.between(-0.72, -0.6)
    cup, tall = look.between(0.15, 0.21), look.between(0.24, 0.32)
    level = look.between(0.16, 0.28)
    arch = ellipse(0, level - 0.1, reach, level - 0.1 - top, 180, 360)
    pen.fill(band(arch, 0.06), Paint(STEEL) if look.chance(0.5) else look.plain.darker(0.3), padded(0.02, 0.7))
    cushion = ellipse(0, level - 0.1, reach * 0.99, level - 0.1 - top, 205, 335)
    pen.fill(band(cushion, look.between(0.1, 0.15)), look.main, padded(0.045, 0.8), cast=0.2)
    for side in (-1, 1):
        _cup(pen, look, side, reach, level, cup, tall)


def _cup(pen: Pen, look: Look, side: int, reach: float, level: float, cup: float, tall: float) -> None:
    """An ear cup seen half from the front: the pad inside, the shell outside."""
    x, lean = side * reach, -side * 8.0
    pad = spun(ellipse(x - side * cup * 0.55, level, cup * 0.62, tall), lean, x, level)
    shell = spun(ellipse(x + side * cup * 0.1, level, cup * 0.78, tall * 0.98), lean, x, level)
    yoke = segment(x, level - tall * 1.1, x, level - tall * 0.3)
    pen.fill(pad, Paint((44, 44, 48)) if look.main.color[0] > 70 else Paint((92, 88, 86)), padded(0.06, 0.9))
    pen.fill(shell, look.main, padded(0.08, 0.9), cast=0.4)
    pen.fill(band(yoke, 0.07), Paint(STEEL), round_body(0.4, 0.6), cast=0.3)
    disc = spun(ellipse(x + side * cup * 0.18, level + 0.02, cup * 0.46, tall * 0.6), lean, x, level)
    pen.fill(disc, look.accent if side > 0 else look.plain.darker(0.15), padded(0.03, 0.6))
    center = spun(ellipse(x + side * cup * 0.2, level + 0.02, cup * 0.22, tall * 0.28), lean, x, level)
    pen.fill(center, look.plain.lighter(0.15))
