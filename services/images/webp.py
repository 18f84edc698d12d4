"""WebP reduced to its first picture, its profile and its EXIF, so that what else is damaged or cut does not cost it.

Chunks are those of the WebP container specification (https://developers.google.com/speed/webp/docs/riff_container).
"""

import struct
from collections.abc import Iterator

from services.images.faults import damaged

WANTED = (b"VP8X", b"ICCP", b"ANIM", b"ANMF", b"ALPH", b"VP8 ", b"VP8L", b"EXIF")
PIXELS = (b"ANMF", b"ALPH", b"VP8 ", b"VP8L")


def reduced(data: bytes) -> bytes:
    """Reduces a WebP. Raises `ImageCorrupt` where the data of its first picture is cut off."""
    kept: dict[bytes, bytes] = {}
    for kind, length, body in _chunks(data):
        if len(body) == length and kind in WANTED:
            kept.setdefault(kind, body)
        elif kind in PIXELS and kind not in kept:
            raise damaged()
    parts = [struct.pack("<4sI", kind, len(body)) + body + bytes(len(body) % 2) for kind, body in kept.items()]
    content = b"WEBP" + b"".join(parts)
    return struct.pack("<4sI", b"RIFF", len(content)) + content


def size(data: bytes) -> tuple[int, int]:
    """Width and height of a reduced WebP, by its first chunk."""
    if data[12:16] == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if data[12:16] == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, bytes]]:
    """Kind, size and content of the chunks; what the last holds may be shorter than its size."""
    at = 12
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        yield kind, length, data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2
