"""HEIC with HEVC of our own, since no writer at hand makes it, and the boxes around AVIF and HEIC."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import heif_writer
import numpy as np
from heif_writer import Item, box
from hevc_writer import hevc
from image_files import srgb_with_red_and_green_swapped
from matrix_avif import avif, read_avif, read_by_libvips, read_without_exif
from matrix_case import (
    LOSSLESS,
    LOSSY,
    Array,
    Case,
    case,
    exif,
    gray,
    in_ycbcr,
    over_white,
    rgb,
    scene,
    smooth,
    subsampled,
    textured,
    ycbcr,
)

Write = Callable[[Array], bytes]
# The bytes around a coded picture: what a kind of items is called, and the box that configures its decoder.
HEVC, AV1 = (b"hvc1", b"hvcC", b"heic"), (b"av01", b"av1C", b"avif")


def cases() -> Iterator[Case]:
    for format, coding in (("AVIF", AV1), ("HEIC", HEVC)):
        yield from _in_boxes(format, coding)
    yield from _of_hevc()


# Boxes


def _coded(values: Array, coding: tuple[bytes, bytes, bytes], **more: Any) -> Item:
    """The picture as an item whose first properties are what configures its decoder, and its size."""
    kind, configuration, _ = coding
    if coding == HEVC:
        head, payload = hevc(planes_of(values))
    else:
        data = avif(
            values if values.shape[2] == 3 else values[..., :1],
            **{} if values.shape[2] == 3 else {"subsampling": "4:0:0"},
        )
        properties = heif_writer.found(data, b"meta", b"iprp", b"ipco")
        head, payload = heif_writer.found(properties, b"av1C"), heif_writer.found(data, b"mdat")
    first = ((box(configuration, head), True), heif_writer.size(values.shape[1], values.shape[0]))
    return Item(kind, payload, first + tuple(more.pop("properties", ())), **more)


def planes_of(values: Array, across: int = 1, down: int = 1) -> list[Array]:
    """Y, or Y and what is kept of Cb and Cr."""
    chroma = [subsampled(values[..., n], across, down) for n in range(1, values.shape[2])]
    return [values[..., 0], *chroma]


def _in_boxes(format: str, coding: tuple[bytes, bytes, bytes]) -> Iterator[Case]:
    shown_by_browsers, loss = format == "AVIF", LOSSY if format == "AVIF" else LOSSLESS
    read = read_avif if format == "AVIF" else None
    picture = smooth if format == "AVIF" else _in_ycbcr
    shown = rgb if format == "AVIF" else ycbcr
    made = partial(case, format, writer="own", loss=loss, browser=shown_by_browsers, read=read)
    for quarters in range(4):
        for axis in (None, 0, 1):
            write = partial(_transformed, coding=coding, quarters=quarters, axis=axis)
            name = f"{quarters} quarters{'' if axis is None else f', mirrored {axis}'}"
            yield made("turned", name=name, write=write, source=picture(3), shown=shown,
                       back=partial(_turned_back, quarters=quarters, axis=axis))  # fmt: skip
    for name, write in {
        # The rotation is in the boxes; the EXIF beside it repeats it, or is alone and does not count.
        "EXIF that repeats the rotation": partial(_transformed, coding=coding, quarters=3, axis=None, exif_of=6),
        "EXIF without a rotation": partial(_transformed, coding=coding, quarters=0, axis=None, exif_of=6),
        "EXIF of garbage": partial(
            _in_file, coding=coding, beside=(Item(b"Exif", b"\xff" * 40, references={b"cdsc": (1,)}),)
        ),
        "EXIF empty": partial(_in_file, coding=coding, beside=(Item(b"Exif", b"", references={b"cdsc": (1,)}),)),
        "plain": partial(_in_file, coding=coding),
        "bytes behind the end": partial(_in_file, coding=coding, end=bytes(64)),
        "a free box behind the end": partial(_in_file, coding=coding, end=box(b"free", bytes(64))),
        "of the general brand": partial(_in_file, coding=coding, brand=b"mif1"),
        "thumbnail": partial(_with_thumbnail, coding=coding),
        "the second of two": partial(_second, coding=coding),
        "a broken profile": partial(_in_file, coding=coding, properties=(heif_writer.profile(b"\xff" * 99),)),
    }.items():
        shape = "boxes of brand mif1" if "brand" in name else "boxes"
        # OpenCV reads no AVIF with EXIF beside the picture. libvips turns one, and has other numbers by a little.
        other = {}
        if format == "AVIF" and "EXIF" in name:
            other = {"read": read_without_exif if "garbage" in name else read_by_libvips}
        yield made(shape, name=name, write=write, source=picture(3), shown=shown, **other)
    swapped = heif_writer.profile(srgb_with_red_and_green_swapped())
    write = partial(_in_file, coding=coding, properties=(swapped,))
    yield made("profile", name="swapped", write=write, source=picture(3), shown=lambda a: shown(a)[..., [1, 0, 2]])
    yield made("gray", name="own", write=partial(_in_file, coding=coding), source=picture(1), shown=gray)
    yield made(
        "alpha",
        name="own",
        write=partial(_with_alpha, coding=coding),
        source=picture(4),
        shown=partial(_over_white, shown=shown),
    )
    yield made(
        "grid",
        name="2 x 2",
        write=partial(_grid, coding=coding),
        source=partial(_four_tiles, picture=picture),
        shown=shown,
    )
    if format == "HEIC":
        # What browsers do with this box of an AVIF differs.
        yield made(
            "cropped",
            name="own",
            write=partial(_cropped, coding=coding),
            source=picture(3),
            shown=lambda a: shown(a)[:32, :34],
        )


def _in_ycbcr(channels: int) -> Callable[[int], Array]:
    """Gray as it is, colors as Y, Cb and Cr, an alpha behind them."""
    if channels == 1:
        return scene(1)
    color, all = in_ycbcr(textured(3)), scene(4)
    return color if channels == 3 else lambda seed: np.concatenate([color(seed), all(seed)[..., 3:]], axis=2)


def _over_white(values: Array, shown: Callable[[Array], Array]) -> Array:
    return over_white(shown(values[..., :3]), values[..., 3:])


def _file(items: list[Item], coding: tuple[bytes, bytes, bytes], brand: bytes = b"", primary: int = 1) -> bytes:
    brands = (b"mif1", b"miaf", coding[2])
    return heif_writer.heif(items, brand or coding[2], brands, primary)


def _in_file(
    values: Array,
    coding: tuple[bytes, bytes, bytes],
    beside: tuple[Item, ...] = (),
    end: bytes = b"",
    brand: bytes = b"",
    properties: tuple[heif_writer.Property, ...] = (),
) -> bytes:
    told = (*properties, heif_writer.colors())
    return _file([_coded(values, coding, properties=told), *beside], coding, brand) + end


def _transformed(
    values: Array, coding: tuple[bytes, bytes, bytes], quarters: int, axis: int | None, exif_of: int = 0
) -> bytes:
    """Shown is what is stored, turned against the clock, then mirrored."""
    stored = values if axis is None else np.flip(values, axis)
    stored = np.ascontiguousarray(np.rot90(stored, -quarters))
    moves = (heif_writer.turned(quarters),) * (quarters > 0)
    if axis is not None:
        moves += (heif_writer.mirrored(axis),)
    item = _coded(stored, coding, properties=(heif_writer.colors(), *moves))
    return _file([item, *[heif_writer.exif(exif(exif_of))] * bool(exif_of)], coding)


def _turned_back(stored: Array, quarters: int, axis: int | None) -> Array:
    turned = np.rot90(stored, quarters)
    return turned if axis is None else np.flip(turned, axis)


def _with_thumbnail(values: Array, coding: tuple[bytes, bytes, bytes]) -> bytes:
    small = _coded(np.ascontiguousarray(255 - values[::2, ::2]), coding, references={b"thmb": (1,)}, hidden=True)
    return _file([_coded(values, coding, properties=(heif_writer.colors(),)), small], coding)


def _second(values: Array, coding: tuple[bytes, bytes, bytes]) -> bytes:
    other = _coded(np.ascontiguousarray(255 - values), coding, properties=(heif_writer.colors(),))
    return _file([other, _coded(values, coding, properties=(heif_writer.colors(),))], coding, primary=2)


def _with_alpha(values: Array, coding: tuple[bytes, bytes, bytes]) -> bytes:
    item = _coded(np.ascontiguousarray(values[..., :3]), coding, properties=(heif_writer.colors(),))
    plane = np.ascontiguousarray(values[..., 3:])
    beside = _coded(plane, coding, properties=(heif_writer.alpha(),), references={b"auxl": (1,)}, hidden=True)
    return _file([item, beside], coding)


def _four_tiles(seed: int, picture: Callable[[int], Callable[[int], Array]]) -> Array:
    """More than a tile of 64 pixels, and less than two, to either side."""
    values = picture(3)(seed)
    return np.concatenate([np.concatenate([values, values[::-1]], 1), values[:, ::-1].repeat(2, 1)])[:112, :120]


def _grid(values: Array, coding: tuple[bytes, bytes, bytes]) -> bytes:
    """As telephones write them: tiles of 64 pixels, of which the right and lower ones reach over the edge."""
    high, wide = values.shape[:2]
    padded = np.pad(values, ((0, 128 - high), (0, 128 - wide), (0, 0)), mode="edge")
    tiles = [np.ascontiguousarray(padded[y : y + 64, x : x + 64]) for y in (0, 64) for x in (0, 64)]
    coded = [_coded(tile, coding, properties=(heif_writer.colors(),), hidden=True) for tile in tiles]
    whole = Item(
        b"grid",
        heif_writer.grid(2, 2, wide, high),
        (heif_writer.size(wide, high), heif_writer.colors()),
        {b"dimg": (2, 3, 4, 5)},
    )
    return _file([whole, *coded], coding)


def _cropped(values: Array, coding: tuple[bytes, bytes, bytes]) -> bytes:
    crop = heif_writer.cropped(34, 32, (values.shape[1], values.shape[0]))
    return _file([_coded(values, coding, properties=(heif_writer.colors(), crop))], coding)


# HEVC


def _of_hevc() -> Iterator[Case]:
    for bits in (8, 10, 12):
        made = partial(case, "HEIC", f"{bits} bits", writer="own", browser=False)
        for name, across, down in (("4:4:4", 1, 1), ("4:2:2", 2, 1), ("4:2:0", 2, 2)):
            write = partial(_heic, across=across, down=down, bits=bits)
            shown = partial(ycbcr, bits=bits, across=across, down=down)
            yield made(name=name, write=write, source=_even(in_ycbcr(textured(3, bits), bits)), shown=shown)
        gray_write = partial(_heic, bits=bits)
        yield made(name="gray", write=gray_write, source=scene(1, bits), shown=partial(gray, bits=bits))
    source = in_ycbcr(scene(3))
    yield case("HEIC", "8 bits", "with edges", "own", partial(_heic, bits=8), source, ycbcr, browser=False)


def _even(source: Callable[[int], Array]) -> Callable[[int], Array]:
    def drawn(seed: int) -> Array:
        values = source(seed)
        return values[: values.shape[0] // 2 * 2, : values.shape[1] // 2 * 2]

    return drawn


def _heic(values: Array, bits: int, across: int = 1, down: int = 1) -> bytes:
    head, payload = hevc(planes_of(values, across, down), bits)
    size = heif_writer.size(values.shape[1], values.shape[0])
    item = Item(b"hvc1", payload, ((box(b"hvcC", head), True), size, heif_writer.colors()))
    return heif_writer.heif([item], b"heic" if bits == 8 else b"heix", (b"mif1", b"heic"))
