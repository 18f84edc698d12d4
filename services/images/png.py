"""PNG reduced to what its pixels need, so that damage of anything else does not cost the picture, as in browsers.

Chunks are those of the PNG specification (https://www.w3.org/TR/png-3/). Critical ones have to be sound. Of the
ancillary ones only transparency, color profile and EXIF are kept, each if it is sound; texts, times, animations and
hints are dropped, and with them what they might unpack to.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from services.errors import ImageUnsupported
from services.images.faults import damaged

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_PROFILE = 8_000_000
"""Bytes that a profile may unpack to; what libpng allows."""

MAX_CHUNKS = 50_000
CRITICAL, KEPT = (b"IHDR", b"PLTE", b"IDAT"), (b"eXIf", b"iCCP", b"tRNS")

GRAY, RGB, PALETTE = 0, 2, 3
"""Color types: the only ones that a tRNS chunk may go with."""
CHANNELS = {GRAY: 1, RGB: 3, PALETTE: 1, 4: 2, 6: 4}
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
"""The passes of an interlaced PNG: the first column and row, and the steps to the next ones."""


class Reduced(NamedTuple):
    """A PNG of sound chunks."""

    data: bytes
    header: bytes
    """The content of IHDR, 13 bytes."""
    pixels: bytearray
    """The content of all IDATs."""
    profile: bytes | None
    """The ICC profile, unpacked; `data` has none."""
    has_deep_key: bool
    """Whether one color of 16 bits a channel is transparent, which 8 bits cannot tell from its neighbors."""


def reduced(data: bytes) -> Reduced:
    """Reduces a PNG. That pixels are missing is not noticed here.

    Raises:
        ImageCorrupt: A critical chunk (IHDR, PLTE, IDAT) is damaged or missing.
        ImageUnsupported: A critical chunk is of a kind that the specification does not have, or there are too many.
    """
    header = palette = b""
    profiles: list[bytes | None] = []
    extras: dict[bytes, bytes] = {}
    pixels = bytearray()
    for kind, body, crc in _chunks(data):
        if kind[:1].isupper():
            _check(kind, body, crc)
            if kind == b"IDAT":
                pixels += body
            elif kind == b"PLTE":
                palette = bytes(body)
            else:
                header = header or bytes(body)
        elif kind not in KEPT or kind in extras or (pixels and kind != b"eXIf") or not _is_sound(kind, body, crc):
            continue
        elif kind == b"eXIf":
            extras[kind] = bytes(body)
        elif kind == b"iCCP":
            # Only the first is tried, as in libpng.
            profiles.append(None if profiles else _profile(bytes(body)))
        elif transparency := _transparency(bytes(body), header, palette):
            extras[kind] = transparency
    if len(header) != 13:
        raise damaged("the PNG has no header")
    depth, color = header[8:10]
    if color == PALETTE and not palette:
        raise damaged("the PNG has no palette")
    kept: dict[bytes, bytes | bytearray] = {b"IHDR": header}
    if palette:
        kept[b"PLTE"] = palette
    kept |= extras
    kept |= {b"IDAT": pixels, b"IEND": b""}
    parts: list[bytes | bytearray] = [SIGNATURE]
    for kind, content in kept.items():
        checksum = struct.pack(">I", zlib.crc32(content, zlib.crc32(kind)))
        parts += [struct.pack(">I4s", len(content), kind), content, checksum]
    is_deep = (depth, color) == (16, RGB) and b"tRNS" in extras
    return Reduced(b"".join(parts), header, pixels, next(iter(profiles), None), is_deep)


def has_all_rows(image: Reduced) -> bool:
    """Whether the data of a PNG unpacks to as many bytes as its header says."""
    width, height, depth, color, _, _, is_interlaced = struct.unpack(">IIBBBBB", image.header)
    bits = depth * CHANNELS.get(color, 1)
    passes = ADAM7 if is_interlaced else [(0, 0, 1, 1)]
    wanted = 0
    for x, y, across, down in passes:
        columns, rows = -(-(width - x) // across), -(-(height - y) // down)
        if columns > 0 and rows > 0:
            wanted += rows * (1 + -(-columns * bits // 8))
    unpacking, rest = zlib.decompressobj(), bytes(image.pixels)
    while wanted > 0 and rest and not unpacking.eof:
        wanted -= len(unpacking.decompress(rest, 1 << 20))
        rest = unpacking.unconsumed_tail
    return wanted <= 0


def _chunks(data: bytes) -> Iterator[tuple[bytes, memoryview, memoryview]]:
    """Kind, content and checksum of the chunks before IEND; where the file ends earlier, the last one may be cut."""
    view, at = memoryview(data), len(SIGNATURE)
    for _ in range(MAX_CHUNKS):
        if at + 8 > len(data):
            return
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IEND" or not kind.isalpha():
            return
        end = at + 8 + length
        yield kind, view[at + 8 : end], view[end : end + 4]
        at = end + 4
    raise ImageUnsupported(f"The PNG has more than {MAX_CHUNKS:,} chunks; save it anew.")


def _is_sound(kind: bytes, body: memoryview, crc: memoryview) -> bool:
    """Whether the checksum of a chunk is right; also where the file ends before that."""
    return len(crc) < 4 or zlib.crc32(body, zlib.crc32(kind)) == int.from_bytes(crc, "big")


def _check(kind: bytes, body: memoryview, crc: memoryview) -> None:
    name = kind.decode("ascii")
    if kind not in CRITICAL:
        raise ImageUnsupported(f"The PNG has a critical chunk of a kind of its own ({name}); save it as a plain PNG.")
    if not _is_sound(kind, body, crc):
        raise damaged(f"the checksum of its chunk {name} is wrong")


def _transparency(body: bytes, header: bytes, palette: bytes) -> bytes | None:
    """The content of a tRNS chunk as Pillow compares it with pixels; None if it is of another length than it has to be.

    Pillow scales gray of 2 and 4 bits to 8, but not the transparent one.
    """
    if len(header) != 13:
        return None
    depth, color = header[8:10]
    if color == PALETTE:
        return body if 0 < len(body) <= len(palette) // 3 else None
    if color == RGB:
        return body if len(body) == 6 else None
    if color != GRAY or len(body) != 2:
        return None
    scale = {2: 85, 4: 17}.get(depth, 1)
    return struct.pack(">H", scale * (int.from_bytes(body, "big") & (1 << depth) - 1))


def _profile(body: bytes) -> bytes | None:
    """The profile of an iCCP chunk; None if it is damaged or too large."""
    _, end, packed = body.partition(b"\0")
    unpacking = zlib.decompressobj()
    try:
        profile = unpacking.decompress(packed[1:], MAX_PROFILE) if end else b""
    except zlib.error:
        return None
    return profile if unpacking.eof else None
