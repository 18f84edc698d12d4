"""TIFF by tifffile: a covering selection of colors, bits, planes, extra samples, byte orders, strips, tiles and
compressions. What others write is in `matrix_tiff_others`,
and what only our own writer makes in `matrix_tiff_odd`."""

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
import tifffile
from image_files import srgb_with_red_and_green_swapped
from matrix_case import (
    LOSSY,
    Array,
    Case,
    case,
    channels_last,
    cmyk,
    eight,
    gray,
    gray_alpha,
    over_white,
    palette_of,
    premultiplied,
    rgb,
    rgba,
    scene,
    smooth,
    stored_for,
    white_is_zero,
)
from PIL import Image

UNSPECIFIED, ASSOCIATED, UNASSOCIATED = 0, 1, 2
tiff_case = partial(case, "TIFF", browser=False)


class Kind(NamedTuple):
    """Colors with their extra samples, and what is seen of them."""

    name: str
    photometric: str
    channels: int
    extras: tuple[int, ...]
    seen: Callable[..., Array]


def cmyk_alpha(values: Array, bits: int = 8) -> Array:
    return over_white(cmyk(values, bits), eight(values[..., 4:5], bits))


KINDS = (
    Kind("gray", "minisblack", 1, (), gray),
    Kind("WhiteIsZero", "miniswhite", 1, (), white_is_zero),
    Kind("gray alpha", "minisblack", 2, (UNASSOCIATED,), gray_alpha),
    Kind("gray associated alpha", "minisblack", 2, (ASSOCIATED,), gray_alpha),
    Kind("gray extra", "minisblack", 2, (UNSPECIFIED,), gray),
    Kind("gray 3 extra", "minisblack", 4, (UNSPECIFIED,) * 3, gray),
    Kind("RGB", "rgb", 3, (), rgb),
    Kind("RGB alpha", "rgb", 4, (UNASSOCIATED,), rgba),
    Kind("RGB associated alpha", "rgb", 4, (ASSOCIATED,), rgba),
    Kind("RGB extra", "rgb", 4, (UNSPECIFIED,), rgb),
    Kind("RGB alpha extra", "rgb", 5, (UNASSOCIATED, UNSPECIFIED), rgba),
    Kind("RGB 3 extra", "rgb", 6, (UNSPECIFIED,) * 3, rgb),
    Kind("CMYK", "separated", 4, (), cmyk),
    Kind("CMYK alpha", "separated", 5, (UNASSOCIATED,), cmyk_alpha),
    Kind("CMYK extra", "separated", 5, (UNSPECIFIED,), cmyk),
    Kind("CMYK 3 extra", "separated", 7, (UNSPECIFIED,) * 3, cmyk),
)
COMPRESSIONS = (None, "lzw", "deflate", "packbits", None, "adobe_deflate", "lzw")
LAYOUTS: tuple[dict[str, Any], ...] = (
    {},
    {"tile": (16, 16)},
    {"rowsperstrip": 7},
    {"tile": (32, 48)},
    {"rowsperstrip": 1},
)


def cases() -> Iterator[Case]:
    yield from _covering()
    yield from _compressed()
    yield from _turned_and_paged()
    yield from _without_a_range()


def tiff(values: Array, kind: Kind, planes: bool = False, **options: Any) -> bytes:
    """What tifffile writes."""
    if ASSOCIATED in kind.extras:
        values = premultiplied(values, values.dtype.itemsize * 8)
    if planes:
        values = np.ascontiguousarray(np.moveaxis(values, 2, 0))
    elif values.shape[2] == 1:
        values = values[..., 0]
    if values.ndim == 3:
        options["planarconfig"] = "separate" if planes else "contig"
    return _written(values, photometric=kind.photometric, extrasamples=kind.extras or None, **options)


def _written(values: Array, **options: Any) -> bytes:
    out = BytesIO()
    file = {key: options.pop(key) for key in ("byteorder", "bigtiff") if key in options}
    with tifffile.TiffWriter(out, **file) as writer:
        writer.write(values, metadata=None, **options)
    return out.getvalue()


def _covering() -> Iterator[Case]:
    """Every kind with 8 and 16 bits, planes together and apart; the other choices are dealt out in turn."""
    compressions, layouts = itertools.cycle(COMPRESSIONS), itertools.cycle(LAYOUTS)
    forms = itertools.cycle(
        [("<", False), (">", False), ("<", True), (">", False), (">", True), ("<", False), (">", False)]
    )
    for kind in KINDS:
        for bits in (8, 16):
            for planes in (False, True) if kind.channels > 1 else (False,):
                for repeat in range(1 if planes else 2):
                    (order, big), compression, layout = next(forms), next(compressions), next(layouts)
                    predictor = 2 if compression in ("lzw", "deflate") and repeat else None
                    options = {"byteorder": order, "bigtiff": big, "compression": compression, **layout}
                    write = partial(tiff, kind=kind, planes=planes, predictor=predictor, **options)
                    label = " ".join([
                        str(bits), "II" if order == "<" else "MM", "big" * big, "planes" * planes, compression or "raw",
                        "predictor" * bool(predictor), *(f"{key} {value}" for key, value in layout.items()),
                    ])  # fmt: skip
                    shown = partial(kind.seen, bits=bits)
                    shape = f"{kind.name} {bits} bits{' planes' * planes}"
                    yield tiff_case(shape, label, "tifffile", write, scene(kind.channels, bits), shown)


def _compressed() -> Iterator[Case]:
    """Every compression, with each of the byte orders and with predictor where there is one."""
    plain, color = KINDS[0], KINDS[6]
    for compression in ("lzw", "deflate", "packbits", "zstd", "lzma"):
        for order in "<>":
            for predictor in (None, 2) if compression != "packbits" else (None,):
                bits = 16 if order == ">" else 8
                write = partial(tiff, kind=color, compression=compression, byteorder=order, predictor=predictor)
                name = f"{bits} bits {order}{' predictor' * bool(predictor)}"
                shape = f"{compression} RGB {bits} bits"
                yield tiff_case(shape, name, "tifffile", write, scene(3, bits), partial(rgb, bits=bits))
    for compression in ("zstd", "lzma"):
        for number in (6, 7, 13):
            for bits, planes in ((8, False), (16, True)):
                write = partial(tiff, kind=KINDS[number], planes=planes, compression=compression)
                shape = f"{compression} {KINDS[number].name} {bits} bits{' planes' * planes}"
                shown = partial(KINDS[number].seen, bits=bits)
                yield tiff_case(shape, "", "tifffile", write, scene(KINDS[number].channels, bits), shown)
    for name, kind, channels, seen in (("gray", plain, 1, gray), ("RGB", color, 3, rgb)):
        write = partial(tiff, kind=kind, compression="jpeg", compressionargs={"level": 95})
        yield tiff_case("JPEG", name, "tifffile", write, smooth(channels), seen, LOSSY, read=read_tiff)
        write = partial(tiff, kind=kind, compression="jpeg", compressionargs={"level": 95}, tile=(32, 32))
        yield tiff_case("JPEG", f"{name} tiles", "tifffile", write, smooth(channels), seen, LOSSY, read=read_tiff)
    for subsampling in ((1, 1), (2, 1), (2, 2)):
        write = partial(_ycbcr_jpeg, subsampling=subsampling)
        yield tiff_case("JPEG", f"YCbCr {subsampling}", "tifffile", write, smooth(3), rgb, LOSSY, read=read_tiff)
    write = partial(tiff, kind=color, compression="webp", compressionargs={"level": 101})
    yield tiff_case("WebP", "lossless", "tifffile", write, scene(3), rgb)
    write = partial(tiff, kind=KINDS[7], compression="webp", compressionargs={"level": 101})
    yield tiff_case("WebP", "lossless alpha", "tifffile", write, scene(4), rgba)
    for compression in ("jpeg2000", "jpegxl", "png", "lerc"):
        write = partial(tiff, kind=color, compression=compression)
        yield tiff_case(compression, "RGB", "tifffile", write, scene(3), rgb)
    for photometric, seen in (("minisblack", gray), ("miniswhite", white_is_zero)):
        for compression in (None, "packbits", "lzw", "deflate"):
            write = partial(_bilevel, photometric=photometric, compression=compression)
            yield tiff_case(
                "1 bit", f"{photometric} {compression}", "tifffile", write, scene(1, 1), partial(seen, bits=1)
            )
    for order in "<>":
        write = partial(_palette, byteorder=order, tile=(16, 16) if order == ">" else None)
        yield tiff_case("palette 8 bits", order, "tifffile", write, scene(1), lambda a: palette_of(8, 256)[a[..., 0]])


def read_tiff(data: bytes) -> Array:
    return channels_last(tifffile.imread(BytesIO(data)))


def _ycbcr_jpeg(values: Array, subsampling: tuple[int, int]) -> bytes:
    values = np.array(Image.fromarray(values).convert("YCbCr"))
    return _written(values, photometric="ycbcr", compression="jpeg", subsampling=subsampling,
                    compressionargs={"level": 95})  # fmt: skip


def _bilevel(values: Array, **options: Any) -> bytes:
    return _written(values[..., 0].astype(bool), **options)


def _palette(values: Array, **options: Any) -> bytes:
    colors = palette_of(8, 256).T.astype(np.uint16) * 257
    return _written(values[..., 0], photometric="palette", colormap=colors, **options)


def _turned_and_paged() -> Iterator[Case]:
    by_name = {kind.name: kind for kind in KINDS}
    for orientation in range(1, 9):
        for name, planes, bits, options in (
            ("RGB", False, 8, {}),
            ("RGB", True, 16, {"byteorder": ">"}),
            ("CMYK alpha", False, 8, {"tile": (16, 16)}),
            ("gray alpha", False, 16, {"compression": "lzw"}),
        ):
            if bits == 16 and not planes and orientation not in (3, 6, 7):
                continue
            kind = by_name[name]
            write = partial(_turned, orientation=orientation, kind=kind, planes=planes, **options)
            shown = partial(kind.seen, bits=bits)
            label = f"{orientation} {name} {bits}{' planes' * planes}"
            yield tiff_case("orientation", label, "tifffile", write, scene(kind.channels, bits), shown)
    for name, bits in (("RGB", 8), ("RGB", 16), ("gray", 16), ("CMYK extra", 8)):
        kind = by_name[name]
        shown = partial(kind.seen, bits=bits)
        yield tiff_case(
            "pages", f"{name} {bits}", "tifffile", partial(_pages, kind=kind), scene(kind.channels, bits), shown
        )
    swapped = srgb_with_red_and_green_swapped()
    for name, bits, planes in (("RGB", 8, False), ("RGB", 16, False), ("RGB", 16, True), ("RGB alpha", 8, True)):
        kind = by_name[name]
        exchanged = lambda values, kind=kind, bits=bits: kind.seen(values, bits)[..., [1, 0, 2]]  # noqa: E731
        label = f"swapped {name} {bits}{' planes' * planes}"
        write = partial(tiff, kind=kind, planes=planes, iccprofile=swapped)
        yield tiff_case("profile", label, "tifffile", write, scene(kind.channels, bits), exchanged)
        broken = partial(tiff, kind=kind, planes=planes, iccprofile=swapped[:150])
        shown = partial(kind.seen, bits=bits)
        yield tiff_case("profile", f"cut {label}", "tifffile", broken, scene(kind.channels, bits), shown)


def _turned(values: Array, orientation: int, **options: Any) -> bytes:
    return tiff(stored_for(orientation, values), extratags=[(274, 3, 1, orientation, True)], **options)


def _pages(values: Array, kind: Kind) -> bytes:
    out = BytesIO()
    flat = values[..., 0] if values.shape[2] == 1 else values
    with tifffile.TiffWriter(out) as writer:
        for page in (flat, flat[::-1], flat[::2, ::2]):
            writer.write(page, photometric=kind.photometric, extrasamples=kind.extras or None, metadata=None)
    return out.getvalue()


def _without_a_range() -> Iterator[Case]:
    """Numbers whose black and white nothing tells, or that are seldom: as a fraction of the full range they would be
    these pixels."""
    for dtype in ("float16", "float32", "float64", "uint32", "int8", "int16", "int32"):
        for name, photometric, channels, seen in (("gray", "minisblack", 1, gray), ("RGB", "rgb", 3, rgb)):
            write = partial(_numbers, dtype=dtype, photometric=photometric)
            yield tiff_case(dtype, name, "tifffile", write, scene(channels), seen)


def _numbers(values: Array, dtype: str, photometric: str) -> bytes:
    top = 1.0 if "float" in dtype else np.iinfo(dtype).max
    numbers = (values / 255.0 * top).astype(dtype)
    return _written(numbers[..., 0] if values.shape[2] == 1 else numbers, photometric=photometric)
