"""What libvips decodes where Pillow does not, or not rightly. The home of pyvips, imported when first needed."""

import logging
from typing import Any

import numpy as np
from PIL import Image

MODES = {1: "L", 3: "RGB", 4: "CMYK"}
"""Pillow's modes by their number of channels."""


def from_tiff(data: bytes, colors: int, alpha: int | None) -> tuple[Image.Image, Image.Image | None]:
    """The first page of a TIFF with 8 or 16 bits a sample, of which the upper 8 are returned.

    Args:
        data: The file.
        colors: How many of its samples are colors: 1, 3, or 4 for CMYK.
        alpha: Which sample is alpha; None for none.

    Returns:
        The colors as an image of mode L, RGB or CMYK, its profile in `info`; and alpha as one of mode L. Colors that
        were multiplied by alpha are divided by it.

    Raises whatever libvips finds wrong.
    """
    # Read in one go: a file of many channels is never in memory as a whole.
    image = _vips().Image.tiffload_buffer(data, access="sequential", fail_on="error")
    return _split(image, colors, alpha)


def from_png(data: bytes) -> Image.Image:
    """A PNG in RGB of which one color is transparent, as RGBA, 8 bits a channel. Raises what libvips finds wrong."""
    color, alpha = _split(_vips().Image.pngload_buffer(data, access="sequential", fail_on="error"), 3, 3)
    if alpha:
        color.putalpha(alpha)
    return color


def ends_early(jpeg: bytes) -> bool:
    """Whether the data of a JPEG ends before its last pixel. libjpeg warns of that, which Pillow does not pass on.

    Raises whatever libvips finds wrong.
    """
    vips, heard = _vips(), _Heard()
    logger = logging.getLogger("pyvips")
    logger.addHandler(heard)
    try:
        # Not by `fail_on="warning"`: a warning of the last rows comes after it looks.
        vips.Image.jpegload_buffer(jpeg, access="sequential").avg()
    finally:
        logger.removeHandler(heard)
    return any("premature end" in message for message in heard.messages)


class _Heard(logging.Handler):
    """Keeps the warnings that libvips passes on."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def _vips() -> Any:
    import pyvips

    # Each image is seen once.
    pyvips.cache_set_max(0)
    return pyvips


def _split(image: Any, colors: int, alpha: int | None) -> tuple[Image.Image, Image.Image | None]:
    wanted = image.extract_band(0, n=colors)
    if alpha is not None:
        wanted = wanted.bandjoin(image.extract_band(alpha))
    if image.format == "ushort":
        wanted = (wanted >> 8).cast("uchar")
    size = (image.width, image.height)
    samples = np.frombuffer(wanted.write_to_memory(), np.uint8).reshape(size[1], size[0], -1)
    color = Image.frombytes(MODES[colors], size, samples[..., :colors].tobytes())
    if "icc-profile-data" in image.get_fields():
        color.info["icc_profile"] = image.get("icc-profile-data")
    return color, None if alpha is None else Image.fromarray(samples[..., colors])
