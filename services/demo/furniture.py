"""Lamps, chairs and sofas."""

from dataclasses import dataclass

from services.demo.curves import Points, band, box, ellipse, join, lathe, moved, polygon, segment, smooth
from services.demo.look import Look
from services.demo.palette import GOLD, INK, STEEL
from services.demo.pen import Paint, Pen
from services.demo.shades import ball, padded, round_body, slope


def lamp(pen: Pen, look: Look) -> None:
    """A table lamp."""
    top, bottom = -0.78, look.between(-0.2, -0.05)
    wide = look.between(0.4, 0.56)
    narrow = wide * look.between(0.45, 0.9)
    _lamp_foot(pen, look, bottom)
    sag = look.between(0.03, 0.08)
    pen.fill(ellipse(0, bottom, wide, sag), look.plain.darker(0.5))
    shade = join(ellipse(0, top, narrow, sag * 0.6, 180, 360), ellipse(0, bottom, wide, sag, 0, 180))
    pen.fill(shade, look.main, round_body(0.05, 0.4), cast=0.4, wrap=sag)
    if look.chance(0.55):
        pen.glow(ellipse(0, bottom - 0.2, wide * 0.55, 0.25), look.between(0.25, 0.5), 0.12, clip=shade)
    if look.chance(0.5):
        for y, half in ((top, narrow), (bottom, wide)):
            pen.line(ellipse(0, y, half, sag, 170, 10), 0.022, look.accent)


def _lamp_foot(pen: Pen, look: Look, bottom: float) -> None:
    paint = look.rng.choice((Paint(GOLD), Paint(INK), Paint(STEEL), look.wood(), look.accent))
    pen.line(segment(0, bottom - 0.1, 0, 0.72), 0.05, paint, round_body(0.5, 0.7))
    base = look.between(0.22, 0.32)
    form = look.rng.randrange(3)
    if form == 0:
        gourd = ((0.03, bottom), (0.07, bottom + 0.12), (base, 0.3), (base * 0.8, 0.62), (base * 0.5, 0.76))
        pen.fill(lathe(gourd), look.accent, ball(0.5, 0.75))
    elif form == 1:
        for y, half in ((0.05, 0.1), (0.25, 0.15), (0.48, 0.19)):
            pen.fill(ellipse(0, y, half, 0.12), paint, ball(0.5, 0.75))
    pen.fill(ellipse(0, 0.75, base, 0.07), paint.darker(0.35), round_body(0.2, 0.6))
    pen.fill(ellipse(0, 0.73, base, 0.07), paint, round_body(0.4, 0.6))


def chair(pen: Pen, look: Look) -> None:
    """Seen half from the side: the seat is a slanted rectangle, the back stands on its far edge."""
    half, slant = look.between(0.32, 0.4), look.between(0.1, 0.2)
    seat, depth = look.between(0.12, 0.2), look.between(0.16, 0.24)
    frame = look.rng.choice((look.wood(), look.wood(), Paint(INK), Paint(STEEL)))
    width = look.between(0.045, 0.07)
    far = seat - depth
    _legs(pen, frame, width, half, slant, seat, far, look.between(0, 0.1))
    lean = slant + look.between(0.02, 0.1)
    _chair_back(pen, look, frame, width, Back(half * 0.86, slant, lean, far, look.between(-0.8, -0.6)))
    corners = polygon((-half, seat), (half, seat), (half * 0.92 + slant, far), (-half * 0.92 + slant, far))
    padding = look.main if look.chance(0.8) else frame
    front = polygon((-half, seat), (half, seat), (half, seat + 0.07), (-half, seat + 0.07))
    side = polygon((half, seat), (half * 0.92 + slant, far), (half * 0.92 + slant, far + 0.06), (half, seat + 0.07))
    pen.fill(corners, padding, slope(-0.1, 0.08), cast=0.3)
    pen.fill(front, padding.darker(0.2), slope(0, -0.2))
    pen.fill(side, padding.darker(0.35))
    if look.chance(0.25):
        _arms(pen, frame, half, slant, seat, far)


def _legs(
    pen: Pen, frame: Paint, width: float, half: float, slant: float, seat: float, far: float, splay: float
) -> None:
    for x, y, floor, out in (
        (-half * 0.85 + slant, far, 0.66, -splay),
        (half * 0.85 + slant, far, 0.66, splay),
        (-half * 0.92, seat, 0.82, -splay),
        (half * 0.92, seat, 0.82, splay),
    ):
        paint = frame.darker(0.3) if floor < 0.7 else frame
        pen.fill(band(segment(x, y, x + out, floor), width, width * 0.7), paint, round_body(0.15, 0.6))


@dataclass(frozen=True)
class Back:
    """The back of a chair: from the far edge of the seat up to `top`, leaning from `foot` to `head`."""

    half: float
    foot: float
    head: float
    far: float
    top: float

    def at(self, side: float, height: float) -> tuple[float, float]:
        """A place on it: -1 to 1 from left to right, 0 to 1 from the seat upwards."""
        lean = self.foot + (self.head - self.foot) * height
        return side * self.half + lean, self.far + (self.top - self.far) * height


def _chair_back(pen: Pen, look: Look, frame: Paint, width: float, back: Back) -> None:
    form = look.rng.choice((_panel, _slats, _spindles))
    for side in (-1, 1):
        pen.line(segment(*back.at(side, 0), *back.at(side, 1)), width, frame, round_body(0.15, 0.6))
    form(pen, look, frame, back)


def _panel(pen: Pen, look: Look, frame: Paint, back: Back) -> None:
    low = look.between(0.1, 0.35)
    sides = ((1.06, low), (1.06, low), (1.12, 0.75), (0.85, 1.03), (0.0, 1.05))
    right = [back.at(side, height) for side, height in sides]
    left = [back.at(-side, height) for side, height in sides[-2::-1]]
    pen.fill(smooth((*right, *left)), look.main, padded(0.06, 0.6), cast=0.2)


def _slats(pen: Pen, look: Look, frame: Paint, back: Back) -> None:
    count, thick = look.rng.randint(2, 4), look.between(0.07, 0.12)
    for index in range(count):
        height = 0.94 - index / count * 0.72
        bow = smooth((back.at(-1, height), back.at(0, height + 0.05), back.at(1, height)), closed=False)
        pen.fill(band(bow, thick), look.main if index == 0 else look.plain, slope(0.1, -0.2), cast=0.2)


def _spindles(pen: Pen, look: Look, frame: Paint, back: Back) -> None:
    count = look.rng.randint(2, 5)
    for index in range(count):
        side = ((index + 0.5) / count * 2 - 1) * 0.9
        pen.line(segment(*back.at(side, 0), *back.at(side, 1)), 0.045, frame, round_body(0.1, 0.5))
    rail = smooth((back.at(-1.08, 0.95), back.at(0, 1.03), back.at(1.08, 0.95)), closed=False)
    pen.fill(band(rail, 0.15), look.main, slope(0.1, -0.2), cast=0.2)


def _arms(pen: Pen, frame: Paint, half: float, slant: float, seat: float, far: float) -> None:
    for side in (-1, 1):
        x = side * half
        pen.line(segment(x * 0.95, seat, x, seat - 0.26), 0.05, frame, round_body(0.1, 0.5))
        pen.line(segment(x * 1.02, seat - 0.26, x * 0.9 + slant, far - 0.28), 0.06, frame, slope(0.15, -0.15))


def sofa(pen: Pen, look: Look) -> None:
    half, arm = look.between(0.72, 0.86), look.between(0.13, 0.2)
    back, seat = look.between(-0.36, -0.22), look.between(0.06, 0.14)
    feet = look.rng.choice((look.wood(), Paint(INK), Paint(STEEL)))
    for x in (-half + 0.08, half - 0.08):
        pen.fill(band(segment(x, 0.4, x * 1.03, 0.56), 0.07, 0.04), feet, round_body(0.2, 0.6))
    pen.fill(box(-half + 0.03, back, half - 0.03, 0.4, 0.1), look.main.darker(0.12), padded(0.08, 0.5))
    seats = look.rng.choice((2, 2, 3))
    _cushions(pen, look, seats, half - arm, back, seat)
    pen.fill(box(-half + 0.05, 0.3, half - 0.05, 0.45, 0.03), look.main.darker(0.15), slope(-0.05, -0.25))
    for side in (-1, 1):
        pen.fill(_armrest(look, side, half, arm, back), look.main, padded(0.07, 0.7), cast=0.3)
    if look.chance(0.6):
        _throw_pillows(pen, look, half - arm, seat)


def _cushions(pen: Pen, look: Look, seats: int, half: float, back: float, seat: float) -> None:
    width = 2 * half / seats
    for index in range(seats):
        left = -half + index * width
        cushion = box(left + 0.008, back + 0.06, left + width - 0.008, seat + 0.08, 0.07)
        pen.fill(cushion, look.main, padded(0.06, 0.9), cast=0.4)
    for index in range(seats):
        left = -half + index * width
        cushion = box(left + 0.005, seat, left + width - 0.005, 0.33, 0.06)
        pen.fill(cushion, look.main.lighter(0.05), padded(0.05, 0.9), cast=0.6)


def _armrest(look: Look, side: int, half: float, arm: float, back: float) -> Points:
    top = back + look.between(0.14, 0.2)
    outer, inner = side * half, side * (half - arm)
    return box(min(outer, inner), top, max(outer, inner), 0.46, look.between(0.05, 0.1))


def _throw_pillows(pen: Pen, look: Look, half: float, seat: float) -> None:
    corners = ((-1.0, -1.0), (0.0, -0.85), (1.0, -1.0), (0.88, 0.0), (1.0, 1.0), (0.0, 0.9), (-1.0, 1.0), (-0.88, 0.0))
    for side in look.rng.choice(((-1,), (1,), (-1, 1))):
        x, size = side * half * 0.72, look.between(0.13, 0.17)
        pillow = moved(smooth(corners) * size, x, seat - size * 0.6)
        pen.fill(pillow, look.accent, padded(0.07, 0.7), cast=0.4)
