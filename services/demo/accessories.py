"""Watches, umbrellas and sunglasses."""

from itertools import pairwise

from services.demo.curves import Points, band, box, ellipse, join, moved, polygon, segment, smooth, spun
from services.demo.look import Look
from services.demo.palette import CREAM, GOLD, INK, STEEL
from services.demo.pen import Paint, Pen
from services.demo.shades import both, padded, round_body, sideways, slope


def watch(pen: Pen, look: Look) -> None:
    size = look.between(0.3, 0.38)
    metal = Paint(look.rng.choice((GOLD, STEEL, STEEL, (60, 62, 66), (206, 150, 128))))
    square = look.chance(0.3)
    _watch_strap(pen, look, size)
    for x in (size, size + 0.05):
        pen.fill(box(x - 0.02, -0.045, x + 0.05, 0.045, 0.015), metal, slope(0.3, -0.4))
    pen.fill(_case(size, square), metal, both(padded(0.04, 0.9), sideways(0.15, -0.15)), cast=0.4)
    face = Paint(look.rng.choice((CREAM, CREAM, INK, (34, 52, 84), (226, 226, 220), look.plain.color)))
    pen.fill(_case(size * 0.84, square), metal.darker(0.45))
    pen.fill(_case(size * 0.81, square), face, slope(-0.12, 0.05))
    ink = Paint(INK) if sum(face.color) > 380 else Paint(CREAM)
    _dial(pen, look, size * 0.81, ink)
    glare = polygon((-size, -size * 0.2), (-size * 0.1, -size), (size * 0.3, -size), (-size, size * 0.35))
    pen.glow(glare, 0.12, 0.01, clip=_case(size * 0.8, square))


def _case(size: float, square: bool) -> Points:
    return box(-size * 0.92, -size, size * 0.92, size, size * 0.3) if square else ellipse(0, 0, size, size)


def _watch_strap(pen: Pen, look: Look, size: float) -> None:
    wide = size * look.between(0.55, 0.68)
    narrow = wide * look.between(0.75, 0.9)
    for side in (-1, 1):
        near, far = side * size * 0.6, side * 0.93
        strap = polygon((-wide, near), (wide, near), (narrow, far), (-narrow, far))
        ends = slope(-0.2, 0.0) if side < 0 else slope(0.0, -0.2)
        pen.fill(strap, look.main, both(round_body(0.05, 0.5), ends))
    if look.chance(0.4):
        for index in range(12):
            y = -0.9 + index * 0.16
            pen.dim(box(-wide, y, wide, y + 0.02), 0.5, 0.006)
    else:
        for side in (-1, 1):
            pen.line(segment(side * wide * 0.82, -0.93, side * wide * 0.82, 0.93), 0.012, look.accent)
    for index in range(3):
        pen.fill(ellipse(0, 0.62 + 0.1 * index, 0.022, 0.022), look.plain.darker(0.7))


def _dial(pen: Pen, look: Look, size: float, ink: Paint) -> None:
    for hour in range(12):
        long = 0.16 if hour % 3 == 0 else 0.09
        mark = box(-size * 0.03, -size * 0.92, size * 0.03, -size * (0.92 - long))
        pen.fill(spun(mark, 30 * hour), ink)
    if look.chance(0.35):
        pen.fill(ellipse(0, size * 0.45, size * 0.22, size * 0.22), ink, opacity=0.25)
    hours, minutes = look.rng.randrange(12), look.rng.randrange(60)
    pen.fill(spun(_hand(size * 0.5, size * 0.085), 30 * hours + minutes / 2), ink, cast=0.2)
    pen.fill(spun(_hand(size * 0.8, size * 0.06), 6 * minutes), ink, cast=0.2)
    pen.fill(spun(_hand(size * 0.85, size * 0.02), look.between(0, 360)), Paint((200, 60, 50)))
    pen.fill(ellipse(0, 0, size * 0.06, size * 0.06), ink)


def _hand(length: float, width: float) -> Points:
    half = width / 2
    return polygon(
        (-half, length * 0.15), (-half, -length * 0.9), (0, -length), (half, -length * 0.9), (half, length * 0.15)
    )


def umbrella(pen: Pen, look: Look) -> None:
    half, top = look.between(0.72, 0.86), look.between(-0.62, -0.5)
    edge, ribs = look.between(-0.06, 0.08), look.rng.choice((4, 5, 6))
    metal = look.rng.choice((Paint(STEEL), Paint(INK), look.wood()))
    _stick(pen, look, metal, edge)
    pen.line(segment(0, top + 0.05, 0, top - 0.14), 0.03, metal, round_body(0.4, 0.6))
    canopy, seams = _canopy(half, top, edge, ribs)
    lower = ellipse(0, edge - 0.02, half * 0.97, look.between(0.05, 0.1))
    pen.fill(lower, look.plain.darker(0.6))
    pen.fill(canopy, look.main, both(padded(0.12, 0.6), round_body(0.05, 0.45)))
    for index, seam in enumerate(seams):
        pen.dim(band(seam, 0.012, 0.05), 0.3, 0.018, clip=canopy)
        if index % 2 and look.main.pattern is None and look.rng.random() < 0.4:
            continue
        pen.line(seam, 0.008, look.plain.darker(0.4))


def _canopy(half: float, top: float, edge: float, ribs: int) -> tuple[Points, list[Points]]:
    """The outline, and the seams from the tip to the scallops."""
    dome = ellipse(0, edge, half, edge - top, 180, 360)
    ends = [half * (1 - 2 * index / ribs) for index in range(ribs + 1)]
    bows = [ellipse((one + other) / 2, edge, (one - other) / 2, 0.075, 0, -180, 16) for one, other in pairwise(ends)]
    seams = [_seam(end, half, top, edge) for end in ends[1:-1]]
    return join(dome, *bows), seams


def _seam(end: float, half: float, top: float, edge: float) -> Points:
    share = abs(end) / half
    quarter = ellipse(0, edge, abs(end) + 1e-3, edge - top, -90, 0, 24)
    straight = segment(0, top, 0, edge, 24)
    line = quarter if share > 0.05 else straight
    return line * (-1 if end < 0 else 1, 1)


def _stick(pen: Pen, look: Look, metal: Paint, edge: float) -> None:
    grip = look.rng.choice((look.wood(), Paint(INK), look.accent))
    foot = look.between(0.56, 0.68)
    pen.line(segment(0, edge - 0.1, 0, foot), 0.032, metal, round_body(0.4, 0.6))
    if look.chance(0.75):
        hook = join(segment(0, foot - 0.14, 0, foot), ellipse(0.12, foot, 0.12, 0.14, 180, 0))
        pen.fill(band(hook, 0.062), grip, padded(0.025, 0.7))
    else:
        pen.fill(box(-0.045, foot - 0.12, 0.045, foot + 0.14, 0.03), grip, round_body(0.3, 0.6))


def sunglasses(pen: Pen, look: Look) -> None:
    gap, wide, tall = look.between(0.07, 0.1), look.between(0.28, 0.33), look.between(0.21, 0.29)
    form = look.rng.randrange(4)
    rim = look.between(1.12, 1.22) if form != 2 else 1.08
    glass = Paint(look.rng.choice(((40, 42, 48), (58, 44, 36), (40, 60, 84), (52, 74, 60), (104, 64, 84))))
    _temples(pen, look, gap, wide, tall)
    bridge = smooth(((-gap * 1.3, -tall * 0.35), (0, -tall * 0.55), (gap * 1.3, -tall * 0.35)), closed=False)
    pen.line(bridge, 0.05, look.plain, padded(0.02, 0.7))
    if form == 2 or look.chance(0.2):
        bar = segment(-gap - wide * 0.5, -tall * 0.85, gap + wide * 0.5, -tall * 0.85)
        pen.line(bar, 0.03, look.plain, padded(0.02))
    for side in (-1, 1):
        frame = _lens(form, gap + wide, wide * rim, tall * rim) * (side, 1)
        pen.fill(frame, look.main, padded(0.025, 0.8), cast=0.3)
        lens = _lens(form, gap + wide, wide * 0.96, tall * 0.94) * (side, 1)
        pen.fill(lens, glass, slope(-0.35, 0.28))
        x = side * (gap + wide)
        glare = polygon((x - 0.22, tall), (x - 0.02, -tall), (x + 0.08, -tall), (x - 0.12, tall))
        pen.glow(glare, look.between(0.1, 0.3), 0.012, clip=lens)


def _temples(pen: Pen, look: Look, gap: float, wide: float, tall: float) -> None:
    """The arms: open behind the lenses, as on a table."""
    rise = look.between(0.25, 0.45)
    arm = smooth(((1.0, 0.0), (0.98, -rise * 0.6), (0.84, -rise), (0.7, -rise * 0.95)), closed=False)
    for side in (-1, 1):
        line = moved(arm * (side * (gap + 2 * wide), 1), 0, -tall * 0.5)
        pen.fill(band(line, 0.07, 0.04), look.plain.darker(0.25), padded(0.02, 0.6))


def _lens(form: int, x: float, wide: float, tall: float) -> Points:
    """Round, square, dropped as a pilot's, or pointed as a cat's eye."""
    if form == 0:
        return ellipse(x, 0, wide * 0.92, tall * 1.05)
    outline = (
        ((-1, -0.7), (0, -1), (1.05, -0.85), (0.85, 0.5), (0, 1), (-0.8, 0.6)),
        ((-1, -0.75), (0, -0.85), (1, -0.8), (0.95, 0.3), (0.3, 1.15), (-0.6, 0.6)),
        ((-0.95, -0.4), (0.2, -0.8), (1.2, -1.1), (0.95, 0.3), (0.1, 0.85), (-0.8, 0.45)),
    )[form - 1]
    return moved(smooth(outline) * (wide, tall), x, 0)
