"""The perceptual hash of a picture, as `services.hashes` describes it."""

from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image

from services import hashes
from services.hashes import CELLS
from services.images.colors import over_white

SAMPLED = 256
"""The side of the square of which pixels are picked: enough for the mean of a cell, whatever the picture's size."""
SIDE = 32

# IEC 61966-2-1: linear sRGB to CIE XYZ, and the white point D65.
_TO_XYZ = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
_WHITE = (0.9505, 1.0, 1.089)


def perceptual_hash(upright: Image.Image) -> str:
    """The hash of a picture as `services.images.opening.upright` gives it."""
    small = over_white(upright.resize((SAMPLED, SAMPLED), Image.Resampling.NEAREST)).reduce(SAMPLED // SIDE)
    cells = small.reduce(SIDE // CELLS)
    brightness = np.asarray(small.convert("L"), np.float64)
    return hashes.perceptual(_above_median(brightness), _lab(np.asarray(cells, np.float64)))


def _above_median(brightness: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    # Rounded, so that what is zero but for the last digits is so on every machine.
    frequencies = np.round(_cosines() @ brightness @ _cosines().T, 3).ravel()
    return np.asarray(frequencies > np.median(frequencies))


@cache
def _cosines() -> npt.NDArray[np.float64]:
    """The DCT-II of the frequencies 1 to 8: shape (8, 32)."""
    frequency, place = np.arange(1, CELLS + 1)[:, None], np.arange(SIDE)
    return np.cos(np.pi * frequency * (2 * place + 1) / (2 * SIDE))


def _lab(rgb: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """sRGB in 0..255 to CIE L*a*b* (CIE 15:2004)."""
    value = rgb / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    ratio = linear @ np.transpose(_TO_XYZ) / _WHITE
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)
