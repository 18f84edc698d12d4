"""Mugs, teapots and bottles."""

from services.demo.curves import Points, band, box, ellipse, flipped, join, lathe, segment, smooth
from services.demo.look import Look
from services.demo.palette import CREAM, GOLD, INK, STEEL
from services.demo.pen import Paint, Pen
from services.demo.shades import ball, both, padded, round_body, slope


def mug(pen: Pen, look: Look) -> None:
    width, height = look.between(0.36, 0.47), look.between(0.38, 0.56)
    foot, rim = width * look.between(0.72, 1.0), width * look.between(0.14, 0.34)
    _mug_handle(pen, look, width, height)
    belly = width * look.between(0.96, 1.06)
    right = smooth(((width, -height), (belly, 0.1), (foot, height)), closed=False)
    body = join(right, ellipse(0, height, foot, rim * 0.8, 0, 180), right[::-1] * (-1, 1))
    body = join(body, ellipse(0, -height, width, rim, 180, 360))
    gloss = look.between(0.15, 0.5)
    pen.fill(body, look.main, round_body(gloss, 0.6), cast=0.25, wrap=rim)
    if look.chance(0.3):
        upper = ellipse(0, height * 0.86, foot * 1.01, rim * 0.8, 0, 180)
        ring = join(upper, ellipse(0, height, foot, rim * 0.8, 180, 0))
        pen.fill(ring, look.accent, round_body(gloss, 0.6), clip=body)
    _mug_mouth(pen, look, width, height, rim)


def _mug_handle(pen: Pen, look: Look, width: float, height: float) -> None:
    reach, drop = look.between(0.2, 0.3), height * look.between(0.5, 0.66)
    near, far = width * 0.9, width + reach
    ear = look.rng.choice(
        (
            ellipse(width * 0.94, 0.0, reach, drop, -95, 95),
            smooth(((near, -drop), (far, -drop * 0.8), (far - 0.05, drop * 0.5), (near * 0.95, drop)), closed=False),
            smooth(((near, -drop), (far, -drop), (far, drop), (near, drop)), closed=False),
        )
    )
    paint = look.accent if look.chance(0.2) else look.plain
    pen.fill(band(ear, look.between(0.09, 0.13)), paint, padded(0.03, 0.7))


def _mug_mouth(pen: Pen, look: Look, width: float, height: float, rim: float) -> None:
    inside = look.accent if look.chance(0.3) else look.plain.mixed(CREAM, look.between(0.1, 0.8))
    pen.fill(ellipse(0, -height, width, rim), look.plain.lighter(0.3), round_body(0.2, 0.3))
    mouth = ellipse(0, -height + 0.008, width * 0.93, rim * 0.88)
    pen.fill(mouth, inside, slope(-0.5, -0.1))
    if look.chance(0.6):
        drink = Paint(look.rng.choice(((70, 42, 26), (150, 104, 66), (176, 96, 40), (120, 140, 60))))
        level = look.between(0.25, 0.5) * rim + 0.02
        pen.fill(ellipse(0, -height + level, width * 0.9, rim * 0.86), drink, slope(-0.35, 0.1), clip=mouth)


def teapot(pen: Pen, look: Look) -> None:
    width, height = look.between(0.4, 0.5), look.between(0.3, 0.4)
    _spout(pen, look, width, height)
    _teapot_handle(pen, look, width, height)
    shoulder = look.between(0.75, 0.95)
    neck = look.between(0.18, 0.25)
    foot = width * 0.5
    belly = ((width * shoulder, -height * 0.55), (width, 0.05), (width * 0.8, height * 0.75))
    body = lathe(((neck, -height), *belly, (foot, height)))
    pen.fill(lathe(((foot, height * 0.9), (foot * 1.1, height * 1.12))), look.plain.darker(0.2), round_body())
    pen.fill(body, look.main, ball(look.between(0.25, 0.6), 0.75), cast=0.3, wrap=0.06)
    _lid(pen, look, neck, height)


def _spout(pen: Pen, look: Look, width: float, height: float) -> None:
    top = -height * look.between(0.65, 1.05)
    tip = width + look.between(0.26, 0.36)
    bends = ((width * 0.6, height * 0.45), (width + 0.08, height * 0.2), (tip - 0.12, top * 0.4), (tip, top))
    line = smooth(bends, closed=False)
    pen.fill(band(line, 0.24, 0.085), look.plain, padded(0.05, 0.8))
    end = line[-1]
    pen.fill(ellipse(end[0], end[1], 0.05, 0.022), look.plain.darker(0.65))


def _teapot_handle(pen: Pen, look: Look, width: float, height: float) -> None:
    paint = look.rng.choice((look.plain, look.plain, look.accent, look.wood()))
    if look.chance(0.3):
        arch = smooth(((0.0, -height * 2.3), (width * 0.7, -height * 1.6), (width * 0.62, -height * 0.6)), closed=False)
        pen.fill(band(join(flipped(arch), arch[1:]), 0.06), paint, padded(0.025, 0.7))
        return
    reach = look.between(0.22, 0.32)
    ear = ellipse(-width * 0.85, -height * 0.1, reach, height * look.between(0.55, 0.7), 75, 285)
    pen.fill(band(ear, 0.085), paint, padded(0.03, 0.7))


def _lid(pen: Pen, look: Look, neck: float, height: float) -> None:
    rise = look.between(0.08, 0.16)
    cover = lathe(((0.0, -height - rise), (neck * 0.7, -height - rise * 0.75), (neck * 1.1, -height + 0.02)))
    pen.fill(cover, look.plain if look.chance(0.6) else look.accent, ball(0.4, 0.6), cast=0.35)
    knob = look.accent if look.chance(0.4) else look.plain
    pen.fill(ellipse(0, -height - rise - 0.035, 0.055, 0.05), knob, ball(0.5, 0.7))


def bottle(pen: Pen, look: Look) -> None:
    if look.chance(0.5):
        _wine_bottle(pen, look)
    else:
        _flask(pen, look)


def _wine_bottle(pen: Pen, look: Look) -> None:
    width, neck = look.between(0.2, 0.26), look.between(0.07, 0.085)
    shoulder = look.between(-0.38, -0.15)
    bend = ((neck, shoulder - 0.16), (width * 0.85, shoulder), (width, shoulder + 0.16))
    body = join(lathe(((neck, -0.78), *bend, (width, 0.74), (width * 0.93, 0.8))))
    glass = look.plain.darker(0.25)
    pen.fill(body, glass, round_body(0.55, 0.8))
    top, bottom = shoulder + look.between(0.22, 0.3), look.between(0.5, 0.64)
    label = _sleeve(width, top, bottom)
    pen.fill(label, look.main if look.main.pattern else Paint(CREAM), round_body(0.12, 0.45), wrap=0.03)
    if not look.main.pattern:
        _print(pen, look, width, (top + bottom) / 2)
    cap = look.rng.choice((look.accent, Paint(GOLD), Paint(INK)))
    pen.fill(box(-neck * 1.1, -0.82, neck * 1.1, -0.82 + look.between(0.12, 0.3), 0.02), cap, round_body(0.4, 0.7))
    streak = box(-width * 0.72, shoulder + 0.15, -width * 0.72 + 0.03, 0.72, 0.015)
    pen.glow(streak, 0.25, 0.012, clip=body)


def _sleeve(width: float, top: float, bottom: float) -> Points:
    """A label around a round body, seen a little from above."""
    return join(ellipse(0, top, width, 0.03, 180, 0), ellipse(0, bottom, width, 0.03, 0, 180))


def _print(pen: Pen, look: Look, width: float, y: float) -> None:
    ink = look.accent.darker(0.2)
    pen.fill(ellipse(0, y - 0.05, width * 0.3, width * 0.3), ink, round_body(0, 0.2))
    for index in range(3):
        half = width * (0.55 - 0.12 * index)
        pen.line(segment(-half, y + 0.08 + 0.05 * index, half, y + 0.08 + 0.05 * index), 0.014, ink)


def _flask(pen: Pen, look: Look) -> None:
    """A drinking bottle for the road."""
    width, top = look.between(0.23, 0.31), look.between(-0.5, -0.36)
    neck = width * look.between(0.55, 0.8)
    bend = ((width * 0.92, top + 0.14), (width, top + 0.26), (width, 0.7))
    body = lathe(((neck, top), *bend, (width * 0.92, 0.78)))
    pen.fill(body, look.main, round_body(look.between(0.1, 0.45), 0.65), wrap=0.03)
    if look.chance(0.5):
        pen.fill(_sleeve(width * 0.99, 0.64, 0.76), Paint(STEEL), round_body(0.5, 0.6), clip=body)
    lid = look.rng.choice((Paint(INK), Paint(STEEL), look.accent, look.plain.darker(0.3)))
    rise = look.between(0.14, 0.2)
    if look.chance(0.6):
        loop = ellipse(0, top - rise, neck * 0.75, look.between(0.1, 0.16), 180, 360)
        pen.fill(band(loop, 0.05), lid, padded(0.02))
    cap = box(-neck * 1.02, top - rise, neck * 1.02, top + 0.01, 0.03)
    pen.fill(cap, lid, both(round_body(0.3, 0.7), slope(0.05, -0.1)))
    pen.line(segment(-neck, top - 0.01, neck, top - 0.01), 0.02, lid.darker(0.4))
