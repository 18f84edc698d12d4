"""Sneakers and boots, toes to the right."""

from services.demo.curves import Points, band, box, ellipse, polygon, segment, smooth
from services.demo.look import Look
from services.demo.palette import CREAM, GOLD, INK
from services.demo.pen import Paint, Pen
from services.demo.shades import padded, slope


def sneaker(pen: Pen, look: Look) -> None:
    high = look.between(0.0, 0.22) if look.chance(0.3) else 0.0
    collar = -0.3 - high
    _tongue(pen, look, collar)
    upper = _upper(collar)
    pen.fill(upper, look.main, padded(0.1, 0.7))
    pen.fill(ellipse(-0.42, collar + 0.03, 0.23, 0.06), look.plain.darker(0.55), clip=upper)
    toe = smooth(((0.42, 0.3), (0.47, 0.08), (0.62, 0.06), (0.82, 0.18), (0.86, 0.32)))
    cap = look.rng.choice((look.accent, look.plain.lighter(0.25), Paint(CREAM), look.plain.darker(0.25)))
    pen.fill(toe, cap, padded(0.06, 0.7), clip=upper)
    heel = polygon((-0.8, collar + 0.08), (-0.56, collar + 0.1), (-0.5, 0.3), (-0.8, 0.3))
    pen.fill(heel, look.accent, padded(0.06, 0.5), clip=upper)
    _mark(pen, look, upper)
    _laces(pen, look, collar)
    _sole(pen, look)


def _upper(collar: float) -> Points:
    return smooth((
        (-0.7, 0.32), (-0.7, 0.32), (-0.74, 0.05), (-0.66, collar), (-0.66, collar),
        (-0.42, collar + 0.06), (-0.2, collar - 0.02), (-0.2, collar - 0.02), (0.06, -0.1),
        (0.38, 0.04), (0.66, 0.07), (0.84, 0.18), (0.87, 0.32), (0.87, 0.32),
    ))  # fmt: skip


def _tongue(pen: Pen, look: Look, collar: float) -> None:
    tongue = smooth(((-0.32, collar + 0.1), (-0.29, collar - 0.07), (-0.18, collar - 0.08), (0.06, -0.1), (0.0, 0.05)))
    pen.fill(tongue, look.plain.darker(0.2), padded(0.04, 0.6))


def _mark(pen: Pen, look: Look, upper: Points) -> None:
    """The maker's sign on the side."""
    form = look.rng.randrange(4)
    if form == 0:
        for index in range(3):
            x = -0.2 + 0.13 * index
            pen.line(segment(x, -0.1 + 0.03 * index, x - 0.12, 0.3), 0.055, look.accent)
    elif form == 1:
        swing = smooth(((-0.45, 0.02), (-0.3, 0.2), (0.25, 0.02)), closed=False)
        pen.fill(band(swing, 0.12, 0.01), look.accent, clip=upper)
    elif form == 2:
        wave = smooth(((-0.5, 0.25), (-0.2, 0.0), (0.1, 0.22), (0.4, 0.1)), closed=False)
        pen.fill(band(wave, 0.09, 0.05), look.accent, clip=upper)


def _laces(pen: Pen, look: Look, collar: float) -> None:
    lace = Paint(CREAM) if look.chance(0.6) else look.accent.lighter(0.2)
    count = 5 if collar > -0.35 else 7
    for index in range(count):
        share = index / (count - 1)
        x, y = -0.2 + 0.42 * share, collar + 0.02 + (-0.03 - collar) * share**0.8
        pen.fill(band(segment(x - 0.06, y + 0.1, x + 0.05, y - 0.035), 0.038), lace, padded(0.015, 0.6), cast=0.4)


def _sole(pen: Pen, look: Look) -> None:
    thick = look.between(0.1, 0.17)
    paint = look.rng.choice((Paint(CREAM), Paint(CREAM), Paint(INK), look.accent, Paint((196, 152, 104))))
    sole = smooth((
        (-0.76, 0.26), (-0.76, 0.26), (0.2, 0.29), (0.88, 0.24), (0.88, 0.24), (0.9, 0.3 + thick * 0.4),
        (0.78, 0.3 + thick), (0.0, 0.28 + thick), (-0.7, 0.3 + thick), (-0.79, 0.3 + thick * 0.5),
    ))  # fmt: skip
    pen.fill(sole, paint, slope(0.1, -0.3), cast=0.35)
    if look.chance(0.7):
        pen.line(smooth(((-0.77, 0.32), (0.2, 0.34), (0.89, 0.3)), closed=False), 0.018, look.plain.darker(0.15))
    for index in range(14 if look.chance(0.6) else 0):
        x = -0.7 + 0.11 * index
        pen.fill(box(x, 0.27 + thick, x + 0.07, 0.31 + thick), paint.darker(0.45))


def boot(pen: Pen, look: Look) -> None:
    top = look.between(-0.85, -0.4)
    shaft, ankle = look.between(0.24, 0.31), look.between(0.2, 0.24)
    upper = _boot_upper(top, shaft, ankle)
    pen.fill(upper, look.main, padded(0.12, 0.8))
    mouth = ellipse(-0.3, top, shaft * 0.98, look.between(0.03, 0.07))
    pen.fill(mouth, look.plain.darker(0.6))
    form = look.rng.randrange(4)
    if form == 0:
        _boot_laces(pen, look, top, ankle)
    elif form == 1:
        strap = box(-0.3 - ankle, 0.1, -0.2 + ankle, 0.19, 0.02)
        pen.fill(strap, look.accent.darker(0.1), slope(0.1, -0.2), clip=upper)
        buckle, pin = box(-0.36, 0.08, -0.24, 0.21, 0.02), box(-0.33, 0.11, -0.27, 0.18)
        pen.fill(buckle, Paint(GOLD), slope(0.3, -0.2), holes=(pin,), cast=0.3)
    elif form == 2:
        gusset = polygon((-0.4, top + 0.04), (-0.2, top + 0.04), (-0.24, 0.2), (-0.36, 0.2))
        pen.fill(gusset, look.plain.darker(0.45), clip=upper)
    elif form == 3:
        pen.fill(box(-0.7, top, 0.1, top + 0.1), look.accent, padded(0.05), clip=upper)
    pen.dim(band(smooth(((-0.5, 0.12), (-0.3, 0.2), (-0.02, 0.14)), closed=False), 0.05), 0.25, 0.02, clip=upper)
    _boot_sole(pen, look)


def _boot_upper(top: float, shaft: float, ankle: float) -> Points:
    left, right = -0.3 - shaft, -0.3 + shaft
    return smooth((
        (left, top), (left, top), (-0.3 - ankle * 1.05, 0.1), (-0.56, 0.36), (-0.55, 0.6), (-0.55, 0.6),
        (0.6, 0.63), (0.6, 0.63), (0.64, 0.48), (0.46, 0.34), (0.12, 0.24), (-0.3 + ankle * 1.1, 0.05),
        (right, top), (right, top),
    ))  # fmt: skip


def _boot_laces(pen: Pen, look: Look, top: float, ankle: float) -> None:
    lace = look.rng.choice((Paint(CREAM), look.accent, Paint((196, 150, 80))))
    start = max(top + 0.1, -0.5)
    edge = smooth(((-0.1, start), (-0.3 + ankle, 0.05), (0.2, 0.3)), closed=False)
    for x, y in edge[:: max(1, len(edge) // 7)]:
        pen.fill(band(segment(x - 0.13, y + 0.07, x + 0.02, y - 0.02), 0.03), lace, padded(0.012, 0.6), cast=0.4)


def _boot_sole(pen: Pen, look: Look) -> None:
    heel = look.between(0.06, 0.24)
    paint = look.rng.choice((Paint(INK), Paint((92, 62, 42)), Paint((196, 158, 112)), look.plain.darker(0.4)))
    floor = 0.6 + heel
    sole = smooth((
        (-0.57, 0.57), (-0.57, 0.57), (0.63, 0.6), (0.63, 0.6), (0.66, 0.66), (0.5, 0.64 + heel * 0.45),
        (0.1, 0.66 + heel * 0.4), (-0.2, 0.66), (-0.56, 0.66),
    ))  # fmt: skip
    block = polygon((-0.57, 0.6), (-0.2, 0.62), (-0.24, floor + 0.04), (-0.53, floor + 0.04))
    pen.fill(block, paint, slope(0.0, -0.3))
    pen.fill(sole, paint, slope(0.15, -0.2), cast=0.3)
