"""CIE L*a*b* (D65, 2 degrees), in which equal distances are about equal differences to the eye."""

from functools import cache

import numpy as np
import numpy.typing as npt

Lab = npt.NDArray[np.float64]
"""float64, shape (..., 3): L* in 0..100, then a* and b*, of sRGB within -108..99."""

# IEC 61966-2-1: linear sRGB to CIE XYZ, and the white point D65.
_TO_XYZ = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
_WHITE = (0.9505, 1.0, 1.089)


def from_srgb(colors: npt.NDArray[np.uint8]) -> Lab:
    """uint8 sRGB of shape (..., 3) in CIE L*a*b* (CIE 15:2004)."""
    red, green, blue = (colors[..., channel].astype(np.intp) for channel in range(3))
    ratio = np.stack([of_red[red] + of_green[green] + of_blue[blue] for of_red, of_green, of_blue in _shares()])
    x, y, z = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def to_srgb(colors: Lab) -> npt.NDArray[np.float64]:
    """CIE L*a*b* of shape (..., 3) in sRGB, 0..255: the inverse of `from_srgb`; what sRGB has not, at its edge."""
    y = (colors[..., 0] + 16) / 116
    roots = np.stack([y + colors[..., 1] / 500, y, y - colors[..., 2] / 200], axis=-1)
    ratio = np.where(roots > 6 / 29, roots**3, 3 * (6 / 29) ** 2 * (roots - 4 / 29))
    linear = np.clip(ratio * _WHITE @ np.linalg.inv(_TO_XYZ).T, 0, 1)
    return np.asarray(255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055))


@cache
def _shares() -> npt.NDArray[np.float64]:
    """What each value of a channel adds to X, Y and Z, as a share of that of white: shape (XYZ, channel, 256)."""
    value = np.arange(256) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    shares: npt.NDArray[np.float64] = np.divide(_TO_XYZ, np.reshape(_WHITE, (3, 1)))[..., None] * linear
    shares.flags.writeable = False
    return shares
