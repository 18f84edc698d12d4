"""The perceptual hash of a picture, as `services.hashes` describes it."""

from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image

from services import hashes
from services.hashes import CELLS
from services.images.colors import over_white
from services.lab import from_srgb

SAMPLED = 256
"""The side of the square of which pixels are picked: enough for the mean of a cell, whatever the picture's size."""
SIDE = 32


def perceptual_hash(upright: Image.Image) -> str:
    """The hash of a picture as `services.images.opening.upright` gives it."""
    small = over_white(upright.resize((SAMPLED, SAMPLED), Image.Resampling.NEAREST)).reduce(SAMPLED // SIDE)
    cells = small.reduce(SIDE // CELLS)
    brightness = np.asarray(small.convert("L"), np.float64)
    return hashes.perceptual(_above_median(brightness), from_srgb(np.asarray(cells)))


def _above_median(brightness: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    # Rounded, so that what is zero but for the last digits is so on every machine.
    frequencies = np.round(_cosines() @ brightness @ _cosines().T, 3).ravel()
    return np.asarray(frequencies > np.median(frequencies))


@cache
def _cosines() -> npt.NDArray[np.float64]:
    """The DCT-II of the frequencies 1 to 8: shape (8, 32)."""
    frequency, place = np.arange(1, CELLS + 1)[:, None], np.arange(SIDE)
    return np.cos(np.pi * frequency * (2 * place + 1) / (2 * SIDE))
