"""Decoding of image bytes to pixels or to a thumbnail. Only this module imports Pillow.

Supported are JPEG, PNG, WebP, GIF, BMP and TIFF, detected by content, not by file name; of several frames or pages the
first is used. The EXIF orientation is applied, colors are converted to sRGB (a broken or unsuitable profile is ignored,
as browsers do), transparent images are composited over white, and 16-bit gray keeps its upper 8 bits. Pixel types
without a fixed range (32-bit and signed integers, floating point) are refused.
"""

import os
import struct
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Self

import numpy as np

# Imported here, since Image.open imports all plugins if one of these is missing.
from PIL import Image, TiffImagePlugin, WebPImagePlugin  # noqa: F401

from services.errors import (
    ImageCorrupt,
    ImageError,
    ImageTooLarge,
    ImageTooManyPixels,
    ImageUnsupported,
)
from services.images.formats import media_type
from services.images.processes import Children, out_of_memory
from services.records import Pixels, Resample

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
MODES = frozenset(["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB"])
ORIENTATIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
ORIENTATION_TAG = 0x0112
THUMBNAIL_SIDE = 320


@dataclass(frozen=True, slots=True)
class Limits:
    """The maximum sizes of an image."""

    max_bytes: int
    max_pixels: int


class Decoder:
    """Runs `decode` and `thumbnail` in `processes` child processes (0: one for each CPU).

    A future raises an `ImageError` for a fault of the image. An image that takes more than `timeout` seconds or
    `memory` bytes of address space, or that crashes its child, affects no other image.
    """

    def __init__(self, processes: int, timeout: float, memory: int, limits: Limits) -> None:
        self.processes = processes or len(os.sched_getaffinity(0))
        self._limits = limits
        self._children = Children(self.processes, timeout=timeout, memory=memory)

    def submit(self, data: bytes, size: int, resample: Resample) -> Future[Pixels]:
        return self._children.submit(decode, data, size, resample, self._limits)

    def submit_thumbnail(self, data: bytes) -> Future[bytes]:
        return self._children.submit(thumbnail, data, self._limits)

    def close(self) -> None:
        """Cancels waiting and running tasks and ends all children."""
        self._children.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def decode(data: bytes, size: int, resample: Resample, limits: Limits) -> Pixels:
    """Decodes an image and resizes it to a square, ignoring its aspect ratio: RGB, uint8, shape (size, size, 3).

    For RGB, gray and opaque palette images without orientation or profile, "nearest" returns exactly the pixels of
    `keras.utils.load_img(path, target_size=(size, size))`.

    Raises:
        ImageError: The image is damaged, too large or not supported; a subclass says which.
    """
    method = Image.Resampling[resample.upper()]
    with _faults():
        image = _load(data, limits)
        if method is Image.Resampling.NEAREST:
            # "nearest" selects pixels and computes no new ones, so it is enough to convert the colors of those few.
            image = _rgb(image.resize((size, size), method))
        else:
            image = _rgb(image).resize((size, size), method)
        return np.array(image)


def thumbnail(data: bytes, limits: Limits) -> bytes:
    """Returns a WebP whose longer side has 320 pixels; a smaller image keeps its size. Raises `ImageError`."""
    with _faults():
        image = _rgb(_load(data, limits, draft=2 * THUMBNAIL_SIDE))
        image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0)
        out = BytesIO()
        image.save(out, "WEBP", quality=80)
        return out.getvalue()


@contextmanager
def _faults() -> Iterator[None]:
    """Translates the many kinds of exceptions that Pillow raises for hostile bytes into `ImageError`s."""
    try:
        yield
    except ImageError:
        raise
    except MemoryError as error:
        raise out_of_memory() from error
    except Exception as error:
        raise ImageCorrupt("The image is cut off or damaged; export it again from its source.") from error


def _load(data: bytes, limits: Limits, draft: int | None = None) -> Image.Image:
    """The image upright, with 8 bits per channel. A JPEG may be scaled down, to no less than `draft` pixels a side."""
    if len(data) > limits.max_bytes:
        raise ImageTooLarge(
            f"The image has {len(data):,} bytes and {limits.max_bytes:,} are allowed; "
            "send a smaller file or raise LOOKALIKE_MAX_IMAGE_BYTES."
        )
    if media_type(data) is None:
        raise ImageUnsupported(
            "This is no JPEG, PNG, WebP, GIF, BMP or TIFF image, whatever its name says; convert it to one of these."
        )
    if data[:4] == b"RIFF":
        # Pillow allocates two canvases of a WebP before it reports the size.
        _check_pixels(*_webp_size(data), limits)
    # Replaces Pillow's own limit, which only warns at first, by ours, which the next lines check.
    Image.MAX_IMAGE_PIXELS = None
    image = Image.open(BytesIO(data), formats=FORMATS)
    _check_pixels(*image.size, limits)
    if draft:
        image.draft(None, (draft, draft))
    image.load()
    return _eight_bits(_upright(image))


def _check_pixels(width: int, height: int, limits: Limits) -> None:
    if width * height > limits.max_pixels:
        raise ImageTooManyPixels(
            f"The image has {width:,} x {height:,} pixels and {limits.max_pixels:,} are allowed; "
            "send a smaller one or raise LOOKALIKE_MAX_IMAGE_PIXELS."
        )


def _webp_size(data: bytes) -> tuple[int, int]:
    if data[12:16] == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if data[12:16] == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF


def _upright(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(ORIENTATION_TAG, 1)
    except (SyntaxError, ValueError, TypeError, LookupError, OSError, struct.error):
        # Damaged metadata in an otherwise valid image.
        return image
    method = ORIENTATIONS.get(orientation)
    return image if method is None else image.transpose(method)


def _eight_bits(image: Image.Image) -> Image.Image:
    if not image.mode.startswith("I;16"):
        return image
    gray = np.asarray(image)
    scaled = Image.fromarray((gray >> 8).astype(np.uint8))
    scaled.info = {key: value for key, value in image.info.items() if key != "transparency"}
    if "transparency" in image.info:
        scaled.putalpha(Image.fromarray(np.where(gray == image.info["transparency"], 0, 255).astype(np.uint8)))
    return scaled


def _rgb(image: Image.Image) -> Image.Image:
    """The image in sRGB, composited over white."""
    image = _srgb(_with_plain_mode(image))
    if image.mode in ("LA", "RGBA"):
        image = image.convert("RGBA") if image.mode == "LA" else image
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image)
        return white
    return image if image.mode == "RGB" else image.convert("RGB")


def _with_plain_mode(image: Image.Image) -> Image.Image:
    """The image converted to mode RGB, RGBA, L, LA or CMYK."""
    if image.mode not in MODES:
        raise ImageUnsupported(
            f"The image's numbers (Pillow calls them {image.mode}) have no fixed range; save it with 8 bits a channel."
        )
    if image.has_transparency_data:
        mode = "LA" if image.mode in ("1", "L", "LA", "La") else "RGBA"
    elif image.mode == "1":
        mode = "L"
    else:
        mode = image.mode if image.mode in ("L", "CMYK") else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _srgb(image: Image.Image) -> Image.Image:
    """Converts the image to sRGB by its profile; leaves it as it is if the profile is missing, broken or unsuitable."""
    profile = image.info.get("icc_profile")
    if not profile:
        return image
    from PIL import ImageCms

    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    color = image.getchannel("L") if image.mode == "LA" else image
    mode = "RGBA" if image.mode == "RGBA" else "RGB"
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        converted = ImageCms.profileToProfile(color, source, ImageCms.createProfile("sRGB"), outputMode=mode)
    except (ImageCms.PyCMSError, OSError):
        return image
    if converted is None:
        return image
    if alpha:
        converted.putalpha(alpha)
    return converted
