"""JPEG reduced to what its pixels need, and made whole where only its end marker is missing.

Segments are those of ITU-T T.81. Which of APPn are used, and what they have to hold, is as in libjpeg, which browsers
use: others, and those that are too short, are dropped.
"""

from collections.abc import Iterator
from typing import NamedTuple

from services.errors import ImageUnsupported

END = b"\xff\xd9"

SOI, SOS, COM = 0xD8, 0xDA, 0xFE
APP0, APP1, APP2, APP14, APP15 = 0xE0, 0xE1, 0xE2, 0xEE, 0xEF
SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
LS = 0xF7
PROGRESSIVE = frozenset([0xC2, 0xCA])
WITHOUT_LENGTH = frozenset([0x01, *range(0xD0, 0xD9)])

WANTED = {APP0: (b"JFIF\0", 14), APP1: (b"Exif\0\0", 6), APP2: (b"ICC_PROFILE\0", 14), APP14: (b"Adobe", 12)}
"""The application segments that say something of pixels: how their content begins, and the least of it."""


class _Segment(NamedTuple):
    marker: int
    start: int
    """Where its marker begins."""
    body: bytes
    end: int


def reduced(data: bytes) -> bytes:
    """Drops comments and those application segments that say nothing of pixels, colors and orientation, or too little.

    Raises:
        ImageUnsupported: Its numbers are of a kind that browsers do not show, either: other than 8 bits, other than 1,
            3 or 4 components.
    """
    parts = [data[:2]]
    at, has_exif = 2, False
    for segment in _segments(data, at):
        if segment.marker == LS:
            raise ImageUnsupported("The JPEG is of the kind JPEG-LS; save it as a common JPEG or as PNG.")
        if segment.marker in SOF:
            _check(segment.body)
        if APP0 <= segment.marker <= APP15 or segment.marker == COM:
            begins, least = WANTED.get(segment.marker, (b"", 1 << 16))
            # One of EXIF: Pillow joins several.
            wanted = segment.body.startswith(begins) and len(segment.body) >= least
            if not wanted or (has_exif and segment.marker == APP1):
                parts.append(data[at : segment.start])
                at = segment.end
            has_exif |= wanted and segment.marker == APP1
    return b"".join([*parts, data[at:]])


def ended(data: bytes) -> bytes:
    """The JPEG with an end marker, of which the first byte may be there."""
    return data + (END[1:] if data.endswith(END[:1]) else END)


def has_all_scans(data: bytes) -> bool:
    """Whether the scans of a JPEG bring every bit of every coefficient, as its headers say; others have only one scan.

    Source: ITU-T T.81, G.1.1: a scan brings the coefficients `first` to `last` down to bit `low`.
    """
    components: set[int] = set()
    missing: dict[tuple[int, int], int] = {}
    is_progressive = False
    for segment in _segments(data, 2, through_scans=True):
        body = segment.body
        if segment.marker in SOF:
            components = set(body[6 : 6 + 3 * body[5] : 3])
            is_progressive = segment.marker in PROGRESSIVE
        elif segment.marker == SOS:
            count = body[0]
            first, last, bits = body[1 + 2 * count : 4 + 2 * count] if is_progressive else (0, 63, 0)
            for component in body[1 : 1 + 2 * count : 2]:
                missing |= {(component, each): bits & 15 for each in range(first, last + 1)}
    return all(missing.get((component, each)) == 0 for component in components for each in range(64))


def _segments(data: bytes, at: int, *, through_scans: bool = False) -> Iterator[_Segment]:
    """The segments up to the first scan, or with those of all scans; ends where something else than a marker stands."""
    while True:
        if through_scans:
            while (at := data.find(b"\xff", at)) >= 0 and data[at + 1 : at + 2] in _NOT_MARKERS:
                at += 1
            if at < 0:
                return
        start = at
        while data[at : at + 1] == b"\xff":
            at += 1
        if at == start or at >= len(data):
            return
        marker, at = data[at], at + 1
        if marker in WITHOUT_LENGTH:
            continue
        if marker == END[1] or (marker == SOS and not through_scans):
            return
        length = int.from_bytes(data[at : at + 2], "big")
        end = at + length
        if length < 2 or end > len(data):
            return
        yield _Segment(marker, start, data[at + 2 : end], end)
        at = end


_NOT_MARKERS = frozenset([b"\0", *(bytes([each]) for each in range(0xD0, 0xD8))])
"""What may follow 0xFF within a scan: a stuffed zero, a restart."""


def _check(frame: bytes) -> None:
    bits, components = frame[0], frame[5] if len(frame) > 5 else 0
    if bits != 8:
        raise ImageUnsupported(f"The JPEG has {bits} bits a channel; save it with 8.")
    if components not in (1, 3, 4):
        raise ImageUnsupported(f"The JPEG has {components} channels; save it in gray, RGB or CMYK.")
