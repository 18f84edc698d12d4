"""Between arrays and Pillow: outlines to masks, arrays to JPEG."""

import io
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

Floats = npt.NDArray[np.floating[Any]]

SIZE = 480
FINE = 4
"""Masks are drawn so many times larger and averaged, which makes edges smooth."""


def mask(outline: npt.NDArray[np.float64], holes: Iterable[npt.NDArray[np.float64]]) -> tuple[int, int, Floats]:
    """Left, top and coverage (0 to 1) of an outline in pixels, as far as it is on the canvas."""
    left, top = np.clip(np.floor(outline.min(axis=0)).astype(int) - 1, 0, SIZE)
    right, bottom = np.clip(np.ceil(outline.max(axis=0)).astype(int) + 1, 0, SIZE)
    width, height = int(right - left), int(bottom - top)
    if width <= 0 or height <= 0:
        return 0, 0, np.zeros((0, 0), np.float32)
    image = Image.new("L", (width * FINE, height * FINE))
    pen = ImageDraw.Draw(image)
    for points, ink in [(outline, 255), *((hole, 0) for hole in holes)]:
        pen.polygon(((points - (left, top)) * FINE).ravel().tolist(), fill=ink)
    coverage = np.asarray(image.reduce(FINE), np.float32) / np.float32(255)
    return int(left), int(top), coverage


def enlarged(small: Floats) -> Floats:
    """A coarse map stretched smoothly over the canvas."""
    return np.asarray(Image.fromarray(small).resize((SIZE, SIZE), Image.Resampling.BICUBIC), np.float32)


def jpeg(picture: Floats) -> bytes:
    """The bytes of a picture of floats 0 to 255, (SIZE, SIZE, 3)."""
    pixels = np.clip(picture + np.float32(0.5), 0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=90, subsampling=0)
    return out.getvalue()


def softened(array: Floats, radius: float) -> Floats:
    """Blurred: a box of that radius, run twice each way, zeros around."""
    reach = max(1, round(radius))
    for _ in range(2):
        array = _averaged(_averaged(array, reach).T, reach).T
    return array


def _averaged(array: Floats, reach: int) -> Floats:
    """The mean of each place and `reach` rows above and below it."""
    sums = np.cumsum(np.pad(array, ((reach + 1, reach), (0, 0))), axis=0, dtype=np.float32)
    span = 2 * reach + 1
    return (sums[span:] - sums[:-span]) / np.float32(span)
