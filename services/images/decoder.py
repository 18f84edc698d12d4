"""Decoding of image bytes to pixels or to a thumbnail, in child processes.

Supported are JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF and HEIC, detected by content, not by file name; of several frames
or pages the first is used. The EXIF orientation is applied, colors are converted to sRGB (a broken or unsuitable
profile is ignored, as browsers do), transparent images are composited over white, and of 16 bits the upper 8 are kept.
Pixel types without a fixed range (32-bit and signed integers, floating point) are refused.
"""

import os
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from io import BytesIO
from typing import Self

import numpy as np
from PIL import Image

from services.descriptions import Fit, Form, Resample
from services.errors import ImageError
from services.images.colors import over_white
from services.images.faults import damaged
from services.images.limits import Limits
from services.images.opening import upright, upright_size
from services.images.perceptual import perceptual_hash
from services.images.processes import Children, out_of_memory
from services.records import Pixels
from services.thumbnails import THUMBNAIL_SIDE

MODULES = (__name__, "PIL.ImageCms", "pi_heif", "pyvips")
"""What decoding needs for any image."""


class Decoder:
    """Runs `decode` and `thumbnail` in `processes` child processes (0: one for each CPU).

    A future raises an `ImageError` for a fault of the image. An image that takes more than `timeout` seconds or
    memory than it may (see `Children`), or that crashes its child, affects no other image.
    """

    def __init__(self, processes: int, timeout: float, memory: int, limits: Limits) -> None:
        self.processes = processes or len(os.sched_getaffinity(0))
        self._limits = limits
        self._children = Children(self.processes, timeout=timeout, memory=memory, modules=MODULES)

    def submit(self, data: bytes, form: Form) -> Future[Pixels]:
        return self._children.submit(decode, data, form.size, form.resample, self._limits, form.fit)

    def submit_hashed(self, data: bytes, form: Form) -> Future[tuple[Pixels, str]]:
        return self._children.submit(decode_hashed, data, form.size, form.resample, self._limits, form.fit)

    def submit_thumbnail(self, data: bytes, side: int = THUMBNAIL_SIDE) -> Future[bytes]:
        return self._children.submit(thumbnail, data, self._limits, side)

    def submit_size(self, data: bytes) -> Future[tuple[int, int]]:
        return self._children.submit(size, data, self._limits)

    def close(self) -> None:
        """Cancels waiting and running tasks and ends all children."""
        self._children.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def decode(data: bytes, size: int, resample: Resample, limits: Limits, fit: Fit = "stretch") -> Pixels:
    """Decodes an image to a square: RGB, uint8, shape (size, size, 3).

    Stretched, its aspect ratio is ignored: for RGB, gray and opaque palette images without orientation or profile,
    "nearest" returns exactly the pixels of `keras.utils.load_img(path, target_size=(size, size))`. Padded, its longer
    side is resized to the square's, and white is on both sides of the shorter one.

    Raises:
        ImageError: The image is damaged, too large or not supported; a subclass says which.
    """
    with _faults():
        return _pixels(upright(data, limits), Form(size, resample, fit))


def decode_hashed(
    data: bytes, size: int, resample: Resample, limits: Limits, fit: Fit = "stretch"
) -> tuple[Pixels, str]:
    """Decodes an image as `decode`, and gives its perceptual hash, too. Raises `ImageError`."""
    with _faults():
        image = upright(data, limits)
        return _pixels(image, Form(size, resample, fit)), perceptual_hash(image)


def thumbnail(data: bytes, limits: Limits, side: int = THUMBNAIL_SIDE) -> bytes:
    """Returns a WebP whose longer side has so many pixels; a smaller image keeps its size. Raises `ImageError`."""
    with _faults():
        image = over_white(upright(data, limits, draft=2 * side))
        image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=3.0)
        out = BytesIO()
        image.save(out, "WEBP", quality=80)
        return out.getvalue()


def size(data: bytes, limits: Limits) -> tuple[int, int]:
    """Width and height of an image in pixels, upright; its pixels are not decoded. Raises `ImageError`."""
    with _faults():
        return upright_size(data, limits)


def _pixels(image: Image.Image, form: Form) -> Pixels:
    square = (form.size, form.size)
    if form.fit == "stretch":
        return np.array(_resized(image, square, form.resample))
    whole = max(image.size)
    width, height = (max(1, round(side * form.size / whole)) for side in image.size)
    padded = Image.new("RGB", square, "white")
    padded.paste(_resized(image, (width, height), form.resample), ((form.size - width) // 2, (form.size - height) // 2))
    return np.array(padded)


def _resized(image: Image.Image, size: tuple[int, int], resample: Resample) -> Image.Image:
    method = Image.Resampling[resample.upper()]
    if method is Image.Resampling.NEAREST:
        # "nearest" selects pixels and computes no new ones, so it is enough to convert the colors of those few.
        return over_white(image.resize(size, method))
    return over_white(image).resize(size, method)


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
        raise damaged() from error
