"""Colors in CIE L*a*b*: the published ones, and those of the plain formula."""

import itertools

import numpy as np

from services.lab import from_srgb, to_srgb

PUBLISHED = {
    (255, 0, 0): (53.24, 80.09, 67.20),
    (0, 255, 0): (87.73, -86.18, 83.18),
    (0, 0, 255): (32.30, 79.19, -107.86),
    (255, 255, 255): (100, 0, 0),
    (0, 0, 0): (0, 0, 0),
    (119, 119, 119): (50.03, 0, 0),
}
"""Of sRGB under D65 (B. Lindbloom's calculator, whose matrix has more digits than the standard's)."""


def plain(color: tuple[int, int, int]) -> tuple[float, float, float]:
    """One color by IEC 61966-2-1 and CIE 15:2004, step by step."""
    r, g, b = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (value / 255 for value in color))
    x, y, z = (
        (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505,
        0.2126 * r + 0.7152 * g + 0.0722 * b,
        (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089,
    )
    f, g, h = (t ** (1 / 3) if t > 216 / 24389 else (841 / 108) * t + 4 / 29 for t in (x, y, z))
    return 116 * g - 16, 500 * (f - g), 200 * (g - h)


def test_the_colors_are_the_published_ones() -> None:
    np.testing.assert_allclose(from_srgb(np.array([*PUBLISHED], np.uint8)), [*PUBLISHED.values()], atol=0.03)


def test_the_colors_are_those_of_the_formula() -> None:
    colors = [*itertools.product((0, 1, 9, 10, 11, 12, 40, 128, 200, 254, 255), repeat=3)]
    np.testing.assert_allclose(from_srgb(np.array(colors, np.uint8)), [plain(color) for color in colors], atol=1e-9)


def test_gray_has_no_hue() -> None:
    gray = from_srgb(np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1))
    np.testing.assert_allclose(gray[:, 1:], 0, atol=1e-9)
    assert (np.diff(gray[:, 0]) > 0).all()


def test_the_shape_is_that_of_the_colors() -> None:
    """Whatever the order in memory, and none at all."""
    colors = np.random.default_rng(1).integers(0, 256, (4, 5, 3), np.uint8)
    whole = from_srgb(colors)
    assert whole.shape == (4, 5, 3) and whole.dtype == np.float64
    assert np.array_equal(from_srgb(np.asfortranarray(colors)), whole)
    assert np.array_equal(from_srgb(colors[::-1, 2]), whole[::-1, 2])
    assert from_srgb(colors[:0]).shape == (0, 5, 3)


def test_the_way_back_gives_the_colors_that_were_there() -> None:
    colors = np.array([*itertools.product((0, 1, 9, 10, 11, 12, 40, 128, 200, 254, 255), repeat=3)], np.uint8)
    # To a hundredth: the matrices of the standard have four digits, and a dark blue is less than that of white.
    np.testing.assert_allclose(to_srgb(from_srgb(colors)), colors, atol=0.01)
    assert to_srgb(np.array([(150.0, 0, 0), (50, 300, 0)])).max() <= 255
