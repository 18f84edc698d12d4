"""BMP: all headers, depths, masks and run lengths by a writer of our own, and what three others write."""

import struct
from collections.abc import Iterator
from functools import partial
from io import BytesIO
from typing import Any

import cv2
import imagecodecs
import numpy as np
from matrix_case import Array, Case, case, eight, gray, palette_of, rgb, rgba, saved, scene
from PIL import Image

CORE, INFO, V2, V3, V4, V5 = 12, 40, 52, 56, 108, 124
MASKS_555 = (0x7C00, 0x03E0, 0x001F, 0)
MASKS_565 = (0xF800, 0x07E0, 0x001F, 0)
MASKS_BGRA = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
MASKS_RGBA = (0xFF, 0xFF00, 0xFF0000, 0xFF000000)
MASKS_BGRX = (0xFF0000, 0xFF00, 0xFF, 0)


def cases() -> Iterator[Case]:
    yield from _with_palettes()
    yield from _of_colors()
    yield from _of_run_lengths()
    yield from _odd()
    yield from _of_others()


def bmp(
    rows: bytes,
    size: tuple[int, int],
    bits: int,
    header: int = INFO,
    palette: Array | None = None,
    masks: tuple[int, ...] = (),
    compression: int = 0,
    down: bool = False,
    used: int = 0,
    gap: bytes = b"",
    told: int | None = None,
    end: bytes = b"",
) -> bytes:
    """`gap` lies between the palette and the rows; `told` is the size of the rows that the header claims."""
    width, height = size
    if header == CORE:
        info = struct.pack("<IHHHH", CORE, width, height, 1, bits)
    else:
        told = len(rows) if told is None else told
        signed = -height if down else height
        info = struct.pack("<IiiHHIIiiII", header, width, signed, 1, bits, compression, told, 2835, 2835, used, 0)
        if masks:
            info += struct.pack("<4I", *masks)[: 16 if header >= V3 else 12]
        if header >= V4:
            # Colors of sRGB; the bytes of a place for a profile stay empty.
            info = info.ljust(V3, b"\0") + b"BGRs"
        info = info.ljust(header, b"\0")
    table = b""
    if palette is not None:
        order = palette[:, ::-1]
        table = (order if header == CORE else np.pad(order, ((0, 0), (0, 1)))).tobytes()
    start = 14 + len(info) + len(table) + len(gap)
    return b"BM" + struct.pack("<IHHI", start + len(rows), 0, 0, start) + info + table + gap + rows + end


def _rows(values: Array, bits: int, down: bool = False) -> bytes:
    """Rows of numbers of so many bits, each padded to four bytes, the lowest first."""
    if bits < 8:
        digits = values[..., 0, None] >> np.arange(bits)[::-1] & 1
        packed = np.packbits(digits.reshape(len(values), -1).astype(np.uint8), axis=1)
    else:
        packed = values.reshape(len(values), -1).view(np.uint8)
    padded = np.pad(packed, ((0, 0), (0, -packed.shape[1] % 4)))
    return (padded if down else padded[::-1]).tobytes()


def _size(values: Array) -> tuple[int, int]:
    return values.shape[1], values.shape[0]


def _with_palettes() -> Iterator[Case]:
    for bits in (1, 4, 8):
        for header, name in ((CORE, "core"), (INFO, "info"), (V3, "V3"), (V4, "V4"), (V5, "V5")):
            for down in (False, True) if header != CORE else (False,):
                write = partial(_indexed, bits=bits, header=header, down=down)
                label = f"{bits} bits {name}{' from the top' * down}"
                yield case("BMP", "palette", label, "own", write, scene(1, bits), partial(_seen, bits=bits))
    write = partial(_indexed, bits=8, header=INFO, colors=16, used=16)
    yield case(
        "BMP", "palette", "16 colors of 8 bits", "own", write, scene(1, 4), lambda a: palette_of(8, 16)[a[..., 0]]
    )


def _indexed(values: Array, bits: int, header: int, down: bool = False, colors: int = 0, **more: Any) -> bytes:
    palette = palette_of(bits, colors or 1 << bits)
    return bmp(_rows(values, bits, down), _size(values), bits, header, palette, down=down, **more)


def _seen(values: Array, bits: int) -> Array:
    return palette_of(bits, 1 << bits)[values[..., 0]]


def _of_colors() -> Iterator[Case]:
    for header, name in ((CORE, "core"), (INFO, "info"), (V4, "V4"), (V5, "V5")):
        for down in (False, True) if header != CORE else (False,):
            label = f"{name}{' from the top' * down}"
            write = partial(_24, header=header, down=down)
            yield case("BMP", "24 bits", label, "own", write, scene(3), rgb)
            if header == CORE:
                continue
            write = partial(_masked, bits=32, masks=(), header=header, down=down)
            yield case("BMP", "32 bits", f"{label} without masks", "own", write, scene(4), rgb)
            write = partial(_masked, bits=16, masks=(), header=header, down=down)
            yield case("BMP", "16 bits", f"{label} without masks", "own", write, scene(4), partial(_few_bits, green=5))
    for header, name in ((INFO, "info"), (V2, "V2"), (V3, "V3"), (V4, "V4"), (V5, "V5")):
        for label, bits, masks in (
            ("555", 16, MASKS_555),
            ("565", 16, MASKS_565),
            ("BGRX", 32, MASKS_BGRX),
            ("BGRA", 32, MASKS_BGRA),
            ("RGBA", 32, MASKS_RGBA),
        ):
            # Only the longer headers have a mask of alpha.
            has_alpha = masks[3] > 0 and header >= V3
            if masks[3] and not has_alpha:
                continue
            seen = rgba if has_alpha else rgb if bits == 32 else partial(_few_bits, green=int(label[1]))
            write = partial(_masked, bits=bits, masks=masks, header=header)
            yield case("BMP", f"{bits} bits", f"{label} {name}", "own", write, scene(4), seen)


def _24(values: Array, header: int, down: bool = False, **more: Any) -> bytes:
    turned = np.ascontiguousarray(values[..., ::-1])
    return bmp(_rows(turned, 24, down), _size(values), 24, header, down=down, **more)


def _masked(values: Array, bits: int, masks: tuple[int, ...], header: int, down: bool = False) -> bytes:
    """Red, green, blue and alpha where the masks say; without masks as the depth has them by default."""
    packed = np.zeros(values.shape[:2], np.uint32)
    used = masks or (MASKS_555 if bits == 16 else MASKS_BGRA)
    for channel, mask in enumerate(used):
        if mask:
            shift = (mask & -mask).bit_length() - 1
            width = (mask >> shift).bit_length()
            packed |= values[..., channel].astype(np.uint32) >> (8 - width) << shift
    rows = _rows(packed.astype(np.uint16 if bits == 16 else np.uint32)[..., None], bits, down)
    return bmp(rows, _size(values), bits, header, masks=masks, compression=3 if masks else 0, down=down)


def _few_bits(values: Array, green: int) -> Array:
    bits = (5, green, 5)
    return np.stack([eight(values[..., n] >> (8 - b), b) for n, b in enumerate(bits)], axis=2)


# Run lengths


def _of_run_lengths() -> Iterator[Case]:
    for bits in (4, 8):
        for name, literal in (("runs", False), ("runs and literals", True)):
            write = partial(_runs, bits=bits, literal=literal)
            yield case("BMP", f"RLE{bits}", name, "own", write, scene(1, bits), partial(_seen, bits=bits))
        unfinished = partial(_runs, bits=bits, literal=True, end=b"")
        yield case("BMP", f"RLE{bits}", "no end", "own", unfinished, scene(1, bits), partial(_seen, bits=bits))


def _runs(values: Array, bits: int, literal: bool, end: bytes = b"\0\1") -> bytes:
    out = b""
    for number, row in enumerate(values[::-1, :, 0]):
        out += _literal(row, bits) if literal and number % 3 else _run(row, bits)
        out += b"\0\0" if number < len(values) - 1 else b""
    palette = palette_of(bits, 1 << bits)
    return bmp(out + end, _size(values), bits, palette=palette, compression=1 if bits == 8 else 2)


def _run(row: Array, bits: int) -> bytes:
    out, at = b"", 0
    while at < len(row):
        length = 1
        while at + length < len(row) and row[at + length] == row[at] and length < 255:
            length += 1
        out += bytes([length, row[at] if bits == 8 else row[at] * 17])
        at += length
    return out


def _literal(row: Array, bits: int) -> bytes:
    """The row as it is, in pieces of at least 3 numbers, each padded to two bytes."""
    out = b""
    for at in range(0, len(row), 20):
        piece = row[at : at + 20]
        if len(piece) < 3:
            out += _run(piece, bits)
            continue
        packed = piece.tobytes()
        if bits == 4:
            even = np.pad(piece, (0, len(piece) % 2))
            packed = (even[::2] << 4 | even[1::2]).astype(np.uint8).tobytes()
        out += bytes([0, len(piece)]) + packed + bytes(len(packed) % 2)
    return out


# Oddities, and other writers


def _odd() -> Iterator[Case]:
    for name, options in {
        "a gap before the pixels": {"gap": bytes(38)},
        "size of the pixels told as 0": {"told": 0},
        "size of the pixels told wrongly": {"told": 77},
        "bytes behind the end": {"end": bytes(99)},
        "a palette that 24 bits do not need": {"gap": palette_of(3, 8, 4).tobytes(), "used": 8},
    }.items():
        yield case("BMP", "odd", name, "own", partial(_24, header=INFO, **options), scene(3), rgb)
    whole = partial(_24, header=INFO)
    wrong = lambda values: (data := whole(values))[:2] + bytes(4) + data[6:]  # noqa: E731
    yield case("BMP", "odd", "size of the file told as 0", "own", wrong, scene(3), rgb)


def _of_others() -> Iterator[Case]:
    for name, channels, seen in (("L", 1, gray), ("RGB", 3, rgb), ("RGBA", 4, rgba)):
        # Pillow names no mask of alpha: to browsers its fourth byte is none.
        masked = rgb if name == "RGBA" else seen
        yield case("BMP", "plain", name, "Pillow", partial(_of_pillow, mode=name), scene(channels), masked)
        yield case("BMP", "plain", name, "OpenCV", _of_opencv, scene(channels), seen)
        yield case("BMP", "plain", name, "imagecodecs", _of_imagecodecs, scene(channels), seen)
    yield case("BMP", "plain", "1", "Pillow", _bilevel, scene(1, 1), partial(gray, bits=1))
    yield case("BMP", "plain", "P", "Pillow", _paletted, scene(1), partial(_seen, bits=8))


def _of_pillow(values: Array, mode: str) -> bytes:
    return saved(values, "BMP", mode)


def _of_opencv(values: Array) -> bytes:
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[values.shape[2]]
    return cv2.imencode(".bmp", np.ascontiguousarray(values[..., order]))[1].tobytes()


def _of_imagecodecs(values: Array) -> bytes:
    return bytes(imagecodecs.bmp_encode(values[..., 0] if values.shape[2] == 1 else values))


def _bilevel(values: Array) -> bytes:
    out = BytesIO()
    Image.fromarray(gray(values, 1)[..., 0]).convert("1", dither=Image.Dither.NONE).save(out, "BMP")
    return out.getvalue()


def _paletted(values: Array) -> bytes:
    image = Image.fromarray(values[..., 0]).convert("P")
    image.putpalette(palette_of(8, 256).tobytes())
    out = BytesIO()
    image.save(out, "BMP")
    return out.getvalue()
