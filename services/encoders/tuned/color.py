"""The color of a product: how much of it has which color in CIE L*a*b*, whatever it was photographed on.

A picture is looked at without the white that pads it to a square, at a grid of samples. Each sample counts the more,
the less its color is like that of the frame, and is shared between the bins around its color. All that is decided
(where the padding ends, which colors are the background's) is decided on integers, and the rest has no jumps: machines
whose last digits differ give the same row within 1e-5.
"""

import math
from itertools import product

import numpy as np
import numpy.typing as npt

from services.encoders.recipes import digest
from services.lab import Lab, from_srgb
from services.records import Pixels, Vectors

Floats = npt.NDArray[np.float64]

BINS = (5, 7, 7)
"""Of L*, a* and b*."""
DIM = 245

# docs/decisions.md, "Color is counted where it is not the frame's", has what they were chosen from.
LOWEST, HIGHEST = (0.0, -80.0, -80.0), (100.0, 80.0, 80.0)
"""The L*a*b* of the centers of the first and the last bins. What is beyond counts as these."""
SAMPLED = 48
"""Samples on a side of the grid."""
FRAME = 2
"""How wide the frame is, in samples."""
NEAR = 20.0
"""The distance from the background, in L*a*b*, at which a sample counts half."""
LEAST = 0.001
"""What every sample counts. It decides where nothing is farther than 4 from the background: there, the picture counts
as a whole."""


def color_histograms(pixels: Pixels) -> Vectors:
    """The square roots of histograms of the foreground's colors: float32 (n, 245), rows of length one, none negative.

    The cosine of two rows is the Bhattacharyya coefficient of their histograms. Bins are ordered by L*, then a*, then
    b*. A row depends on its own picture only.

    Args:
        pixels: uint8 sRGB (n, side, side, 3), any n, zero included. Lines of pure white (255) on two opposite sides,
            as many on one as on the other, are padding.
    """
    rows = np.empty((len(pixels), DIM), np.float32)
    for row, picture in zip(rows, pixels, strict=True):
        samples = _sampled(_unpadded(picture))
        colors = from_srgb(samples.reshape(-1, 3))
        counts = _soft_histogram(colors, _foreground(colors, from_srgb(_backgrounds(samples))))
        row[:] = np.sqrt(counts / counts.sum())
    return rows


def recipe() -> str:
    """What tells this block from another one, in which a row would mean something else."""
    return digest(BINS, LOWEST, HIGHEST, SAMPLED, FRAME, NEAR, LEAST)


def _unpadded(picture: Pixels) -> Pixels:
    """The picture without its padding. White on all four sides is a background, not padding."""
    height, width = picture.shape[:2]
    lines = picture.reshape(height, -1)
    top, bottom = _white_ends(lines.min(axis=1) == 255)
    left, right = _white_ends(lines.min(axis=0).reshape(width, -1).min(axis=1) == 255)
    if min(top, bottom) and min(left, right):
        return picture
    return picture[top : height - bottom, left : width - right]


def _white_ends(white: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """How many white lines pad both ends. An odd number of them leaves one more at one end."""
    if white.all():
        return 0, 0
    first, last = int(white.argmin()), int(white[::-1].argmin())
    return min(first, last + 1), min(last, first + 1)


def _sampled(picture: Pixels) -> Pixels:
    """Pixels of the picture on an even grid: (SAMPLED, SAMPLED, 3)."""
    height, width = picture.shape[:2]
    middles = 2 * np.arange(SAMPLED) + 1
    return np.asarray(picture[middles * height // (2 * SAMPLED)][:, middles * width // (2 * SAMPLED)])


def _backgrounds(samples: Pixels) -> Pixels:
    """The median color of each quarter of the frame, which is what lies around a corner: (4, 3)."""
    half = SAMPLED // 2
    turned = (samples, samples[:, ::-1], samples[::-1], samples[::-1, ::-1])
    quarters = np.stack(
        [np.concatenate([s[:FRAME, :half], s[FRAME:half, :FRAME].swapaxes(0, 1)], axis=1) for s in turned]
    )
    colors = quarters.reshape(len(turned), -1, 3)
    middle = colors.shape[1] // 2
    return np.partition(colors, middle, axis=1)[:, middle]


def _foreground(colors: Lab, backgrounds: Lab) -> Floats:
    """How much each color (p, 3) counts, LEAST to 1 + LEAST, by its distance from the nearest background of (k, 3)."""
    squares = np.min([_squares(colors, background) for background in backgrounds], axis=0)
    ratio = (squares / NEAR**2) ** 2
    return np.asarray(ratio / (1 + ratio) + LEAST)


def _squares(colors: Lab, color: Lab) -> Floats:
    """The squared distances from one color: (p,)."""
    lightness, a, b = (colors - color).T
    return np.asarray(lightness * lightness + a * a + b * b)


def _soft_histogram(colors: Lab, weights: Floats) -> Floats:
    """The weights of colors (p, 3), each shared linearly between the 8 bins around it: shape (245,)."""
    counts = np.zeros(DIM)
    axes = [_two_bins(colors[:, axis], axis) for axis in range(len(BINS))]
    for (bin_l, share_l), (bin_a, share_a), (bin_b, share_b) in product(*axes):
        counts += np.bincount(bin_l + bin_a + bin_b, weights * share_l * share_a * share_b, minlength=DIM)
    return counts


def _two_bins(values: Floats, axis: int) -> list[tuple[npt.NDArray[np.intp], Floats]]:
    """The lower and the upper bin around each value of an axis: what it adds to a bin's index, the value's share."""
    last, stride = BINS[axis] - 1, math.prod(BINS[axis + 1 :])
    place = np.clip((values - LOWEST[axis]) * (last / (HIGHEST[axis] - LOWEST[axis])), 0, last)
    lower = np.minimum(place.astype(np.intp), last - 1)
    share = place - lower
    return [(lower * stride, 1 - share), ((lower + 1) * stride, share)]
