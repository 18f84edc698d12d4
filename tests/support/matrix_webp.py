"""WebP: lossless, lossy, with alpha and animated by four writers, and every state of the chunks around the pixels."""

import struct
from collections.abc import Iterator
from functools import partial
from typing import Any

import cv2
import imagecodecs
import numpy as np
from image_files import gray_without_gamma, srgb_with_red_and_green_swapped
from matrix_case import (
    LOSSLESS,
    LOSSY,
    Array,
    Case,
    case,
    exif,
    gray,
    gray_alpha,
    rgb,
    rgba,
    saved,
    scene,
    smooth,
    stored_for,
)
from matrix_png import vips
from PIL import Image

ICC, ALPHA, EXIF, XMP, ANIMATED = 0x20, 0x10, 0x08, 0x04, 0x02


def cases() -> Iterator[Case]:
    for channels, seen in ((3, rgb), (4, rgba)):
        for lossless in (True, False):
            yield from _of_writers(channels, seen, lossless)
    for channels, seen in ((1, gray), (2, gray_alpha)):
        yield case("WebP", "lossless", f"{channels} channels", "libvips", _of_libvips, scene(channels), seen)
    yield from _turned()
    yield from _with_chunks()
    yield from _with_frames()


def _of_writers(channels: int, seen: Any, lossless: bool) -> Iterator[Case]:
    shape = "lossless" if lossless else "lossy"
    source, loss = (scene(channels), LOSSLESS) if lossless else (smooth(channels), LOSSY)
    for name, writer, write in (
        ("plain", "Pillow", partial(webp, lossless=lossless)),
        ("exact", "Pillow", partial(webp, lossless=lossless, exact=True, method=6)),
        ("fast", "Pillow", partial(webp, lossless=lossless, method=0)),
        ("animated", "Pillow", partial(_frames_of_pillow, lossless=lossless)),
        ("plain", "OpenCV", partial(_of_opencv, quality=101 if lossless else 95)),
        ("plain", "imagecodecs", partial(_of_imagecodecs, lossless=lossless)),
        ("plain", "libvips", partial(_of_libvips, lossless=lossless)),
        ("near lossless", "libvips", partial(_of_libvips, near_lossless=True)),
        ("sharp", "libvips", partial(_of_libvips, lossless=lossless, smart_subsample=True, alpha_q=100)),
    ):
        if name != "near lossless" or not lossless:
            label = f"{name} {'rgba' if channels == 4 else 'rgb'}"
            yield case("WebP", shape, label, writer, write, source, seen, loss, read=None if lossless else _read)


def _read(data: bytes) -> Array:
    return np.asarray(imagecodecs.webp_decode(data, index=0))


def webp(values: Array, **options: Any) -> bytes:
    return saved(values, "WEBP", **{"quality": 95, "lossless": True} | options)


def _frames_of_pillow(values: Array, lossless: bool) -> bytes:
    second = values.copy()
    second[..., :3] = 255 - second[..., :3]
    return webp(values, lossless=lossless, save_all=True, append_images=[Image.fromarray(second)], duration=50)


def _of_opencv(values: Array, quality: int) -> bytes:
    order = [2, 1, 0, 3][: values.shape[2]] if values.shape[2] == 4 else [2, 1, 0]
    data = cv2.imencode(".webp", np.ascontiguousarray(values[..., order]), [cv2.IMWRITE_WEBP_QUALITY, quality])[1]
    return data.tobytes()


def _of_imagecodecs(values: Array, lossless: bool) -> bytes:
    return bytes(imagecodecs.webp_encode(values, level=95, lossless=lossless))


def _of_libvips(values: Array, **options: Any) -> bytes:
    return bytes(vips(values).webpsave_buffer(**{"Q": 95, "lossless": True} | options))


# The container


def chunk(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def container(
    values: Array,
    flags: int,
    before: bytes = b"",
    after: bytes = b"",
    end: bytes = b"",
    told: int | None = None,
    **options: Any,
) -> bytes:
    """An extended WebP of the pixels that Pillow has written, with these chunks before and after them."""
    plain = webp(values, **options)
    at = 12 + 8 + 10 if plain[12:16] == b"VP8X" else 12
    flags |= plain[20] if plain[12:16] == b"VP8X" else ALPHA * (values.shape[2] == 4)
    head = chunk(b"VP8X", struct.pack("<I", flags) + _three(values.shape[1] - 1) + _three(values.shape[0] - 1))
    body = b"WEBP" + head + before + plain[at:] + after
    return b"RIFF" + struct.pack("<I", len(body) if told is None else told) + body + end


def _three(number: int) -> bytes:
    return struct.pack("<I", number)[:3]


def _turned() -> Iterator[Case]:
    for orientation in range(1, 9):
        write = partial(_with_exif, orientation=orientation)
        yield case("WebP", "EXIF", f"orientation {orientation}", "own", write, scene(3), rgb)
    named = partial(_with_exif, orientation=6, name=b"Exif\0\0")
    yield case("WebP", "EXIF", "orientation 6 behind a name", "own", named, scene(3), rgb)
    write = partial(_with_exif, orientation=8)
    yield case("WebP", "EXIF", "orientation 8 rgba", "own", write, scene(4), rgba)


def _with_exif(values: Array, orientation: int, name: bytes = b"") -> bytes:
    order = "<" if orientation % 2 else ">"
    content = chunk(b"EXIF", name + exif(orientation, order))
    return container(stored_for(orientation, values), EXIF, after=content)


def _with_chunks() -> Iterator[Case]:
    swapped = chunk(b"ICCP", srgb_with_red_and_green_swapped())
    for name, channels, lossless in (("rgb", 3, True), ("rgba", 4, True), ("lossy", 3, False)):
        source = scene(channels) if lossless else smooth(channels)
        seen = rgba if channels == 4 else rgb
        loss = LOSSLESS if lossless else LOSSY
        read = None if lossless else _read
        write = partial(container, flags=ICC, before=swapped, lossless=lossless)
        exchanged = lambda values, seen=seen: seen(values)[..., [1, 0, 2]]  # noqa: E731
        yield case("WebP", "ICCP", f"swapped {name}", "own", write, source, exchanged, loss, read=read)
        for label, options in _harmless().items():
            write = partial(container, lossless=lossless, **options)
            yield case("WebP", "chunks", f"{label} {name}", "own", write, source, seen, loss, read=read)


def _harmless() -> dict[str, dict[str, Any]]:
    profile = srgb_with_red_and_green_swapped()
    return {
        "extended without a need": {"flags": 0},
        "flags of chunks that are absent": {"flags": ICC | EXIF | XMP},
        "profile cut": {"flags": ICC, "before": chunk(b"ICCP", profile[:150])},
        "profile empty": {"flags": ICC, "before": chunk(b"ICCP", b"")},
        "profile of other colors": {"flags": ICC, "before": chunk(b"ICCP", gray_without_gamma())},
        "EXIF of garbage": {"flags": EXIF, "after": chunk(b"EXIF", b"\xff" * 31)},
        "EXIF empty": {"flags": EXIF, "after": chunk(b"EXIF", b"")},
        "XMP": {"flags": XMP, "after": chunk(b"XMP ", b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>")},
        "XMP of no XML": {"flags": XMP, "after": chunk(b"XMP ", b"\xff\0<")},
        "unknown chunks": {"flags": 0, "before": chunk(b"prVt", b"abc"), "after": chunk(b"none", bytes(9))},
        "bytes behind the end": {"flags": 0, "end": bytes(99)},
    }


def _with_frames() -> Iterator[Case]:
    for channels, seen in ((3, rgb), (4, rgba)):
        name = "rgba" if channels == 4 else "rgb"
        yield case("WebP", "frames", f"smaller than the canvas {name}", "own", _small_frame, scene(channels),
                   partial(_on_canvas, seen=seen))  # fmt: skip
        yield case("WebP", "frames", f"two {name}", "own", partial(_small_frame, whole=True), scene(channels), seen)


def _small_frame(values: Array, whole: bool = False) -> bytes:
    """Two frames, on a canvas that is larger unless `whole`, over a background that browsers do not paint."""
    height, width = values.shape[:2]
    x, y, wide, high = (0, 0, width, height) if whole else (6, 4, 100, 97)
    alpha = ALPHA * (values.shape[2] == 4)
    head = chunk(b"VP8X", struct.pack("<I", ANIMATED | ALPHA | alpha) + _three(wide - 1) + _three(high - 1))
    body = head + chunk(b"ANIM", bytes([30, 60, 200, 255]) + bytes(2))
    for pixels in (values, np.ascontiguousarray(values[::-1])):
        place = _three(x // 2) + _three(y // 2) + _three(width - 1) + _three(height - 1) + _three(50) + b"\2"
        body += chunk(b"ANMF", place + webp(pixels, exact=True)[12:])
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def _on_canvas(values: Array, seen: Any) -> Array:
    canvas = np.full((97, 100, 3), 255, np.uint8)
    canvas[4 : 4 + values.shape[0], 6 : 6 + values.shape[1]] = seen(values)
    return canvas
