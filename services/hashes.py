"""The two hashes of an image: that of its bytes (SHA-256 in hex), and the perceptual one of what it shows.

A perceptual hash has 200 bytes, written in base64: 8 of a DCT hash, then 192 of a grid of colors.

The DCT hash has a bit for each of 8 x 8 low frequencies of the brightness, the constant ones left out: whether it is
above their median (C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010, "pHash"). The
grid has the mean colors of 8 x 8 cells, row by row, in CIE L*a*b* (D65) as three bytes: L* times 2.55, a* plus 128, b*
plus 128. Both are those of the picture stretched to a square, and say nothing of its sides.
"""

import base64
import re
from functools import lru_cache
from hashlib import sha256

import numpy as np
import numpy.typing as npt

SHA256 = re.compile("[0-9a-f]{64}")
PERCEPTUAL = re.compile("[A-Za-z0-9+/]{266}[AEIMQUYcgkosw048]=")

CELLS = 8
"""Cells of the grid on a side, and bits of the DCT hash on one."""


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


# A search compares each of its answers with each of its terms.
@lru_cache(4096)
def _bits(hash: str) -> int:
    return int.from_bytes(base64.b64decode(hash)[:8], "big")
