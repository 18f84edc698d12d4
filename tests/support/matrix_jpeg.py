"""JPEG: colors, subsampling and scans of four writers."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import cv2
import imagecodecs
import numpy as np
from matrix_case import (
    LOSSLESS,
    LOSSY,
    Array,
    Case,
    case,
    channels_last,
    cmyk,
    gray,
    rgb,
    saved,
    scene,
    smooth,
)
from matrix_png import vips

Write = Callable[[Array], bytes]
SAMPLINGS = ("4:4:4", "4:2:2", "4:2:0")


def cases() -> Iterator[Case]:
    yield from _of_pillow()
    yield from _of_others()
    yield from _seldom()


def jpeg(values: Array, **options: Any) -> bytes:
    """What Pillow writes at quality 95, without subsampling."""
    return saved(values, "JPEG", **{"quality": 95, "subsampling": "4:4:4"} | options)


def lossy_case(shape: str, name: str, writer: str, write: Write, channels: int = 3, **more: Any) -> Case:
    shown = {1: gray, 3: rgb, 4: cmyk}[channels]
    usual = {"shown": shown, "loss": LOSSY, "read": partial(_read, inverted=channels == 4)}
    return case("JPEG", shape, name, writer, write, smooth(channels), **usual | more)


def _read(data: bytes, inverted: bool) -> Array:
    """What imagecodecs reads: the numbers as they are stored, not turned, ink as Adobe's marker has it."""
    numbers = channels_last(imagecodecs.jpeg8_decode(data))
    return 255 - numbers if inverted else numbers


def _of_pillow() -> Iterator[Case]:
    for progressive in (False, True):
        scans = "progressive" if progressive else "baseline"
        for sampling in SAMPLINGS:
            write = partial(jpeg, subsampling=sampling, progressive=progressive)
            yield lossy_case(scans, sampling, "Pillow", write)
            write = partial(jpeg, subsampling=sampling, progressive=progressive, restart_marker_blocks=3, optimize=True)
            yield lossy_case(scans, f"{sampling} with restarts", "Pillow", write)
        yield lossy_case(scans, "gray", "Pillow", partial(jpeg, progressive=progressive), 1)
        yield lossy_case(scans, "RGB", "Pillow", partial(jpeg, progressive=progressive, keep_rgb=True))
        yield lossy_case(scans, "CMYK", "Pillow", partial(jpeg, mode="CMYK", progressive=progressive), 4)
        yield lossy_case(scans, "restart in every row", "Pillow", partial(jpeg, restart_marker_rows=1))
    yield lossy_case("baseline", "gray with restarts", "Pillow", partial(jpeg, restart_marker_blocks=1), 1)
    yield lossy_case("baseline", "comment", "Pillow", partial(jpeg, comment="A picture"))


def _of_others() -> Iterator[Case]:
    for sampling in ("411", "420", "422", "440", "444"):
        factor = getattr(cv2, f"IMWRITE_JPEG_SAMPLING_FACTOR_{sampling}")
        for progressive in (0, 1):
            options = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor, cv2.IMWRITE_JPEG_PROGRESSIVE, progressive]
            name = f"{sampling}{' progressive' * progressive}"
            yield lossy_case("sampling", name, "OpenCV", partial(_of_opencv, options=options))
        write = partial(imagecodecs.jpeg8_encode, level=95, subsampling=sampling)
        yield lossy_case("sampling", sampling, "imagecodecs", write)
    options = [cv2.IMWRITE_JPEG_RST_INTERVAL, 2]
    yield lossy_case("restarts", "2", "OpenCV", partial(_of_opencv, options=options))
    yield lossy_case("restarts", "2 gray", "OpenCV", partial(_of_opencv, options=options), 1)
    for name, channels, colors in (
        ("gray", 1, {}),
        ("RGB", 3, {"colorspace": "RGB", "outcolorspace": "RGB"}),
        ("optimized", 3, {"optimize": True}),
        # It writes the numbers as they are, and Adobe's marker says that they are ink subtracted from 255.
        ("CMYK", 4, {"colorspace": "CMYK", "outcolorspace": "CMYK"}),
        ("YCCK", 4, {"colorspace": "CMYK", "outcolorspace": "YCCK"}),
    ):
        write = partial(_of_imagecodecs, inverted=channels == 4, **colors)
        yield lossy_case("colors", name, "imagecodecs", write, channels)
    for name, more in {
        "plain": {},
        "interlaced": {"interlace": True},
        "subsampled": {"subsample_mode": "on"},
        "not subsampled": {"subsample_mode": "off"},
        "restarts": {"restart_interval": 4},
        "trellis": {"trellis_quant": True, "optimize_scans": True, "interlace": True},
        "stripped": {"keep": "none"},
    }.items():
        yield lossy_case("scans", name, "libvips", partial(_of_libvips, **more))
        if "subsampled" not in name:
            yield lossy_case("scans", f"{name} gray", "libvips", partial(_of_libvips, **more), 1)
    yield lossy_case("colors", "CMYK", "libvips", _cmyk_of_libvips, 4)


def _of_opencv(values: Array, options: list[int]) -> bytes:
    return cv2.imencode(".jpg", values[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95, *options])[1].tobytes()


def _of_imagecodecs(values: Array, inverted: bool, **options: Any) -> bytes:
    numbers = 255 - values if inverted else values
    return bytes(imagecodecs.jpeg8_encode(np.ascontiguousarray(numbers), level=95, **options))


def _of_libvips(values: Array, **options: Any) -> bytes:
    return bytes(vips(values).jpegsave_buffer(Q=95, **options))


def _cmyk_of_libvips(values: Array) -> bytes:
    return bytes(vips(values).copy(interpretation="cmyk").jpegsave_buffer(Q=95, keep="none"))


def _seldom() -> Iterator[Case]:
    """What browsers do not show."""
    twelve = partial(imagecodecs.jpeg8_encode, level=95, bitspersample=12)
    for channels, shown in ((1, gray), (3, rgb)):
        yield case(
            "JPEG", "12 bits", f"{channels} channels", "imagecodecs", twelve, smooth(channels, 12),
            partial(shown, bits=12), LOSSY, browser=False,
        )  # fmt: skip
        lossless = partial(imagecodecs.jpeg8_encode, lossless=True, predictor=1)
        yield case(
            "JPEG", "lossless", f"{channels} channels", "imagecodecs", lossless, scene(channels), shown,
            LOSSLESS, browser=False,
        )  # fmt: skip
        yield case(
            "JPEG", "LS", f"{channels} channels", "imagecodecs", imagecodecs.jpegls_encode, scene(channels), shown,
            LOSSLESS, browser=False,
        )  # fmt: skip
