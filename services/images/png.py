"""PNG reduced to what its pixels need, so that damage of anything else does not cost the picture, as in browsers.

Chunks are those of the PNG specification (https://www.w3.org/TR/png-3/). Critical ones have to be sound. Of the
ancillary ones only transparency, color profile and EXIF are kept, each if it is sound; texts, times, animations and
hints are dropped, and with them what they might unpack to.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from services.errors import ImageCorrupt, ImageUnsupported

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_PROFILE = 8_000_000
"""Bytes that a profile may unpack to; what libpng allows."""

GRAY, RGB, PALETTE = 0, 2, 3
"""Color types: the only ones that a tRNS chunk may go with."""


class Reduced(NamedTuple):
    """A PNG of sound chunks."""

    data: bytes
    profile: bytes | None
    """The ICC profile, unpacked; `data` has none."""
    has_deep_key: bool
    """Whether one color of 16 bits a channel is transparent, which 8 bits cannot tell from its neighbors."""


class _Chunk(NamedTuple):
    kind: bytes
    body: memoryview
    crc: memoryview

    @property
    def is_sound(self) -> bool:
        """Whether its checksum is right; also where the file ends before that."""
        expected = zlib.crc32(self.body, zlib.crc32(self.kind))
        return len(self.crc) < 4 or expected == int.from_bytes(self.crc, "big")


def reduced(data: bytes) -> Reduced:
    """Reduces a PNG. That pixels are missing is not noticed here; decoding does.

    Raises:
        ImageCorrupt: A critical chunk (IHDR, PLTE, IDAT) is damaged.
        ImageUnsupported: A critical chunk is of a kind that the specification does not have.
    """
    header = palette = b""
    profile: bytes | None = None
    extras: dict[bytes, bytes] = {}
    pixels: list[_Chunk] = []
    for chunk in _chunks(data):
        kind, body = chunk.kind, chunk.body
        if _is_critical(kind):
            _check(chunk)
            if kind == b"IDAT":
                pixels.append(chunk)
            elif kind == b"PLTE":
                palette = bytes(body)
            else:
                header = header or bytes(body)
        elif kind in extras or not chunk.is_sound:
            continue
        elif kind == b"eXIf":
            extras[kind] = bytes(body)
        elif pixels:
            continue
        elif kind == b"iCCP":
            profile = profile or _profile(bytes(body))
        elif kind == b"tRNS" and (transparency := _transparency(bytes(body), header, palette)):
            extras[kind] = transparency
    if len(header) != 13:
        raise ImageCorrupt("The image is cut off or damaged (the PNG has no header); export it again from its source.")
    kept = {b"IHDR": header} | ({b"PLTE": palette} if palette else {}) | extras
    parts: list[bytes | memoryview] = [SIGNATURE]
    for kind, content in kept.items():
        parts += [struct.pack(">I4s", len(content), kind), content, struct.pack(">I", zlib.crc32(kind + content))]
    for chunk in pixels:
        parts += [struct.pack(">I4s", len(chunk.body), b"IDAT"), chunk.body, bytes(chunk.crc).ljust(4, b"\0")]
    parts += [struct.pack(">I4sI", 0, b"IEND", zlib.crc32(b"IEND"))]
    depth, color = header[8:10]
    return Reduced(b"".join(parts), profile, (depth, color) == (16, RGB) and b"tRNS" in extras)


def _chunks(data: bytes) -> Iterator[_Chunk]:
    """The chunks before IEND; where the file ends earlier, the last one may be cut."""
    view, at = memoryview(data), len(SIGNATURE)
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IEND" or not kind.isalpha():
            return
        end = at + 8 + length
        yield _Chunk(kind, view[at + 8 : end], view[end : end + 4])
        at = end + 4


def _is_critical(kind: bytes) -> bool:
    return kind[:1].isupper()


def _check(chunk: _Chunk) -> None:
    name = chunk.kind.decode("ascii")
    if name not in ("IHDR", "PLTE", "IDAT"):
        raise ImageUnsupported(f"The PNG has a critical chunk of a kind of its own ({name}); save it as a plain PNG.")
    if not chunk.is_sound:
        raise ImageCorrupt(
            f"The image is cut off or damaged (the checksum of its chunk {name} is wrong); "
            "export it again from its source."
        )


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
