"""A picture of the matrix: what a writer made of an array, and the pixels that the same array says should be seen."""

import zlib
from collections.abc import Callable
from functools import partial
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

Array = np.ndarray[Any, Any]

# The largest mean absolute differences from the source, of 255. Rounding (16 bits to 8, alpha, a profile, YCbCr) costs
# lossless formats up to 1. At quality 95 a smooth picture loses up to 1.9 as JPEG (color kept once for four pixels),
# 1.3 as WebP and 1.1 as AVIF.
LOSSLESS = 2.0
LOSSY = 2.5


class Case(NamedTuple):
    """One picture. `make` and `expected` work only when called.

    `shape` is the group that refusals name. `loss` is the largest mean absolute difference of a right answer.
    `browser`: browsers show it, so it must be decoded; others may be refused, but never decoded wrongly.
    `reference`: for a lossy format, the pixels that an independent decoder gives for the bytes that were made.
    """

    format: str
    shape: str
    name: str
    writer: str
    make: Callable[[], bytes]
    expected: Callable[[], Array]
    loss: float
    browser: bool
    reference: Callable[[bytes], Array] | None


def case(
    format: str,
    shape: str,
    name: str,
    writer: str,
    write: Callable[[Array], bytes],
    source: Callable[[int], Array],
    shown: Callable[[Array], Array],
    loss: float = LOSSLESS,
    browser: bool = True,
    read: Callable[[bytes], Array] | None = None,
    back: Callable[[Array], Array] = lambda stored: stored,
) -> Case:
    """The case whose source is drawn from its name, so that no two cases show the same picture.

    `read` is an independent decoder of a lossy format, whose numbers mean what those of the source do once `back` has
    turned them upright.
    """
    seed = zlib.crc32(f"{format} {shape} {name} {writer}".encode())
    return Case(
        format,
        shape,
        f"{format}-{shape}-{name}-{writer}".replace(" ", "_"),
        writer,
        lambda: write(source(seed)),
        lambda: shown(source(seed)),
        loss,
        browser,
        None if read is None else lambda data: shown(back(read(data))),
    )


def scene(channels: int, bits: int = 8, side: int = 0) -> Callable[[int], Array]:
    """Draws (height, width, channels) numbers of so many bits, with edges and noise, unlike themselves when turned."""
    return partial(_scene, channels=channels, bits=bits, side=side)


def smooth(channels: int, bits: int = 8) -> Callable[[int], Array]:
    """Draws what lossy formats keep well, though no turn or swap of channels leaves it as it is."""
    return partial(_smooth, channels=channels, bits=bits)


def textured(channels: int, bits: int = 8) -> Callable[[int], Array]:
    """Draws what half as many numbers for color keep well: smooth colors whose brightness has edges and noise."""
    return partial(_textured, channels=channels, bits=bits)


def size_of(seed: int) -> tuple[int, int]:
    """Width and height, 40 to 90 pixels and never the same."""
    width, height = 41 + seed % 49, 40 + seed // 49 % 37
    return (width, height + 7) if abs(width - height) < 5 else (width, height)


def _scene(seed: int, channels: int, bits: int, side: int) -> Array:
    width, height = (side, side - 6) if side else size_of(seed)
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    across, down = x / (width - 1), y / (height - 1)
    board = (x // 7 + y // 5) % 2
    patterns = [
        0.75 * across + 0.25 * board,
        0.7 * down + 0.3 * (x // 9 % 2),
        0.8 * board + 0.2 * (1 - across),
        (across + down) / 2,
        1 - across * down,
        (x // 3 + y // 4) % 2,
        down,
    ]
    values = np.stack(patterns[:channels], axis=2) * 0.86 + rng.random((height, width, channels)) * 0.14
    values[height // 8 : height // 3, width // 6 : width // 2] = rng.permutation([0.93, 0.5, 0.12, 0.8, 0.3, 0.6, 0.2])[
        :channels
    ]
    return np.round(values * ((1 << bits) - 1)).astype(np.uint16 if bits > 8 else np.uint8)


def _smooth(seed: int, channels: int, bits: int) -> Array:
    width, height = size_of(seed)
    y, x = np.mgrid[0:height, 0:width]
    across, down, phase = x / (width - 1), y / (height - 1), seed % 628 / 100
    patterns = [
        0.5 + 0.45 * np.sin(2.2 * across + 1.5 * down + phase),
        0.15 + 0.7 * down,
        0.5 + 0.4 * np.cos(3.0 * across - 1.2 * down + 2 * phase),
        0.1 + 0.8 * across * down,
    ]
    values = np.stack(patterns[:channels], axis=2)
    return np.round(values * ((1 << bits) - 1)).astype(np.uint16 if bits > 8 else np.uint8)


def _textured(seed: int, channels: int, bits: int) -> Array:
    edges, colors = _scene(seed, 1, bits, 0), _smooth(seed, channels, bits)
    noise = np.random.default_rng(seed).random(edges.shape) * ((1 << bits) - 1)
    return np.round(0.2 * colors + 0.1 * edges + 0.7 * noise).astype(np.uint16 if bits > 8 else np.uint8)


def eight(values: Array, bits: int) -> Array:
    """Numbers of so many bits as bytes: longer ones keep their upper 8 bits, shorter ones are spread over 0 to 255."""
    if bits > 8:
        return (values >> (bits - 8)).astype(np.uint8)
    return np.round(values * (255.0 / ((1 << bits) - 1))).astype(np.uint8)


def gray(values: Array, bits: int = 8) -> Array:
    return np.repeat(eight(values[..., :1], bits), 3, axis=2)


def white_is_zero(values: Array, bits: int = 8) -> Array:
    return 255 - gray(values, bits)


def rgb(values: Array, bits: int = 8) -> Array:
    return eight(values[..., :3], bits)


def rgba(values: Array, bits: int = 8) -> Array:
    return over_white(rgb(values, bits), eight(values[..., 3:4], bits))


def gray_alpha(values: Array, bits: int = 8) -> Array:
    return over_white(gray(values, bits), eight(values[..., 1:2], bits))


def cmyk(values: Array, bits: int = 8) -> Array:
    """Ink 0 is none. Without a profile, inks multiply."""
    inks = 255.0 - eight(values[..., :4], bits)
    return np.round(inks[..., :3] * inks[..., 3:] / 255).astype(np.uint8)


def in_ycbcr(source: Callable[[int], Array], bits: int = 8) -> Callable[[int], Array]:
    """Draws what the source does, as Y, Cb and Cr of BT.601 in the full range of so many bits."""
    middle, top = 1 << (bits - 1), (1 << bits) - 1

    def drawn(seed: int) -> Array:
        values = source(seed)
        r, g, b = (values[..., n].astype(float) for n in range(3))
        luma = 0.299 * r + 0.587 * g + 0.114 * b
        numbers = np.stack([luma, (b - luma) / 1.772 + middle, (r - luma) / 1.402 + middle], axis=2)
        return np.clip(np.round(numbers), 0, top).astype(values.dtype)

    return drawn


def subsampled(plane: Array, across: int, down: int) -> Array:
    """The means of blocks of so many numbers; at the edges the outermost numbers are repeated."""
    padded = np.pad(plane, ((0, -plane.shape[0] % down), (0, -plane.shape[1] % across)), mode="edge")
    blocks = padded.reshape(padded.shape[0] // down, down, padded.shape[1] // across, across)
    return np.asarray(blocks.mean(axis=(1, 3)).round().astype(plane.dtype))


def ycbcr(values: Array, bits: int = 8, across: int = 1, down: int = 1) -> Array:
    """What is seen of Y, Cb and Cr whose Cb and Cr are kept once for so many pixels."""
    middle, top = 1 << (bits - 1), (1 << bits) - 1
    height, width = values.shape[:2]
    small = [subsampled(values[..., n], across, down).astype(float) - middle for n in (1, 2)]
    blue, red = (plane.repeat(down, 0).repeat(across, 1)[:height, :width] for plane in small)
    luma = values[..., 0].astype(float)
    mixed = [luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue]
    return np.clip(np.round(np.stack(mixed, axis=2) * (255 / top)), 0, 255).astype(np.uint8)


# Linear sRGB to XYZ relative to D50, to which profiles adapt it by Bradford.
TO_XYZ = np.array(
    [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]]
)
D50 = np.array([0.96422, 1.0, 0.82521])


def in_lab(bits: int = 8) -> Callable[[int], Array]:
    """Draws CIE L*a*b* as unsigned numbers, of which a and b have their zero in the middle."""

    def drawn(seed: int) -> Array:
        values = textured(3)(seed) / 255.0
        linear = np.where(values > 0.04045, ((values + 0.055) / 1.055) ** 2.4, values / 12.92)
        share = linear @ TO_XYZ.T / D50
        x, y, z = np.moveaxis(np.where(share > 216 / 24389, np.cbrt(share), (24389 / 27 * share + 16) / 116), 2, 0)
        scale, middle, top = (1, 128, 255) if bits == 8 else (256, 32768, 65535)
        numbers = [(116 * y - 16) / 100 * top, 500 * (x - y) * scale + middle, 200 * (y - z) * scale + middle]
        return np.round(np.stack(numbers, axis=2)).astype(np.uint8 if bits == 8 else np.uint16)

    return drawn


def lab(values: Array, bits: int = 8) -> Array:
    """What is seen of such numbers."""
    scale, middle, top = (1, 128, 255) if bits == 8 else (256, 32768, 65535)
    y = (values[..., 0] / top * 100 + 16) / 116
    x, z = (
        y + (values[..., 1].astype(float) - middle) / scale / 500,
        y - (values[..., 2].astype(float) - middle) / scale / 200,
    )
    root = np.stack([x, y, z], axis=2)
    share = np.where(root > 6 / 29, root**3, (116 * root - 16) * 27 / 24389)
    linear = np.clip((share * D50) @ np.linalg.inv(TO_XYZ).T, 0, 1)
    shown = np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)
    return np.round(shown * 255).astype(np.uint8)


def over_white(color: Array, alpha: Array) -> Array:
    share = alpha / 255.0
    return np.round(color * share + 255 * (1 - share)).astype(np.uint8)


def premultiplied(values: Array, bits: int = 8, alpha: int = -1) -> Array:
    """The numbers with all channels but alpha multiplied by it."""
    share = values[..., alpha : alpha + 1 or None] / ((1 << bits) - 1)
    scaled = np.round(values * share).astype(values.dtype)
    scaled[..., alpha] = values[..., alpha]
    return scaled


def palette_of(seed: int, colors: int, channels: int = 3) -> Array:
    """Colors far from each other, none of them gray."""
    return np.random.default_rng(seed).integers(0, 256, (colors, channels)).astype(np.uint8)


def stored_for(orientation: int, upright: Array) -> Array:
    """How a file with this EXIF orientation stores the upright pixels."""
    turns: dict[int, Callable[[Array], Array]] = {
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: a.swapaxes(0, 1)[::-1],
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: a.swapaxes(0, 1)[:, ::-1],
    }
    return np.ascontiguousarray(turns[orientation](upright)) if orientation in turns else upright


def upright(orientation: int, stored: Array) -> Array:
    """The upright pixels of a file with this EXIF orientation."""
    return stored_for({6: 8, 8: 6}.get(orientation, orientation), stored)


def channels_last(numbers: Array) -> Array:
    """Numbers as (height, width, channels), also those of one channel."""
    return numbers[..., None] if numbers.ndim == 2 else numbers


def exif(orientation: int, order: str = "<") -> bytes:
    """A TIFF structure with the orientation in its only entry."""
    from struct import pack

    head = b"II*\0" if order == "<" else b"MM\0*"
    return head + pack(f"{order}IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def saved(values: Array, format: str, mode: str | None = None, **options: Any) -> bytes:
    """What Pillow writes."""
    array = np.ascontiguousarray(values[..., 0] if values.ndim == 3 and values.shape[2] == 1 else values)
    image = Image.fromarray(array)
    if mode and image.mode != mode:
        image = Image.frombytes(mode, image.size, array.tobytes())
    out = BytesIO()
    image.save(out, format, **options)
    return out.getvalue()
