"""Handbags and backpacks."""

from services.demo.curves import Points, arch, band, box, ellipse, polygon, segment, smooth
from services.demo.look import Look
from services.demo.palette import GOLD, INK, STEEL
from services.demo.pen import Paint, Pen
from services.demo.shades import ball, padded, slope


def handbag(pen: Pen, look: Look) -> None:
    top_half, foot_half = look.between(0.42, 0.58), look.between(0.52, 0.68)
    top, foot = look.between(-0.2, -0.05), look.between(0.5, 0.66)
    strap = look.rng.choice((look.plain.darker(0.15), look.leather(), look.accent))
    _handles(pen, look, strap, top_half, top)
    body = smooth((
        (-top_half, top), (-top_half, top), (0, top - 0.015), (top_half, top), (top_half, top),
        (foot_half, foot - 0.12), (foot_half * 0.94, foot), (0, foot + 0.01),
        (-foot_half * 0.94, foot), (-foot_half, foot - 0.12),
    ))  # fmt: skip
    pen.fill(body, look.main, padded(0.09, 0.7), cast=0.3)
    metal = Paint(look.rng.choice((GOLD, STEEL)))
    if look.chance(0.55):
        _flap(pen, look, metal, body, top_half, top, foot)
    else:
        pen.line(segment(-top_half, top + 0.05, top_half, top + 0.05), 0.015, look.plain.darker(0.4))
        pen.fill(box(-foot_half, foot - 0.14, foot_half, foot + 0.02, 0.02), strap, padded(0.06), clip=body)
    for side in (-1, 1):
        pen.fill(ellipse(side * top_half * 0.6, top + 0.03, 0.035, 0.035), metal, ball(0.6, 0.8), cast=0.4)


def _handles(pen: Pen, look: Look, strap: Paint, half: float, top: float) -> None:
    rise, spread = look.between(0.35, 0.6), half * 0.6
    for lift, paint in ((0.07, strap.darker(0.35)), (0.0, strap)):
        half_arch = ((0.0, top - rise - lift), (spread * 0.95, top - rise * 0.6 - lift), (spread, top + 0.1))
        pen.fill(band(arch(half_arch), look.between(0.05, 0.07)), paint, padded(0.02, 0.7))


def _flap(pen: Pen, look: Look, metal: Paint, body: Points, half: float, top: float, foot: float) -> None:
    low = top + (foot - top) * look.between(0.4, 0.6)
    pointed = look.chance(0.4)
    middle = low + 0.12 if pointed else low
    flap = smooth((
        (-half * 1.02, top), (-half * 1.02, top), (half * 1.02, top), (half * 1.02, top), (half * 1.04, low - 0.14),
        (half * 0.8, low), (0, middle), (-half * 0.8, low), (-half * 1.04, low - 0.14),
    ))  # fmt: skip
    pen.fill(flap, look.main if look.chance(0.5) else look.plain.darker(0.1), padded(0.06, 0.6), cast=0.45)
    pen.fill(box(-0.06, middle - 0.07, 0.06, middle + 0.05, 0.02), metal, slope(0.3, -0.2), cast=0.4)
    pen.fill(ellipse(0, middle - 0.01, 0.022, 0.022), metal.darker(0.4))


def backpack(pen: Pen, look: Look) -> None:
    half, top, foot = look.between(0.42, 0.52), look.between(-0.68, -0.56), look.between(0.6, 0.72)
    strap = look.rng.choice((look.plain.darker(0.3), Paint(INK), look.leather()))
    _shoulder_straps(pen, look, strap, half, top, foot)
    pen.fill(band(ellipse(0, top + 0.02, 0.13, look.between(0.1, 0.16), 180, 360), 0.05), strap, padded(0.02, 0.6))
    body = smooth((
        (-half * 0.75, top + 0.06), (0, top), (half * 0.75, top + 0.06), (half * 0.98, top + 0.4),
        (half, 0.2), (half * 0.98, foot - 0.1), (half * 0.8, foot), (0, foot + 0.02),
        (-half * 0.8, foot), (-half * 0.98, foot - 0.1), (-half, 0.2), (-half * 0.98, top + 0.4),
    ))  # fmt: skip
    pen.fill(body, look.main, padded(0.12, 0.7))
    if look.chance(0.5):
        _zipped(pen, look, half, top)
    else:
        _lidded(pen, look, strap, half, top)
    _front_pocket(pen, look, strap, half, foot)


def _shoulder_straps(pen: Pen, look: Look, strap: Paint, half: float, top: float, foot: float) -> None:
    bulge = look.between(0.1, 0.2)
    for side in (-1, 1):
        bend = ((half + bulge, top + 0.5), (half + bulge * 0.8, 0.3))
        line = smooth(((half * 0.5, top + 0.1), *bend, (half * 0.8, foot - 0.05)), closed=False)
        pen.fill(band(line * (side, 1), 0.12, 0.06), strap, padded(0.03, 0.6))
        if look.chance(0.5):
            edge = ((half + 0.1, 0.28), (half + 0.11, foot - 0.1))
            pocket = smooth(((half * 0.8, 0.25), *edge, (half * 0.8, foot - 0.04)))
            pen.fill(pocket * (side, 1), look.plain.darker(0.25), padded(0.04, 0.6))


def _zipped(pen: Pen, look: Look, half: float, top: float) -> None:
    zipper = arch(((0.0, top + 0.1), (half * 0.72, top + 0.2), (half * 0.8, 0.0)))
    pen.line(zipper, 0.035, look.plain.darker(0.5))
    pen.line(zipper, 0.012, Paint(STEEL))
    x, y = zipper[look.rng.randrange(8, 30)]
    pen.fill(box(x - 0.018, y, x + 0.018, y + 0.11, 0.018), look.accent, slope(0.2, -0.1), cast=0.4)


def _lidded(pen: Pen, look: Look, strap: Paint, half: float, top: float) -> None:
    low = look.between(-0.2, -0.05)
    lid = smooth((
        (-half * 0.8, top + 0.04), (0, top - 0.02), (half * 0.8, top + 0.04), (half * 1.02, low - 0.15),
        (half * 0.85, low), (0, low + 0.03), (-half * 0.85, low), (-half * 1.02, low - 0.15),
    ))  # fmt: skip
    pen.fill(lid, look.accent if look.chance(0.3) else look.main, padded(0.09, 0.7), cast=0.45)
    for side in (-1, 1):
        x = side * half * 0.45
        pen.fill(box(x - 0.035, low - 0.2, x + 0.035, low + 0.2, 0.01), strap, slope(0.1, -0.1), cast=0.3)
        buckle, pin = (
            box(x - 0.05, low + 0.06, x + 0.05, low + 0.14, 0.01),
            box(x - 0.025, low + 0.08, x + 0.025, low + 0.12),
        )
        pen.fill(buckle, Paint(STEEL), slope(0.3, -0.3), holes=(pin,))


def _front_pocket(pen: Pen, look: Look, strap: Paint, half: float, foot: float) -> None:
    top, wide = look.between(0.08, 0.2), half * look.between(0.66, 0.8)
    paint = look.main if look.chance(0.5) else look.rng.choice((look.plain.darker(0.15), look.accent))
    pen.fill(box(-wide, top, wide, foot - 0.06, 0.12), paint, padded(0.08, 0.7), cast=0.4)
    pen.line(segment(-wide * 0.85, top + 0.09, wide * 0.85, top + 0.09), 0.03, look.plain.darker(0.5))
    pen.fill(box(wide * 0.6, top + 0.08, wide * 0.68, top + 0.2, 0.015), strap.lighter(0.2), cast=0.3)
    if look.chance(0.5):
        patch = polygon((-0.09, top + 0.2), (0.09, top + 0.2), (0.09, top + 0.29), (-0.09, top + 0.29))
        pen.fill(patch, look.leather(), padded(0.015))
