"""PNG: all color types and depths, by a writer of our own and four others."""

import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from io import BytesIO
from typing import Any

import cv2
import imagecodecs
import numpy as np
import pyvips
from matrix_case import (
    Array,
    Case,
    case,
    gray,
    gray_alpha,
    over_white,
    palette_of,
    rgb,
    rgba,
    saved,
    scene,
)
from PIL import Image

ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
SIGNATURE = b"\x89PNG\r\n\x1a\n"
END = (b"IEND", b"")

Chunk = tuple[bytes, bytes]
Shown = Callable[[Array], Array]


def cases() -> Iterator[Case]:
    yield from _of_every_type()
    yield from _of_other_writers()


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def with_wrong_sum(kind: bytes, content: bytes) -> bytes:
    return chunk(kind, content)[:-4] + struct.pack(">I", zlib.crc32(kind + content) ^ 0x5A5A)


def png(
    values: Array,
    color: int,
    depth: int,
    interlaced: bool = False,
    before: bytes = b"",
    between: bytes = b"",
    after: bytes = END[1],
    parts: int = 1,
    end: bytes | None = None,
) -> bytes:
    """`before` stands before the palette's place, `between` before the pixels, `after` behind them."""
    height, width = values.shape[:2]
    passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
    raw = b"".join(_rows(values[y::dy, x::dx], depth) for x, y, dx, dy in passes)
    packed = zlib.compress(raw)
    step = -(-len(packed) // parts)
    pixels = b"".join(chunk(b"IDAT", packed[at : at + step]) for at in range(0, len(packed), step))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, int(interlaced)))
    table = chunk(b"PLTE", palette(depth).tobytes()) if color == 3 else b""
    return SIGNATURE + head + before + table + between + pixels + after + (chunk(*END) if end is None else end)


def palette(depth: int) -> Array:
    return palette_of(depth, 1 << depth)


def _opacities(depth: int) -> Array:
    """Of the first three quarters of the palette; the rest is opaque."""
    return np.linspace(0, 255, max(1, (3 << depth) // 4)).astype(np.uint8)


def _rows(values: Array, depth: int) -> bytes:
    """Rows behind the byte that names their filter; every filter is used."""
    height, width = values.shape[:2]
    if not height or not width:
        return b""
    flat = values.reshape(height, -1)
    step = max(1, values.shape[2] * depth // 8)
    if depth == 16:
        rows = flat.astype(">u2").view(np.uint8)
    elif depth == 8:
        rows = flat.astype(np.uint8)
    else:
        bits = flat[..., None] >> np.arange(depth)[::-1] & 1
        rows = np.packbits(bits.reshape(height, -1).astype(np.uint8), axis=1)
    above = np.zeros_like(rows[0])
    out = b""
    for number, row in enumerate(rows):
        out += bytes([number % 5]) + _filtered(number % 5, row, above, step).tobytes()
        above = row
    return out


def _filtered(method: int, row: Array, above: Array, step: int) -> Array:
    a = np.concatenate([np.zeros(step, np.int32), row.astype(np.int32)])[: len(row)]
    b = above.astype(np.int32)
    c = np.concatenate([np.zeros(step, np.int32), b])[: len(row)]
    to_a, to_b, to_c = abs(b - c), abs(a - c), abs(a + b - 2 * c)
    paeth = np.where((to_a <= to_b) & (to_a <= to_c), a, np.where(to_b <= to_c, b, c))
    guesses: Sequence[Any] = (0, a, b, (a + b) // 2, paeth)
    return ((row.astype(np.int32) - guesses[method]) & 255).astype(np.uint8)


# Every color type, depth, interlacing and transparency


def _of_every_type() -> Iterator[Case]:
    for color, depths in DEPTHS.items():
        for depth in depths:
            for interlaced in (False, True):
                for clear in (False, True) if color in (0, 2, 3) else (False,):
                    name = f"{depth} bits{' interlaced' * interlaced}{' tRNS' * clear}"
                    write = partial(_plain, color=color, depth=depth, interlaced=interlaced, clear=clear)
                    source = scene(CHANNELS[color], depth)
                    shown = partial(shown_png, color=color, depth=depth, clear=clear)
                    yield case("PNG", f"type {color}", name, "own", write, source, shown)


def _plain(values: Array, color: int, depth: int, interlaced: bool, clear: bool) -> bytes:
    between = b""
    if clear:
        between = chunk(
            b"tRNS", _opacities(depth).tobytes() if color == 3 else clear_color(values).astype(">u2").tobytes()
        )
    return png(values, color, depth, interlaced, between=between)


def clear_color(values: Array) -> Array:
    """The color that is most frequent: that of the plain rectangle, or in few colors some other."""
    colors, counts = np.unique(values.reshape(-1, values.shape[2]), axis=0, return_counts=True)
    return np.asarray(colors[counts.argmax()])


def shown_png(values: Array, color: int, depth: int, clear: bool) -> Array:
    if color == 3:
        seen = palette(depth)[values[..., 0]]
        alpha = np.full(1 << depth, 255, np.uint8)
        alpha[: len(_opacities(depth))] = _opacities(depth)
        return over_white(seen, alpha[values[..., :1]]) if clear else seen
    seen = {0: gray, 2: rgb, 4: gray_alpha, 6: rgba}[color](values, depth)
    if clear:
        seen = seen.copy()
        seen[(values == clear_color(values)).all(axis=2)] = 255
    return seen


# Other writers


def _of_other_writers() -> Iterator[Case]:
    for name, channels, bits, shown in (
        ("L", 1, 8, gray),
        ("LA", 2, 8, gray_alpha),
        ("RGB", 3, 8, rgb),
        ("RGBA", 4, 8, rgba),
        ("I;16", 1, 16, partial(gray, bits=16)),
    ):
        write = partial(saved, format="PNG", mode=name)
        yield case("PNG", "plain", name, "Pillow", write, scene(channels, bits), shown)
    yield case("PNG", "plain", "1", "Pillow", _bilevel, scene(1, 1), partial(gray, bits=1))
    yield case("PNG", "plain", "P", "Pillow", _indexed, scene(1), lambda a: palette_of(8, 256)[a[..., 0]])
    yield case("PNG", "plain", "RGB optimized", "Pillow", partial(saved, format="PNG", optimize=True), scene(3), rgb)
    kinds: tuple[tuple[str, int, Callable[..., Array]], ...] = (
        ("gray", 1, gray),
        ("gray alpha", 2, gray_alpha),
        ("rgb", 3, rgb),
        ("rgba", 4, rgba),
    )
    for name, channels, kind in kinds:
        for bits in (8, 16):
            source, shown = scene(channels, bits), partial(kind, bits=bits)
            label = f"{name} {bits}"
            if channels != 2:
                yield case("PNG", "plain", label, "OpenCV", _of_opencv, source, shown)
            yield case("PNG", "plain", label, "imagecodecs", imagecodecs.png_encode, source, shown)
            yield case("PNG", "plain", label, "libvips", _of_libvips, source, shown)
            interlaced = partial(_of_libvips, interlace=True, filter=pyvips.ForeignPngFilter.ALL)
            yield case("PNG", "plain", f"{label} interlaced", "libvips", interlaced, source, shown)
        yield case("PNG", "animated", name, "imagecodecs", _frames, scene(channels), partial(kind))
    yield case("PNG", "animated", "rgb", "Pillow", _frames_of_pillow, scene(3), rgb)


def _bilevel(values: Array) -> bytes:
    out = BytesIO()
    Image.fromarray(gray(values, 1)[..., 0]).convert("1", dither=Image.Dither.NONE).save(out, "PNG")
    return out.getvalue()


def _indexed(values: Array) -> bytes:
    image = Image.fromarray(values[..., 0]).convert("P")
    image.putpalette(palette_of(8, 256).tobytes())
    out = BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def _of_opencv(values: Array) -> bytes:
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[values.shape[2]]
    return cv2.imencode(".png", values[..., order])[1].tobytes()


def _of_libvips(values: Array, **options: Any) -> bytes:
    return bytes(vips(values).pngsave_buffer(**options))


def vips(values: Array) -> pyvips.Image:
    """Numbers as an image whose interpretation fits their channels and bits."""
    names = {8: ("b-w", "b-w", "srgb", "srgb"), 16: ("grey16", "grey16", "rgb16", "rgb16")}
    bits = values.dtype.itemsize * 8
    image = pyvips.Image.new_from_array(np.ascontiguousarray(values))
    return image.copy(interpretation=names[bits][values.shape[2] - 1])


def _frames(values: Array) -> bytes:
    return bytes(imagecodecs.apng_encode(np.stack([values, 255 - values]), delay=100))


def _frames_of_pillow(values: Array) -> bytes:
    return saved(values, "PNG", save_all=True, append_images=[Image.fromarray(255 - values)], duration=100)
