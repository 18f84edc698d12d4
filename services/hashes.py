"""The two hashes of an image: that of its bytes (SHA-256 in hex), and the perceptual one of what it shows.

A perceptual hash has 200 bytes, written in base64: 8 of a DCT hash, then 192 of a grid of colors.

The DCT hash has a bit for each of 8 x 8 low frequencies of the brightness, the constant ones left out: whether it is
above their median (C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010, "pHash"). The
grid has the mean colors of 8 x 8 cells, row by row, in CIE L*a*b* (D65) as three bytes: L* times 2.55, a* plus 128, b*
plus 128. Both are those of the picture stretched to a square, and say nothing of its sides.
"""

import base64
import re
from functools import cache, lru_cache
from hashlib import sha256
from itertools import product

import numpy as np
import numpy.typing as npt

SHA256 = re.compile("[0-9a-f]{64}")
PERCEPTUAL = re.compile("[A-Za-z0-9+/]{266}[AEIMQUYcgkosw048]=")

Cells = npt.NDArray[np.float64]
"""Colors of the cells of a grid, row by row: shape (64, 3)."""

CELLS = 8
"""Cells of the grid on a side, and bits of the DCT hash on one."""

NEAR_BITS = 20
"""In how many bits near-duplicates differ at most."""
NEAR_COLORS, NEAR_SHARE = 2.5, 0.3
"""By how much the colors of near-duplicates differ at most, see `color_distance`: so much, or so much of how far the
cells of the picture are from its mean color, if that is more. A mirror image and another color are none (how
they were chosen is in docs/decisions.md)."""
CROPS = (1.0, 0.95, 0.9)
"""What of either side of a picture may be left in a copy, or of a copy inside its border."""
CONTRAST = (0.75, 4 / 3)
"""How much more contrast in brightness a copy may have: one that is lit by a fifth more or less has 1.2 or 0.8."""


def sha256_of(data: bytes) -> str:
    """The hash of an image's bytes."""
    return sha256(data).hexdigest()


def perceptual(bits: npt.NDArray[np.bool_], grid: npt.NDArray[np.float64]) -> str:
    """The perceptual hash of 64 bits and of colors in L*a*b*, shape (8, 8, 3)."""
    stored = np.clip(np.round(grid * (2.55, 1, 1) + (0, 128, 128)), 0, 255).astype(np.uint8)
    return base64.b64encode(np.packbits(bits).tobytes() + stored.tobytes()).decode()


def dct_distance(one: str, other: str) -> int:
    """In how many of 64 bits the DCT hashes of two perceptual hashes differ."""
    return (_bits(one) ^ _bits(other)).bit_count()


def color_grid(hash: str) -> npt.NDArray[np.float64]:
    """The colors of a perceptual hash: shape (8, 8, 3), L* in 0..100, a* and b* in -128..127."""
    stored = np.frombuffer(base64.b64decode(hash), np.uint8, offset=8).reshape(CELLS, CELLS, 3)
    return np.asarray((stored - (0.0, 128.0, 128.0)) / (2.55, 1, 1), np.float64)


def are_near_duplicates(one: str, other: str) -> bool:
    """Whether two perceptual hashes are those of the same picture, but for how it is stored, sized, bordered or lit."""
    if dct_distance(one, other) > NEAR_BITS:
        return False
    most = max(NEAR_COLORS, NEAR_SHARE * max(_spread(one), _spread(other)))
    return _hue_distance(one, other) <= most and color_distance(one, other) <= most


# Many products may have one picture.
@lru_cache(1024)
def color_distance(one: str, other: str) -> float:
    """How much the colors of two pictures differ at least (L*a*b*), if one may be a part of the other, lit otherwise.

    The mean over the cells of the grid, or over the inner ones where that is less, since a border or a sign changes the
    outer ones. Of one, parts that `CROPS` and five to nine places leave are stretched to the whole, brightness is
    matched in mean and, within `CONTRAST`, in contrast, and the least counts; likewise with both exchanged.
    """
    cells = [color_grid(each).reshape(CELLS**2, 3) for each in (one, other)]
    return min(_least(_crops() @ whole, part) for whole, part in (cells, cells[::-1]))


# A search compares each of its answers with each of its terms.
@lru_cache(4096)
def _bits(hash: str) -> int:
    return int.from_bytes(base64.b64decode(hash)[:8], "big")


@lru_cache(1024)
def _spread(hash: str) -> float:
    """How far the cells of a picture are from its mean color, on average."""
    cells = color_grid(hash).reshape(CELLS**2, 3)
    return float(np.linalg.norm(cells - cells.mean(axis=0), axis=1).mean())


def _hue_distance(one: str, other: str) -> float:
    """Never more than `color_distance`, and found in a fraction of its time: a mean of differences is no less than the
    difference of the means, with or without brightness."""
    hues = [color_grid(each).reshape(CELLS**2, 3)[:, 1:] for each in (one, other)]
    return min(
        float(np.linalg.norm(shares @ whole - part[at].mean(axis=0), axis=1).min())
        for whole, part in (hues, hues[::-1])
        for shares, at in _means()
    )


def _least(parts: npt.NDArray[np.float64], wanted: Cells) -> float:
    """The least mean difference of parts of a picture, shape (n, 64, 3), and another one, at all or the inner cells."""
    return min(_difference(parts[:, at], wanted[at]) for at in (np.arange(CELLS**2), _inner()))


def _difference(parts: npt.NDArray[np.float64], wanted: npt.NDArray[np.float64]) -> float:
    light, wanted_light = parts[..., 0], wanted[:, 0] - wanted[:, 0].mean()
    light = light - light.mean(axis=1, keepdims=True)
    # Least squares; a picture of one brightness has no contrast to match.
    contrast = (light @ wanted_light) / np.maximum((light**2).sum(axis=1), 1e-9)
    light = light * np.clip(contrast, *CONTRAST)[:, None] - wanted_light
    colors = ((parts[..., 1:] - wanted[:, 1:]) ** 2).sum(axis=-1)
    return float(np.sqrt(light**2 + colors).mean(axis=1).min())


@cache
def _inner() -> npt.NDArray[np.int64]:
    """The cells that are not at the edge."""
    places = np.arange(CELLS**2).reshape(CELLS, CELLS)
    return np.asarray(places[1:-1, 1:-1].ravel(), np.int64)


@cache
def _means() -> tuple[tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]], ...]:
    """What makes the mean of some cells of each part of those of a whole picture, shape (n, 64), and which cells."""
    return tuple((_crops()[:, at].mean(axis=1), at) for at in (np.arange(CELLS**2), _inner()))


@cache
def _crops() -> npt.NDArray[np.float64]:
    """What makes the cells of parts of those of a whole picture: shape (n, 64, 64)."""
    found = []
    for height, width in product(CROPS, CROPS):
        if abs(height - width) < 0.06:
            tops, lefts = ({-(1 - side) / 2, 0.0, (1 - side) / 2} for side in (height, width))
            found += [np.kron(_part(height, top), _part(width, left)) for top in sorted(tops) for left in sorted(lefts)]
    return np.stack(found)


def _part(share: float, shift: float) -> npt.NDArray[np.float64]:
    """What makes 8 cells of a share of a side, so far from its middle, of 8 of the whole, linearly: shape (8, 8)."""
    centers = (np.arange(CELLS) + 0.5) / CELLS
    places = np.clip(((centers - 0.5) * share + 0.5 + shift) * CELLS - 0.5, 0, CELLS - 1)
    return np.asarray(np.maximum(0, 1 - np.abs(places[:, None] - np.arange(CELLS))), np.float64)
