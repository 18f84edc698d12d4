"""TIFF by Pillow, libvips, OpenCV and imagecodecs."""

from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from typing import Any

import cv2
import imagecodecs
import numpy as np
import pyvips
from matrix_case import (
    LOSSY,
    Array,
    Case,
    cmyk,
    eight,
    gray,
    gray_alpha,
    in_lab,
    in_ycbcr,
    lab,
    rgb,
    rgba,
    saved,
    scene,
    smooth,
    textured,
    ycbcr,
)
from matrix_png import vips
from matrix_tiff import read_tiff, tiff_case
from PIL import Image

SIGNS = np.array([0, 128, 128], np.uint8)


def cases() -> Iterator[Case]:
    yield from _of_pillow()
    yield from _of_libvips_and_opencv()


# Other writers


def _of_pillow() -> Iterator[Case]:
    modes: tuple[tuple[str, int, int, Callable[[Array], Array]], ...] = (
        ("L", 1, 8, gray),
        ("LA", 2, 8, gray_alpha),
        ("RGB", 3, 8, rgb),
        ("RGBA", 4, 8, rgba),
        ("RGBX", 4, 8, rgb),
        ("CMYK", 4, 8, cmyk),
        ("I;16", 1, 16, partial(gray, bits=16)),
        ("I;16B", 1, 16, partial(gray, bits=16)),
    )
    compressions = ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "tiff_deflate", "zstd", "lzma")
    for number, (mode, channels, bits, seen) in enumerate(modes):
        for compression in ("raw", compressions[1 + number % 6]):
            if mode == "I;16B" and compression != "raw":
                continue
            write = partial(_saved, mode=mode, compression=compression)
            yield tiff_case(f"{mode} of Pillow", compression, "Pillow", write, scene(channels, bits), seen)
    for compression in ("raw", "group3", "group4", "tiff_ccitt", "packbits"):
        write = partial(_saved_bilevel, compression=compression)
        yield tiff_case("1 bit", compression, "Pillow", write, scene(1, 1), partial(gray, bits=1))
    for mode, source, seen in (("L", smooth(1), gray), ("RGB", smooth(3), rgb), ("YCbCr", smooth(3), rgb)):
        write = partial(_saved_in, mode=mode, compression="jpeg", quality=95)
        yield tiff_case("JPEG", mode, "Pillow", write, source, seen, LOSSY, read=read_tiff)
    for compression in ("raw", "tiff_lzw"):
        write = partial(_saved, mode="YCbCr", compression=compression)
        yield tiff_case("YCbCr of Pillow", compression, "Pillow", write, in_ycbcr(textured(3)), ycbcr)
        # Pillow takes signed colors.
        write = lambda a, compression=compression: _saved(a ^ SIGNS, "LAB", compression)  # noqa: E731
        yield tiff_case("CIELab 8 bits", compression, "Pillow", write, in_lab(), lab)


def _saved(values: Array, mode: str, compression: str) -> bytes:
    if mode == "I;16B":
        values = values.astype(">u2")
    return saved(values, "TIFF", mode, compression=None if compression == "raw" else compression)


def _saved_bilevel(values: Array, compression: str) -> bytes:
    out = BytesIO()
    image = Image.fromarray(gray(values, 1)[..., 0]).convert("1", dither=Image.Dither.NONE)
    image.save(out, "TIFF", compression=None if compression == "raw" else compression)
    return out.getvalue()


def _saved_in(values: Array, mode: str, compression: str, **options: Any) -> bytes:
    image = Image.fromarray(values[..., 0] if values.shape[2] == 1 else values)
    out = BytesIO()
    image.convert(mode).save(out, "TIFF", compression=compression, **options)
    return out.getvalue()


def _of_libvips_and_opencv() -> Iterator[Case]:
    kinds: tuple[tuple[str, int, Callable[..., Array]], ...] = (
        ("gray", 1, gray), ("gray alpha", 2, gray_alpha), ("RGB", 3, rgb), ("RGB alpha", 4, rgba),
    )  # fmt: skip
    choices: tuple[dict[str, Any], ...] = (
        {},
        {"compression": "lzw", "predictor": "horizontal"},
        {"compression": "deflate", "tile": True, "tile_width": 32, "tile_height": 16},
        {"compression": "lzw", "bigtiff": True, "tile": True},
        {"tile": True, "tile_width": 16, "tile_height": 16, "pyramid": True},
        {"compression": "packbits"},
    )
    for number, (name, channels, seen) in enumerate(kinds):
        for bits in (8, 16):
            for options in (choices[0], choices[1 + (number + bits // 8) % 5]):
                label = f"{name} {bits} {' '.join(map(str, options.values()))}"
                write = partial(_of_libvips, **options)
                yield tiff_case("plain", label, "libvips", write, scene(channels, bits), partial(seen, bits=bits))
            if channels != 2:
                for compression in (1, 5, 8, 32773):
                    write = partial(_of_opencv, compression=compression)
                    label = f"{name} {bits} {compression}"
                    if compression in (1, 5) or channels == 3:
                        shown = partial(seen, bits=bits)
                        yield tiff_case("plain", label, "OpenCV", write, scene(channels, bits), shown)
            write = partial(_of_imagecodecs, channels=channels)
            yield tiff_case(
                "plain", f"{name} {bits}", "imagecodecs", write, scene(channels, bits), partial(seen, bits=bits)
            )
    for bits in (1, 2, 4):
        for miniswhite in (False, True):
            write = partial(_few_bits_of_libvips, bitdepth=bits, miniswhite=miniswhite)
            label = f"{bits} bits{' WhiteIsZero' * miniswhite}"
            yield tiff_case(f"gray {bits} bits", label, "libvips", write, scene(1, bits), partial(gray, bits=bits))
    write = partial(_few_bits_of_libvips, bitdepth=1, compression="ccittfax4")
    yield tiff_case("1 bit", "fax", "libvips", write, scene(1, 1), partial(gray, bits=1))
    yield tiff_case("CMYK 8 bits", "plain", "libvips", _cmyk_of_libvips, scene(4), cmyk)
    yield tiff_case(
        "JPEG",
        "plain",
        "libvips",
        partial(_of_libvips, compression="jpeg", Q=95),
        smooth(3),
        rgb,
        LOSSY,
        read=read_tiff,
    )


def _of_libvips(values: Array, **options: Any) -> bytes:
    return bytes(vips(values).tiffsave_buffer(**options))


def _few_bits_of_libvips(values: Array, bitdepth: int, **options: Any) -> bytes:
    return bytes(vips(eight(values, bitdepth)).tiffsave_buffer(bitdepth=bitdepth, **options))


def _cmyk_of_libvips(values: Array) -> bytes:
    image = pyvips.Image.new_from_array(values).copy(interpretation="cmyk")
    return bytes(image.tiffsave_buffer(keep="none"))


def _of_opencv(values: Array, compression: int) -> bytes:
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[values.shape[2]]
    options = [cv2.IMWRITE_TIFF_COMPRESSION, compression]
    return cv2.imencode(".tiff", np.ascontiguousarray(values[..., order]), options)[1].tobytes()


def _of_imagecodecs(values: Array, channels: int) -> bytes:
    flat = values[..., 0] if channels == 1 else values
    options = {"extrasample": "unassalpha"} if channels in (2, 4) else {}
    return bytes(imagecodecs.tiff_encode(flat, photometric="rgb" if channels > 2 else "minisblack", **options))
