"""PNG with every state of the chunks that pixels do not depend on, and with chunks in odd numbers and orders."""

import struct
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from image_files import gray_without_gamma, srgb_with_red_and_green_swapped
from matrix_case import Array, Case, case, exif, gray_alpha, palette_of, rgb, rgba, scene, stored_for
from matrix_png import END, SIGNATURE, chunk, clear_color, palette, png, shown_png, with_wrong_sum

Shown = Callable[[Array], Array]


def cases() -> Iterator[Case]:
    yield from _with_ancillary_chunks()
    yield from _of_odd_order()


# Ancillary chunks: sound, and damaged ones, which count as absent


def _with_ancillary_chunks() -> Iterator[Case]:
    for kind in _sound():
        for state in ("sound", "wrong sum", "short", "odd", "empty", "repeated", "huge"):
            write = partial(_with, kind=kind, state=state)
            yield case("PNG", kind.decode(), state, "own", write, scene(3), _seen(kind, state))
    for kind in (b"tRNS", b"sBIT", b"bKGD", b"hIST"):
        for state in ("wrong sum", "empty", "huge"):
            write = partial(_with, kind=kind, state=state, color=3)
            seen = partial(shown_png, color=3, depth=4, clear=False)
            yield case("PNG", kind.decode(), f"palette {state}", "own", write, scene(1, 4), seen)
    for orientation in range(1, 9):
        write = partial(_turned, orientation=orientation)
        yield case("PNG", "eXIf", f"orientation {orientation}", "own", write, scene(3), rgb)
    for damage in ("wrong sum", "short", "empty"):
        write = partial(_gray_with_profile, damage=damage)
        yield case("PNG", "iCCP", f"gray alpha {damage}", "own", write, scene(2), gray_alpha)


def _sound() -> dict[bytes, bytes]:
    """A sound chunk of each kind. Those of iCCP, tRNS and eXIf change what is seen; the others do not."""
    profile = srgb_with_red_and_green_swapped()
    return {
        b"gAMA": struct.pack(">I", 45455),
        b"pHYs": struct.pack(">IIB", 2835, 2835, 1),
        b"cHRM": struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000),
        b"sRGB": b"\0",
        b"iCCP": b"swapped\0\0" + zlib.compress(profile),
        b"tRNS": b"",
        b"acTL": struct.pack(">II", 1, 0),
        b"fcTL": b"",
        b"tEXt": b"Title\0A picture",
        b"zTXt": b"Title\0\0" + zlib.compress(b"A picture" * 9),
        b"iTXt": b"Title\0\0\0de\0Titel\0" + "Größe".encode(),
        b"eXIf": exif(6, ">"),
        b"bKGD": struct.pack(">HHH", 200, 10, 10),
        b"tIME": struct.pack(">HBBBBB", 2024, 2, 29, 12, 30, 0),
        b"sBIT": b"\5\6\5",
        b"sPLT": b"few\0\x08" + struct.pack(">BBBBH", 1, 2, 3, 4, 5),
        b"hIST": b"\0\1",
        b"cICP": b"\1\x0d\0\1",
        b"oFFs": struct.pack(">iiB", 3, 4, 0),
        b"vpAg": struct.pack(">IIB", 90, 90, 0),
        b"prVt": b"a chunk of nobody",
    }


def _with(values: Array, kind: bytes, state: str, color: int = 2) -> bytes:
    """A picture with this chunk. Behind an eXIf chunk that counts, the pixels are stored as it says."""
    content = _sound()[kind]
    if kind == b"tRNS":
        content = clear_color(values).astype(">u2").tobytes() if color == 2 else bytes(9)
    if kind == b"fcTL":
        content = struct.pack(">5I2H2B", 0, values.shape[1], values.shape[0], 0, 0, 1, 10, 0, 0)
    states = {
        "sound": chunk(kind, content),
        "wrong sum": with_wrong_sum(kind, content),
        "short": chunk(kind, content[: min(len(content) - 1, max(1, len(content) * 2 // 3))]),
        "odd": chunk(kind, content[:1] + b"\xff\x81\xfe" * (len(content) // 3 + 1)),
        "empty": chunk(kind, b""),
        "repeated": chunk(kind, content) * 2,
        "huge": chunk(kind, _huge(kind, content)),
    }
    if kind == b"eXIf" and state in _STATES_THAT_COUNT:
        values = stored_for(6, values)
    before = {b"fcTL": chunk(b"acTL", struct.pack(">II", 1, 0))}.get(kind, b"")
    late = kind in (b"tRNS", b"bKGD", b"hIST", b"fcTL")
    depth = 4 if color == 3 else 8
    if late:
        return png(values, color, depth, before=before, between=states[state])
    return png(values, color, depth, before=before + states[state])


_STATES_THAT_COUNT = ("sound", "repeated", "huge")


def _huge(kind: bytes, content: bytes) -> bytes:
    """More than 1 MiB: of text and profiles when unpacked, else of bytes that do not belong there."""
    if kind == b"iCCP":
        profile = srgb_with_red_and_green_swapped()
        longer = struct.pack(">I", len(profile) + (2 << 20)) + profile[4:] + bytes(2 << 20)
        return b"swapped\0\0" + zlib.compress(longer)
    if kind == b"zTXt":
        return b"Title\0\0" + zlib.compress(b"A picture" * 300_000)
    return content + bytes(70_000 if kind in (b"eXIf", b"tRNS", b"hIST") else (1 << 20) + 9)


def _seen(kind: bytes, state: str) -> Shown:
    if kind == b"iCCP" and state in _STATES_THAT_COUNT:
        return lambda values: rgb(values)[..., [1, 0, 2]]
    if kind == b"tRNS" and state in ("sound", "repeated"):
        return partial(shown_png, color=2, depth=8, clear=True)
    return rgb


def _turned(values: Array, orientation: int) -> bytes:
    order = "<" if orientation % 2 else ">"
    return png(stored_for(orientation, values), 2, 8, before=chunk(b"eXIf", exif(orientation, order)))


def _gray_with_profile(values: Array, damage: str) -> bytes:
    content = b"linear\0\0" + zlib.compress(gray_without_gamma())
    damaged = {
        "wrong sum": with_wrong_sum(b"iCCP", content),
        "short": chunk(b"iCCP", content[:30]),
        "empty": chunk(b"iCCP", b""),
    }
    return png(values, 4, 8, before=damaged[damage])


# Chunks in another number or order than usual


def _of_odd_order() -> Iterator[Case]:
    text = chunk(b"tEXt", b"Title\0A picture")
    odd: dict[str, dict[str, Any]] = {
        "unknown chunk behind the pixels": {"after": chunk(b"prVt", bytes(99))},
        "unknown chunk with a wrong sum behind the pixels": {"after": with_wrong_sum(b"prVt", bytes(99))},
        "text with a wrong sum behind the pixels": {"after": with_wrong_sum(b"tEXt", b"Title\0A picture")},
        "text without a keyword": {"before": chunk(b"tEXt", b"\0\0\0")},
        "broken text packed": {"before": chunk(b"zTXt", b"Title\0\0no stream of zlib")},
        "text packed by an unknown method": {"before": chunk(b"zTXt", b"Title\0\x09" + zlib.compress(b"A"))},
        "a thousand texts": {"before": text * 1000},
        "pixels in 7 parts": {"parts": 7},
        "pixels in parts of a byte": {"parts": 1 << 30},
        "an empty part first": {"between": chunk(b"IDAT", b"")},
        "an empty part last": {"after": chunk(b"IDAT", b"")},
        "no end": {"end": b""},
        "an end without its sum": {"end": chunk(*END)[:-4]},
        "an end with a wrong sum": {"end": with_wrong_sum(*END)},
        "zeros behind the end": {"end": chunk(*END) + bytes(512)},
        "text behind the end": {"end": chunk(*END) + b"<!-- served in 12 ms -->"},
        "another picture behind the end": {"end": chunk(*END) + SIGNATURE + b"cut"},
        "a tRNS behind the pixels": {"after": chunk(b"tRNS", bytes(6))},
        "a gAMA behind the pixels": {"after": chunk(b"gAMA", struct.pack(">I", 45455))},
        "a palette that is only suggested": {"before": chunk(b"PLTE", palette_of(1, 9).tobytes())},
        "gAMA of zero": {"before": chunk(b"gAMA", bytes(4))},
        "pHYs of zero": {"before": chunk(b"pHYs", bytes(9))},
    }
    for name, options in odd.items():
        write = partial(png, color=2, depth=8, **options)
        yield case("PNG", "order", name, "own", write, scene(3), rgb)
        if "tRNS" not in name and "suggested" not in name:
            shown = partial(shown_png, color=6, depth=16, clear=False)
            write = partial(png, color=6, depth=16, interlaced=True, **options)
            yield case("PNG", "order", f"{name} rgba 16 interlaced", "own", write, scene(4, 16), shown)
    background = chunk(b"bKGD", struct.pack(">HHH", 200, 10, 10))
    yield case("PNG", "bKGD", "rgba", "own", partial(png, color=6, depth=8, between=background), scene(4), rgba)
    yield case(
        "PNG", "order", "a longer tRNS than the palette", "own",
        partial(png, color=3, depth=4, between=chunk(b"tRNS", bytes(17))), scene(1, 4),
        partial(shown_png, color=3, depth=4, clear=False),
    )  # fmt: skip
    yield case(
        "PNG", "order", "a shorter palette than the depth has room for", "own", _with_short_palette, scene(1, 3),
        lambda values: palette_of(9, 8)[values[..., 0]],
    )  # fmt: skip


def _with_short_palette(values: Array) -> bytes:
    whole = png(values, 3, 8)
    return whole.replace(chunk(b"PLTE", palette(8).tobytes()), chunk(b"PLTE", palette_of(9, 8).tobytes()))
