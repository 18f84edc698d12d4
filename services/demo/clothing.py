"""T-shirts, dresses and hats."""

from services.demo.curves import Points, arch, band, box, ellipse, flipped, join, lathe, moved, segment, smooth
from services.demo.look import Look
from services.demo.palette import CREAM, INK
from services.demo.pen import Paint, Pen
from services.demo.shades import padded, round_body, slope


def t_shirt(pen: Pen, look: Look) -> None:
    shoulder, chest = look.between(0.38, 0.46), look.between(0.4, 0.48)
    hem, reach = look.between(0.62, 0.78), look.between(0.7, 0.84)
    neck, scoop = look.between(0.16, 0.2), look.between(0.1, 0.3)
    tip = look.between(-0.16, 0.02)
    pointed = look.chance(0.3)
    collar = smooth(((neck, -0.66), (neck * 0.9, -0.6), (0, -0.57), (-neck * 0.9, -0.6), (-neck, -0.66)))
    pen.fill(collar, look.plain.darker(0.5))
    paint = look.accent if look.chance(0.15) else look.main
    for side in (1, -1):
        pen.fill(_sleeve(shoulder, reach, tip) * (side, 1), paint.turned(-28.0 * side), padded(0.06, 0.6))
        cuff = segment(reach - 0.01, tip - 0.03, shoulder * 1.05, tip + 0.17) * (side, 1)
        pen.line(cuff, 0.03, look.plain.darker(0.15))
    seam = ((shoulder, -0.56), (chest, -0.22), (chest * 0.98, 0.2), (chest * 1.02, hem))
    right = smooth(((neck, -0.68), *seam), closed=False)
    bottom = smooth(((chest * 1.02, hem), (0.0, hem + 0.035), (-chest * 1.02, hem)), closed=False)
    body = join(right, bottom, flipped(right), _neckline(neck, scoop, pointed))
    pen.fill(body, look.main, padded(0.09, 0.6), cast=0.25)
    rib = band(_neckline(neck * 1.06, scoop + 0.012, pointed), 0.05)
    pen.fill(rib, look.rng.choice((look.plain.darker(0.2), look.accent)), slope(0.1, -0.1))
    _print(pen, look)
    _folds(pen, look, body, chest, -0.3, hem)
    pen.dim(band(moved(bottom, 0, -0.045), 0.008), 0.4, clip=body)


def _sleeve(shoulder: float, reach: float, tip: float) -> Points:
    return smooth((
        (shoulder * 0.8, -0.6), (shoulder, -0.57), (reach * 0.88, -0.35), (reach, tip - 0.04), (reach, tip - 0.04),
        (shoulder * 1.02, tip + 0.18), (shoulder * 1.02, tip + 0.18), (shoulder * 0.8, -0.2),
    ))  # fmt: skip


def _neckline(neck: float, scoop: float, pointed: bool) -> Points:
    low = -0.68 + scoop + (0.1 if pointed else 0.0)
    rounded = ((-neck * 0.6, low - 0.04), (0.0, low), (neck * 0.6, low - 0.04))
    deepest = ((0.0, low), (0.0, low)) if pointed else rounded
    return smooth(((-neck, -0.68), *deepest, (neck, -0.68)), closed=False)


def _print(pen: Pen, look: Look) -> None:
    """What is on the chest of a plain shirt."""
    if look.main.pattern or look.chance(0.4):
        return
    form = look.rng.randrange(3)
    if form == 0:
        pen.fill(ellipse(0, -0.12, 0.17, 0.17), look.accent)
    elif form == 1:
        for index in range(3):
            pen.fill(box(-0.2, -0.25 + 0.1 * index, 0.2, -0.19 + 0.1 * index, 0.02), look.accent)
    else:
        pen.fill(box(0.12, -0.3, 0.3, -0.1, 0.02), look.accent, padded(0.02))


def _folds(pen: Pen, look: Look, body: Points, half: float, top: float, bottom: float) -> None:
    """Soft creases that run down cloth."""
    for _ in range(look.rng.randint(3, 6)):
        x, y = look.between(-0.8, 0.8) * half, look.between(top, (top + bottom) / 2)
        drop, drift = look.between(0.3, 0.55), look.between(-0.06, 0.06)
        crease = smooth(((x, y), (x + drift, y + drop * 0.5), (x + drift * 0.5, y + drop)), closed=False)
        pen.dim(band(crease, 0.01, 0.05), look.between(0.1, 0.2), 0.03, clip=body)
        pen.glow(band(moved(crease, 0.05, 0), 0.01, 0.04), look.between(0.05, 0.12), 0.03, clip=body)


def dress(pen: Pen, look: Look) -> None:
    waist, hip = look.between(0.17, 0.22), look.between(-0.18, -0.06)
    hem, wide = look.between(0.55, 0.86), look.between(0.36, 0.62)
    bust = waist * look.between(1.25, 1.4)
    top = look.between(-0.62, -0.54)
    _straps(pen, look, bust, top)
    bodice = lathe(((bust * 0.85, top), (bust, top + 0.14), (waist, hip)))
    flare = look.between(0.5, 0.8)
    ease = waist + (wide - waist) * flare
    right = smooth(((waist, hip - 0.01), (ease, hip + (hem - hip) * 0.45), (wide, hem)), closed=False)
    waves = look.rng.randint(3, 6)
    edge = _hem(wide, hem, waves)
    skirt = join(right, edge, flipped(right))
    pen.fill(skirt, look.main, padded(0.1, 0.5))
    _pleats(pen, look, skirt, waist, wide, hip, hem, waves)
    bodice_paint = look.main if look.chance(0.7) else look.accent
    pen.fill(bodice, bodice_paint, round_body(0.0, 0.5))
    if look.chance(0.6):
        belt = box(-waist * 1.03, hip - 0.04, waist * 1.03, hip + 0.04, 0.01)
        pen.fill(belt, look.accent, round_body(0.1, 0.5), cast=0.2)


def _straps(pen: Pen, look: Look, bust: float, top: float) -> None:
    form = look.rng.randrange(3)
    for side in (-1, 1):
        if form == 0:
            loop = smooth(
                ((0.8, top + 0.06), (0.74, -0.8), (0.6, -0.86), (0.5, -0.8), (0.46, top + 0.06)), closed=False
            )
            pen.line(loop * (side * bust, 1), 0.03, look.plain.darker(0.1))
        elif form == 1:
            strap = smooth(((0.3, top + 0.08), (0.42, -0.8), (0.9, -0.8), (0.98, -0.6), (0.8, top + 0.1)))
            pen.fill(strap * (side * bust, 1), look.main, padded(0.04, 0.5))
        else:
            arm = ((1.0, -0.77), (1.75, -0.5), (1.6, -0.34), (1.2, -0.36))
            sleeve = smooth(((0.25, top + 0.06), (0.4, -0.8), *arm, (0.8, top + 0.12)))
            pen.fill(sleeve * (side * bust, 1), look.main.turned(-20.0 * side), padded(0.06, 0.6))


def _hem(wide: float, hem: float, waves: int) -> Points:
    corners = [(wide * (1 - 2 * i / (2 * waves)), hem + (0.05 if i % 2 else 0.015)) for i in range(2 * waves + 1)]
    return smooth(corners, closed=False)


def _pleats(pen: Pen, look: Look, skirt: Points, waist: float, wide: float, hip: float, hem: float, waves: int) -> None:
    for index in range(2 * waves + 1):
        share = 1 - index / waves
        middle = (share * (waist + wide) * 0.47, (hip + hem) / 2)
        line = smooth(((waist * share, hip), middle, (wide * share, hem + 0.05)), closed=False)
        if index % 2:
            pen.glow(band(line, 0.005, 0.07), 0.12, 0.02, clip=skirt)
        else:
            pen.dim(band(line, 0.01, 0.09), 0.3, 0.02, clip=skirt)


def hat(pen: Pen, look: Look) -> None:
    """A brim, a crown on it, a ribbon around that."""
    brim, tilt = look.between(0.66, 0.86), look.between(0.12, 0.22)
    crown, height = look.between(0.33, 0.42), look.between(0.4, 0.58)
    level = look.between(0.18, 0.3)
    curl = look.between(0.0, 0.22) if look.chance(0.6) else look.between(-0.08, 0.0)
    pen.fill(_brim(brim, level, tilt, curl), look.main, padded(0.08, 0.6))
    pen.dim(ellipse(0.05, level + 0.02, crown * 1.15, tilt * 0.75), 0.45, 0.04)
    top = level - height
    taper = crown * look.between(0.68, 0.9)
    shape = _crown(look.rng.randrange(3), crown, taper, top, level, tilt)
    pen.fill(shape, look.main, round_body(0.05, 0.55), wrap=tilt * 0.3)
    pen.dim(ellipse(0.0, top + 0.02, taper * 0.5, 0.05), 0.3, 0.03, clip=shape)
    deep = look.between(0.09, 0.15)
    upper = ellipse(0, level - deep, crown, tilt * 0.42, 178, 2)
    ribbon = join(upper, ellipse(0, level + 0.015, crown * 1.03, tilt * 0.45, 2, 178))
    paint = look.rng.choice((look.accent, Paint(INK), Paint(CREAM), look.leather()))
    pen.fill(ribbon, paint, round_body(0.1, 0.6))
    if look.chance(0.3):
        feather = smooth(((0.0, -0.02), (0.05, -0.22), (0.16, -0.4), (0.11, -0.16)))
        pen.fill(moved(feather, crown * 0.75, level), look.accent.lighter(0.2), padded(0.02), cast=0.3)


def _brim(brim: float, level: float, tilt: float, curl: float) -> Points:
    """`curl` lifts its ends, as on a hat for riding."""
    around = ellipse(0, level, brim, tilt, 0, 360, 96)
    around[:, 1] -= curl * (around[:, 0] / brim) ** 2
    return around


def _crown(form: int, crown: float, taper: float, top: float, level: float, tilt: float) -> Points:
    foot, half = ellipse(0, level, crown, tilt * 0.45, 0, 180), (top + level) / 2
    if form == 0:
        creased = ((taper * 0.6, top - 0.02), (taper, top + 0.08), (taper * 1.06, half))
        line = arch(((0.0, top + 0.07), *creased, (crown, level)))
    elif form == 1:
        domed = ((taper * 0.6, top + 0.01), (taper, top + 0.12), (crown * 0.96, half))
        line = arch(((0.0, top - 0.02), *domed, (crown, level)))
    else:
        line = arch(((0.0, top - 0.03), (taper * 0.88, top), (taper, top + 0.06), (crown, level)))
    return join(line, foot)
