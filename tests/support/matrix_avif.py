"""AVIF by four writers."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import cv2
import imagecodecs
import numpy as np
import pyvips
from image_files import srgb_with_red_and_green_swapped
from matrix_case import (
    LOSSLESS,
    LOSSY,
    Array,
    Case,
    case,
    channels_last,
    exif,
    gray,
    gray_alpha,
    rgb,
    rgba,
    saved,
    scene,
    smooth,
    stored_for,
    textured,
    upright,
)
from matrix_png import vips
from PIL import Image

Write = Callable[[Array], bytes]


def cases() -> Iterator[Case]:
    yield from _of_pillow()
    yield from _of_others()
    yield from _lossless()


def read_avif(data: bytes, bits: int = 8) -> Array:
    """What OpenCV reads: the first frame, as it is stored, of longer numbers the upper 8 bits."""
    stored = np.frombuffer(data, np.uint8)
    numbers = channels_last(cv2.imdecode(stored, cv2.IMREAD_UNCHANGED))
    if bits > 8 and numbers.shape[2] == 3:
        # Computed in 8 bits, as decoders do: computed in all bits and then rounded, half of the pixels differ by one.
        numbers = cv2.imdecode(stored, cv2.IMREAD_COLOR).astype(np.uint16) << (bits - 8)
    elif bits > 8:
        numbers = np.round(numbers * (255 / ((1 << bits) - 1))).astype(np.uint16) << (bits - 8)
    return numbers[..., [2, 1, 0, 3][: numbers.shape[2]] if numbers.shape[2] > 2 else [0]]


def read_by_libvips(data: bytes) -> Array:
    return np.asarray(pyvips.Image.heifload_buffer(data).numpy())


def read_without_exif(data: bytes) -> Array:
    """The same where EXIF is beside the picture, which OpenCV refuses: its entry is given another type."""
    return read_avif(data.replace(b"\0\0Exif", b"\0\0free"))


avif_case = partial(case, "AVIF", loss=LOSSY, read=read_avif)


def avif(values: Array, **options: Any) -> bytes:
    return saved(values, "AVIF", **{"quality": 95, "subsampling": "4:4:4", "speed": 9, "max_threads": 1} | options)


def _of_pillow() -> Iterator[Case]:
    for sampling in ("4:4:4", "4:2:2", "4:2:0"):
        for channels, seen in ((3, rgb), (4, rgba)):
            write = partial(avif, subsampling=sampling)
            name = f"{sampling} {'rgba' if channels == 4 else 'rgb'}"
            yield avif_case("8 bits", name, "Pillow", write, smooth(channels), seen)
    yield avif_case("gray", "L", "Pillow", partial(avif, subsampling="4:0:0"), smooth(1), gray)
    yield avif_case("8 bits", "limited range", "Pillow", partial(avif, range="limited"), smooth(3), rgb)
    write = partial(avif, alpha_premultiplied=True)
    yield avif_case("8 bits", "associated alpha", "Pillow", write, smooth(4), rgba)
    yield avif_case(
        "8 bits", "tiles", "Pillow", partial(avif, tile_rows=1, tile_cols=1, autotiling=False), smooth(3), rgb
    )
    for orientation in range(1, 9):
        write = partial(_turned, orientation=orientation)
        back = partial(upright, orientation)
        yield avif_case("turned", f"orientation {orientation}", "Pillow", write, smooth(3), rgb, back=back)
    for channels, seen in ((3, rgb), (4, rgba)):
        name = "rgba" if channels == 4 else "rgb"
        yield avif_case("frames", f"two {name}", "Pillow", _frames, smooth(channels), seen)
        write = partial(avif, icc_profile=srgb_with_red_and_green_swapped())
        exchanged = lambda values, seen=seen: seen(values)[..., [1, 0, 2]]  # noqa: E731
        yield avif_case("profile", f"swapped {name}", "Pillow", write, smooth(channels), exchanged)
        write = partial(avif, icc_profile=srgb_with_red_and_green_swapped()[:150])
        yield avif_case("profile", f"cut {name}", "Pillow", write, smooth(channels), seen)
    yield avif_case("8 bits", "XMP", "Pillow", partial(avif, xmp=b"\xff<<"), smooth(3), rgb)
    yield avif_case("8 bits", "EXIF of garbage", "Pillow", partial(avif, exif=exif(1) + b"\xff" * 9), smooth(3), rgb)


def _turned(values: Array, orientation: int) -> bytes:
    turn = Image.Exif()
    turn[0x0112] = orientation
    return avif(stored_for(orientation, values), exif=turn)


def _frames(values: Array) -> bytes:
    second = Image.fromarray(np.ascontiguousarray(values[::-1]))
    return avif(values, save_all=True, append_images=[second], duration=50)


def _of_others() -> Iterator[Case]:
    kinds: tuple[tuple[str, int, Callable[..., Array]], ...] = (("gray", 1, gray), ("rgb", 3, rgb), ("rgba", 4, rgba))
    for bits in (8, 10, 12):
        read = partial(read_avif, bits=bits)
        for name, channels, seen in kinds:
            shown, source = partial(seen, bits=bits), (smooth if bits == 8 else textured)(channels, bits)
            for sampling in ("444", "422", "420") if channels == 3 else ("400",) if channels == 1 else ("444",):
                write = partial(_of_imagecodecs, bits=bits, sampling=sampling)
                yield avif_case(f"{bits} bits", f"{name} {sampling}", "imagecodecs", write, source, shown, read=read)
            write = partial(_of_opencv, bits=bits)
            yield avif_case(f"{bits} bits", name, "OpenCV", write, source, shown, read=read)
            for mode in ("on", "off"):
                write = partial(_of_libvips, bits=bits, subsample_mode=mode)
                label = f"{name} subsampled {mode}"
                yield avif_case(f"{bits} bits", label, "libvips", write, source, shown, read=read)
    yield avif_case("gray alpha", "8 bits", "libvips", partial(_of_libvips, bits=8), smooth(2), gray_alpha,
                    read=lambda data: read_avif(data)[..., [0, 3]])  # fmt: skip


def _of_imagecodecs(values: Array, bits: int, sampling: str) -> bytes:
    flat = values[..., 0] if values.shape[2] == 1 else values
    return bytes(imagecodecs.avif_encode(flat, level=95, speed=9, bitspersample=bits, pixelformat=sampling))


def _of_opencv(values: Array, bits: int) -> bytes:
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[values.shape[2]]
    options = [cv2.IMWRITE_AVIF_QUALITY, 95, cv2.IMWRITE_AVIF_DEPTH, bits, cv2.IMWRITE_AVIF_SPEED, 9]
    return cv2.imencode(".avif", np.ascontiguousarray(values[..., order]), options)[1].tobytes()


def _of_libvips(values: Array, bits: int, **options: Any) -> bytes:
    """It takes longer numbers in the upper of 16 bits."""
    numbers = values if bits == 8 else values.astype(np.uint16) << (16 - bits)
    return bytes(
        vips(numbers).heifsave_buffer(compression="av1", Q=95, bitdepth=bits, effort=0, keep="none", **options)
    )


def _lossless() -> Iterator[Case]:
    for channels, seen in ((3, rgb), (4, rgba)):
        write: Write = lambda a: bytes(imagecodecs.avif_encode(a, level=100, speed=9, pixelformat="444", matrix=0))  # noqa: E731
        name = f"{channels} channels"
        yield avif_case("lossless", name, "imagecodecs", write, scene(channels), seen, loss=LOSSLESS, read=None)
        write = lambda a: bytes(vips(a).heifsave_buffer(compression="av1", lossless=True, effort=0))  # noqa: E731
        yield avif_case("lossless", name, "libvips", write, scene(channels), seen, loss=LOSSLESS, read=None)
