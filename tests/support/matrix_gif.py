"""GIF: screens, frames, palettes and extensions by a writer of our own, and what three others write."""

import struct
from collections.abc import Iterator
from functools import partial
from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
from matrix_case import Array, Case, case, gray, palette_of, saved, scene
from matrix_png import vips
from PIL import Image

CLEAR = 3
LOOP = b"!\xff\x0bNETSCAPE2.0\3\1\0\0\0"
COMMENT = b"!\xfe\x09A picture\0"


def cases() -> Iterator[Case]:
    yield from _of_our_own()
    yield from _with_frames()
    yield from _of_others()


def gif(
    values: Array,
    bits: int = 8,
    version: bytes = b"GIF89a",
    clear: bool = False,
    interlaced: bool = False,
    local: bool = False,
    screen: tuple[int, int] | None = None,
    at: tuple[int, int] = (0, 0),
    background: int = 0,
    before: bytes = b"",
    after: bytes = b"",
    end: bytes = b";",
    finished: bool = True,
) -> bytes:
    """Indices of so many bits in a GIF. `clear`: the color number 3 is transparent."""
    height, width = values.shape[:2]
    screen = screen or (width, height)
    table = palette_of(bits, 1 << bits).tobytes()
    flags = 0x70 | (0 if local else 0x80 | bits - 1)
    head = version + struct.pack("<HHBBB", *screen, flags, background, 0) + (b"" if local else table)
    control = b"!\xf9\4" + struct.pack("<BHBB", 1, 10, CLEAR, 0) if clear else b""
    image = frame(values, bits, interlaced, local, at, finished)
    return head + before + control + image + after + end


def frame(
    values: Array,
    bits: int,
    interlaced: bool = False,
    local: bool = False,
    at: tuple[int, int] = (0, 0),
    finished: bool = True,
) -> bytes:
    height, width = values.shape[:2]
    flags = (0x80 | bits - 1 if local else 0) | 0x40 * interlaced
    rows = values[..., 0]
    if interlaced:
        rows = np.concatenate([rows[0::8], rows[4::8], rows[2::4], rows[1::2]])
    head = b"," + struct.pack("<HHHHB", *at, width, height, flags)
    return head + (palette_of(bits, 1 << bits).tobytes() if local else b"") + _compressed(rows, bits, finished)


def _compressed(rows: Array, bits: int, finished: bool) -> bytes:
    """LZW that clears its table before a code grows, which is sound though not small."""
    least = max(2, bits)
    clear = 1 << least
    numbers: list[int] = []
    for count, value in enumerate(rows.ravel().tolist()):
        if count % (clear - 2) == 0:
            numbers.append(clear)
        numbers.append(value)
    if finished:
        numbers.append(clear + 1)
    codes = np.array(numbers)[:, None] >> np.arange(least + 1) & 1
    packed = np.packbits(codes.ravel().astype(np.uint8), bitorder="little").tobytes()
    blocks = b"".join(bytes([len(packed[at : at + 255])]) + packed[at : at + 255] for at in range(0, len(packed), 255))
    return bytes([least]) + blocks + b"\0"


def _seen(values: Array, bits: int = 8, clear: bool = False) -> Array:
    seen = palette_of(bits, 1 << bits)[values[..., 0]]
    if clear:
        seen[values[..., 0] == CLEAR] = 255
    return seen


def _with_clear(bits: int) -> Any:
    """A scene of which a large part has the transparent color."""

    def drawn(seed: int) -> Array:
        values = scene(1, bits)(seed)
        values[len(values) // 2 : -5, 9 : values.shape[1] // 2] = CLEAR
        return values

    return drawn


def _of_our_own() -> Iterator[Case]:
    for bits in range(1, 9):
        for interlaced in (False, True):
            write = partial(gif, bits=bits, interlaced=interlaced, local=bits % 2 == 0, version=b"GIF87a")
            name = f"{bits} bits{' interlaced' * interlaced}"
            yield case("GIF", "87a", name, "own", write, scene(1, bits), partial(_seen, bits=bits))
            if bits > 1:
                write = partial(gif, bits=bits, interlaced=interlaced, local=bits % 2 == 1, clear=True)
                shown = partial(_seen, bits=bits, clear=True)
                yield case("GIF", "89a", f"{name} clear", "own", write, _with_clear(bits), shown)
    odd: dict[str, dict[str, Any]] = {
        "no end": {"end": b""},
        "zeros behind the end": {"end": b";" + bytes(99)},
        "no code of the end": {"finished": False},
        "no code of the end and no end": {"finished": False, "end": b""},
        "comment": {"before": COMMENT},
        "comment behind the picture": {"after": COMMENT},
        "loops without frames": {"before": LOOP},
        "application of an odd length": {"before": b"!\xff\3abc\2xy\0"},
        "extension of no known kind": {"before": b"!\x42\3abc\0"},
        "empty extension": {"before": b"!\xfe\0"},
        "text extension": {"after": b"!\x01\x0c" + bytes(12) + b"\2Hi\0"},
        "background": {"background": 7},
    }
    for name, options in odd.items():
        yield case("GIF", "odd", name, "own", partial(gif, **options), scene(1), _seen)


def _with_frames() -> Iterator[Case]:
    for clear in (False, True):
        for background in (0, 9):
            write = partial(gif, clear=clear, screen=(100, 97), at=(6, 3), background=background)
            name = f"smaller than the screen{' clear' * clear}, background {background}"
            yield case("GIF", "frames", name, "own", write, _with_clear(8), partial(_on_screen, clear=clear))
    second = lambda values: gif(values, before=LOOP, after=frame(255 - values, 8))  # noqa: E731
    yield case("GIF", "frames", "two", "own", second, scene(1), _seen)
    small = lambda values: gif(values, after=frame(values[:9, :9], 8, at=(4, 5)))  # noqa: E731
    yield case("GIF", "frames", "the second smaller", "own", small, scene(1), _seen)
    cut = lambda values: gif(values, after=frame(255 - values, 8)[:300], end=b"")  # noqa: E731
    yield case("GIF", "frames", "the second cut", "own", cut, scene(1), _seen)


def _on_screen(values: Array, clear: bool) -> Array:
    """What no frame covers is transparent in browsers, whatever color the background is said to have."""
    screen = np.full((97, 100, 3), 255, np.uint8)
    seen = _seen(values, clear=clear)
    screen[3 : 3 + seen.shape[0], 6 : 6 + seen.shape[1]] = seen
    return screen


def _of_others() -> Iterator[Case]:
    yield case("GIF", "plain", "gray", "Pillow", partial(saved, format="GIF"), scene(1), gray)
    yield case("GIF", "plain", "P", "Pillow", _of_pillow, scene(1), _seen)
    yield case("GIF", "plain", "P not interlaced", "Pillow", partial(_of_pillow, interlace=0), scene(1), _seen)
    clear = partial(_of_pillow, transparency=CLEAR)
    yield case("GIF", "plain", "P clear", "Pillow", clear, _with_clear(8), partial(_seen, clear=True))
    yield case("GIF", "frames", "two", "Pillow", _frames_of_pillow, scene(1), gray)
    write = lambda values: bytes(imagecodecs.gif_encode(values[..., 0]))  # noqa: E731
    yield case("GIF", "plain", "gray", "imagecodecs", write, scene(1), gray)
    write = lambda values: bytes(imagecodecs.gif_encode(values[..., 0], colormap=palette_of(8, 256)))  # noqa: E731
    yield case("GIF", "plain", "colors", "imagecodecs", write, scene(1), _seen)
    for name, options in {"plain": {}, "interlaced": {"interlace": True}, "rather few colors": {"bitdepth": 5}}.items():
        write = partial(_of_libvips, **options)
        yield case("GIF", "few colors", name, "libvips", write, _few_colors, lambda values: values[..., :3])


def _of_pillow(values: Array, **options: Any) -> bytes:
    image = Image.fromarray(values[..., 0]).convert("P")
    image.putpalette(palette_of(8, 256).tobytes())
    out = BytesIO()
    image.save(out, "GIF", **options)
    return out.getvalue()


def _frames_of_pillow(values: Array) -> bytes:
    second = Image.fromarray(255 - values[..., 0])
    return saved(values, "GIF", save_all=True, append_images=[second], duration=50, loop=0)


def _few_colors(seed: int) -> Array:
    """Sixteen colors, so that a writer that chooses the palette has nothing to round."""
    return (palette_of(seed, 16) // 8 * 8)[scene(1, 4)(seed)[..., 0]]


def _of_libvips(values: Array, **options: Any) -> bytes:
    return bytes(vips(values).gifsave_buffer(dither=0, **options))
