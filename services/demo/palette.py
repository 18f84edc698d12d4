"""The colors of the demo catalog."""

import math
from random import Random

RGB = tuple[int, int, int]

COLORS: dict[str, RGB] = {
    "red": (196, 52, 50),
    "orange": (224, 122, 52),
    "yellow": (232, 184, 66),
    "green": (88, 138, 82),
    "teal": (42, 132, 132),
    "blue": (70, 124, 190),
    "navy": (42, 58, 98),
    "purple": (122, 88, 156),
    "pink": (222, 138, 158),
    "brown": (134, 88, 58),
    "black": (48, 48, 52),
    "white": (238, 236, 230),
    "gray": (146, 150, 154),
    "beige": (214, 194, 162),
}

BACKGROUNDS: tuple[RGB, ...] = (
    (236, 234, 230),
    (222, 226, 230),
    (238, 226, 208),
    (206, 220, 224),
    (214, 224, 204),
    (240, 210, 200),
    (226, 212, 232),
    (178, 198, 214),
    (196, 180, 160),
    (158, 172, 158),
    (216, 172, 142),
    (140, 152, 170),
    (112, 122, 116),
    (92, 100, 122),
    (240, 214, 150),
    (128, 164, 170),
)

CREAM: RGB = (246, 240, 228)
INK: RGB = (40, 42, 50)
STEEL: RGB = (186, 190, 196)
GOLD: RGB = (204, 166, 92)
WOODS: tuple[RGB, ...] = ((186, 138, 90), (146, 100, 62), (104, 70, 46), (208, 172, 124))
LEATHERS: tuple[RGB, ...] = ((124, 78, 48), (84, 54, 38), (52, 44, 42), (168, 118, 74))


def mixed(one: RGB, other: RGB, share: float) -> RGB:
    """`one` with a share of `other`."""
    r, g, b = (round(a + (z - a) * share) for a, z in zip(one, other, strict=True))
    return r, g, b


def darker(color: RGB, share: float) -> RGB:
    return mixed(color, (16, 16, 24), share)


def lighter(color: RGB, share: float) -> RGB:
    return mixed(color, (255, 255, 255), share)


def brightness(color: RGB) -> float:
    """0 to 255, as the eye weighs it."""
    return 0.3 * color[0] + 0.59 * color[1] + 0.11 * color[2]


def distance(one: RGB, other: RGB) -> float:
    return math.dist(one, other)


def shade_of(name: str, rng: Random) -> RGB:
    """A named color as one product has it: no two blues are the same."""
    r, g, b = (min(250, max(22, round(part + rng.uniform(-12, 12)))) for part in COLORS[name])
    return r, g, b


def second_to(color: RGB, rng: Random) -> RGB:
    """A color for the pattern that can be told from the first."""
    light = brightness(color) > 140
    choices = [CREAM, CREAM, *COLORS.values()]
    fitting = [
        other
        for other in choices
        if distance(color, other) > 110 and (brightness(other) < 110 if light else brightness(other) > 150)
    ]
    return rng.choice(fitting)
