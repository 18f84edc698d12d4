"""TIFF that only a writer of our own makes: few bits, odd bits, YCbCr and Lab without compression, damaged tags."""

import struct
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from image_files import srgb_with_red_and_green_swapped
from matrix_case import (
    Array,
    Case,
    case,
    cmyk,
    gray,
    gray_alpha,
    in_lab,
    in_ycbcr,
    lab,
    palette_of,
    rgb,
    rgba,
    scene,
    subsampled,
    textured,
    white_is_zero,
    ycbcr,
)
from matrix_tiff import UNASSOCIATED, UNSPECIFIED

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, MASK, SEPARATED, YCBCR, CIELAB, ICCLAB = 0, 1, 2, 3, 4, 5, 6, 8, 9
PHOTOMETRIC, EXTRA_SAMPLES, SAMPLES, STRIP_ROWS, STRIP_SIZES = 262, 338, 277, 278, 279
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 16: 8}
BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, LONG8 = 1, 2, 3, 4, 5, 7, 16

Tag = tuple[int, bytes | list[int]]
tiff_case = partial(case, "TIFF", writer="own", browser=False)


def cases() -> Iterator[Case]:
    yield from _few_bits()
    yield from _odd_bits()
    yield from _luma_and_chroma()
    yield from _lab()
    yield from _tags()
    yield from _seldom()


def tiff(
    rows: bytes,
    size: tuple[int, int],
    bits: list[int],
    photometric: int,
    order: str = "<",
    big: bool = False,
    more: dict[int, Tag] | None = None,
    without: tuple[int, ...] = (),
    end: bytes = b"",
) -> bytes:
    """A TIFF of one strip. `more` adds tags or replaces them, each a type with its numbers or bytes."""
    tags: dict[int, Tag] = {
        256: (LONG, [size[0]]),
        257: (LONG, [size[1]]),
        258: (SHORT, bits),
        259: (SHORT, [1]),
        PHOTOMETRIC: (SHORT, [photometric]),
        273: (LONG8 if big else LONG, [0]),
        SAMPLES: (SHORT, [len(bits)]),
        STRIP_ROWS: (LONG, [size[1]]),
        STRIP_SIZES: (LONG8 if big else LONG, [len(rows)]),
        **(more or {}),
    }
    kept = {tag: tags[tag] for tag in sorted(tags) if tag not in without}
    start = 16 if big else 8
    if tags[273][1] == [0]:
        kept[273] = (kept[273][0], [start])
    where = start + len(rows) + len(rows) % 2
    mark = b"II" if order == "<" else b"MM"
    head = mark + (struct.pack(f"{order}HHHQ", 43, 8, 0, where) if big else struct.pack(f"{order}HI", 42, where))
    return head + rows + bytes(len(rows) % 2) + _directory(kept, where, order, big) + end


def _directory(tags: dict[int, Tag], where: int, order: str, big: bool) -> bytes:
    room, entry, count_of, count_format, head = (8, 20, "Q", "Q", 8) if big else (4, 12, "H", "I", 2)
    body, table = b"", struct.pack(order + count_of, len(tags))
    behind = where + head + entry * len(tags) + room
    for tag, (kind, content) in tags.items():
        packed = content if isinstance(content, bytes) else _packed(kind, content, order)
        count = len(packed) // SIZES.get(kind, 1)
        table += struct.pack(f"{order}HH{count_format}", tag, kind, count)
        if len(packed) <= room:
            table += packed.ljust(room, b"\0")
        else:
            table += struct.pack(order + count_format, behind + len(body))
            body += packed + bytes(len(packed) % 2)
    return table + bytes(room) + body


def _packed(kind: int, numbers: list[int], order: str) -> bytes:
    letter = {BYTE: "B", SHORT: "H", LONG: "I", RATIONAL: "I", LONG8: "Q"}[kind]
    return struct.pack(f"{order}{len(numbers)}{letter}", *numbers)


def packed(values: Array, bits: int, order: str = "<") -> bytes:
    """Rows of numbers of so many bits, each row padded to a byte."""
    flat = values.reshape(len(values), -1)
    if bits in (8, 16):
        return flat.astype(f"{order}u{bits // 8}").tobytes()
    digits = flat[..., None] >> np.arange(bits)[::-1] & 1
    return np.packbits(digits.reshape(len(flat), -1).astype(np.uint8), axis=1).tobytes()


def _plain(values: Array, bits: int, photometric: int, extras: tuple[int, ...] = (), **options: Any) -> bytes:
    """All numbers in one strip, without compression."""
    more = ({EXTRA_SAMPLES: (SHORT, list(extras))} if extras else {}) | options.pop("more", {})
    size = values.shape[1], values.shape[0]
    rows = packed(values, bits, options.get("order", "<"))
    return tiff(rows, size, [bits] * values.shape[2], photometric, more=more, **options)


# Bits


def _few_bits() -> Iterator[Case]:
    for bits in (1, 2, 4):
        for order, big in (("<", False), (">", True)):
            name = f"{order}{' big' * big}"
            for shape, photometric, seen in (("", BLACK_IS_ZERO, gray), (" WhiteIsZero", WHITE_IS_ZERO, white_is_zero)):
                write = partial(_plain, bits=bits, photometric=photometric, order=order, big=big)
                label = f"gray {bits} bits" if bits > 1 else "1 bit"
                yield tiff_case(
                    label, name=f"{name}{shape}", write=write, source=scene(1, bits), shown=partial(seen, bits=bits)
                )
            yield tiff_case(f"palette {bits} bits", name=name, write=partial(_palette, bits=bits, order=order, big=big),
                            source=scene(1, bits), shown=partial(_colors, bits=bits))  # fmt: skip
    yield tiff_case("palette 8 bits", name="big", write=partial(_palette, bits=8, order=">", big=True), source=scene(1),
                    shown=partial(_colors, bits=8))  # fmt: skip
    for channels, photometric, seen in ((3, RGB, rgb), (4, SEPARATED, cmyk)):
        name = "RGB" if channels == 3 else "CMYK"
        write = partial(_plain, bits=4, photometric=photometric)
        yield tiff_case(f"{name} 4 bits", name="", write=write, source=scene(channels, 4), shown=partial(seen, bits=4))
    for bits in (1, 8):
        write = partial(_with_bits_reversed, bits=bits)
        shape = "1 bit" if bits == 1 else "gray 8 bits"
        yield tiff_case(
            shape, name="the lowest bit first", write=write, source=scene(1, bits), shown=partial(gray, bits=bits)
        )


def _palette(values: Array, bits: int, order: str, big: bool) -> bytes:
    colors = (palette_of(bits, 1 << bits).T.astype(np.uint16) * 257).ravel().tolist()
    return _plain(values, bits, PALETTE, order=order, big=big, more={320: (SHORT, colors)})


def _colors(values: Array, bits: int) -> Array:
    return palette_of(bits, 1 << bits)[values[..., 0]]


def _with_bits_reversed(values: Array, bits: int) -> bytes:
    rows = np.frombuffer(packed(values, bits), np.uint8)
    turned = np.packbits(np.unpackbits(rows), bitorder="little").tobytes()
    return tiff(turned, (values.shape[1], values.shape[0]), [bits], BLACK_IS_ZERO, more={266: (SHORT, [2])})


def _odd_bits() -> Iterator[Case]:
    for bits in (6, 10, 12, 14):
        for name, channels, photometric, seen in (("gray", 1, BLACK_IS_ZERO, gray), ("RGB", 3, RGB, rgb)):
            write = partial(_plain, bits=bits, photometric=photometric)
            shown = partial(seen, bits=bits)
            yield tiff_case(f"{bits} bits", name=name, write=write, source=scene(channels, bits), shown=shown)


# YCbCr and Lab


def _luma_and_chroma() -> Iterator[Case]:
    for across, down in ((1, 1), (2, 1), (2, 2), (4, 1)):
        for order in "<>":
            write = partial(_ycbcr, across=across, down=down, order=order)
            shape = "YCbCr" if (across, down) == (1, 1) else "YCbCr subsampled"
            shown = partial(ycbcr, across=across, down=down)
            source = in_ycbcr(textured(3))
            yield tiff_case(shape, name=f"{across} {down} {order}", write=write, source=source, shown=shown)


def _ycbcr(values: Array, across: int, down: int, order: str) -> bytes:
    """Blocks of luma, each followed by its one Cb and Cr."""
    height, width = values.shape[:2]
    luma = np.pad(values[..., 0], ((0, -height % down), (0, -width % across)), mode="edge")
    high, wide = luma.shape[0] // down, luma.shape[1] // across
    blocks = luma.reshape(high, down, wide, across).swapaxes(1, 2).reshape(high, wide, -1)
    chroma = np.stack([subsampled(values[..., n], across, down) for n in (1, 2)], axis=2)
    rows = np.concatenate([blocks, chroma], axis=2).tobytes()
    more: dict[int, Tag] = {
        530: (SHORT, [across, down]),
        531: (SHORT, [1]),
        532: (RATIONAL, [0, 1, 255, 1, 128, 1, 255, 1, 128, 1, 255, 1]),
    }
    return tiff(rows, (width, height), [8, 8, 8], YCBCR, order=order, more=more)


def _lab() -> Iterator[Case]:
    for bits in (8, 16):
        for name, photometric in (("CIELab", CIELAB), ("ICCLab", ICCLAB)):
            write = partial(_in_lab, bits=bits, photometric=photometric)
            yield tiff_case(
                f"{name} {bits} bits", name="", write=write, source=in_lab(bits), shown=partial(lab, bits=bits)
            )


def _in_lab(values: Array, bits: int, photometric: int) -> bytes:
    """CIELab has signed colors, ICCLab has those whose middle is gray."""
    numbers = values.copy()
    if photometric == CIELAB:
        numbers[..., 1:] ^= 1 << (bits - 1)
    return _plain(numbers, bits, photometric)


# Tags


def _tags() -> Iterator[Case]:
    for name, options in _unusual().items():
        write = partial(_plain, bits=8, photometric=RGB, **options)
        yield tiff_case("tags", name=name, write=write, source=scene(3), shown=rgb)
    deep = {
        name: _unusual()[name] for name in ("private tags", "text behind the end", "EXIF that points behind the end")
    }
    for name, options in deep.items():
        write = partial(_plain, bits=16, photometric=RGB, order=">", **options)
        yield tiff_case("tags", name=f"{name} 16 bits", write=write, source=scene(3, 16), shown=partial(rgb, bits=16))
    seen: dict[str, tuple[int, int, tuple[int, ...], Callable[[Array], Array]]] = {
        "extra before alpha": (5, RGB, (UNSPECIFIED, UNASSOCIATED), lambda a: rgba(a[..., [0, 1, 2, 4]])),
        "gray alpha": (2, BLACK_IS_ZERO, (UNASSOCIATED,), gray_alpha),
        "WhiteIsZero alpha": (
            2,
            WHITE_IS_ZERO,
            (UNASSOCIATED,),
            lambda a: gray_alpha(a ^ np.array([255, 0], np.uint8)),
        ),
    }
    for name, (channels, photometric, extras, shown) in seen.items():
        write = partial(_plain, bits=8, photometric=photometric, extras=extras)
        yield tiff_case(name, name="8 bits", write=write, source=scene(channels), shown=shown)


def _unusual() -> dict[str, dict[str, Any]]:
    """Sound oddities, and damaged metadata, which counts as absent."""
    beyond: dict[int, Tag] = {34665: (LONG, [0x7FFFFFF0])}
    return {
        "plain": {},
        "no rows of a strip": {"without": (STRIP_ROWS,)},
        "rows of a strip without end": {"more": {STRIP_ROWS: (LONG, [0xFFFFFFFF])}},
        "bits told once": {"more": {258: (SHORT, [8])}},
        "private tags": {"more": {50000: (UNDEFINED, b"nobody's" * 40), 65000: (ASCII, b"abc\0")}},
        "text that does not end": {"more": {270: (ASCII, b"A picture without a zero")}},
        "text of no text": {"more": {270: (ASCII, b"\xff\xfe\0\x81"), 305: (BYTE, b"\xff")}},
        "resolution of 0": {"more": {282: (RATIONAL, [0, 0]), 283: (RATIONAL, [1, 0])}},
        "resolution as a short": {"more": {282: (SHORT, [72]), 296: (SHORT, [77])}},
        "date of no date": {"more": {306: (ASCII, b"yesterday\0")}},
        "EXIF that points behind the end": {"more": beyond},
        "GPS that points to itself": {"more": {34853: (LONG, [8])}},
        "a profile of garbage": {"more": {34675: (UNDEFINED, b"\xff" * 200)}},
        "a profile cut": {"more": {34675: (UNDEFINED, srgb_with_red_and_green_swapped()[:99])}},
        "XMP of no XML": {"more": {700: (BYTE, b"\xff<<\0<")}},
        "IPTC of garbage": {"more": {33723: (UNDEFINED, b"\x1c\xff\xff")}},
        "Photoshop of garbage": {"more": {34377: (BYTE, b"8BIM\xff\xff\xff\xff")}},
        "orientation 0": {"more": {274: (SHORT, [0])}},
        "orientation 9": {"more": {274: (SHORT, [9])}},
        "text behind the end": {"end": b"<!-- served in 12 ms -->"},
        "zeros behind the end": {"end": bytes(4096)},
        "big": {"big": True},
        "big of the other byte order": {"big": True, "order": ">"},
    }


def _seldom() -> Iterator[Case]:
    """Colors and compressions that are registered and that hardly anything reads."""
    for name, photometric, channels in (("mask", MASK, 1), ("color filter array", 32803, 1), ("linear raw", 34892, 3)):
        write = partial(_plain, bits=8, photometric=photometric)
        yield tiff_case(
            "photometric", name=name, write=write, source=scene(channels), shown=gray if channels == 1 else rgb
        )
    write = partial(_plain, bits=8, photometric=SEPARATED, more={332: (SHORT, [2]), 334: (SHORT, [3])})
    yield tiff_case("inks that are not CMYK", name="3", write=write, source=scene(3), shown=lambda a: 255 - a)
    write = partial(_plain, bits=8, photometric=RGB, more={259: (SHORT, [60001])})
    yield tiff_case("unknown compression", name="", write=write, source=scene(3), shown=rgb)
