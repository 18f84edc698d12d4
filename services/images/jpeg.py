"""JPEG reduced to what its pixels need, and made whole where only its end marker is missing.

Segments are those of ITU-T T.81. Which of APPn are used, and what they have to hold, is as in libjpeg, which browsers
use: others, and those that are too short, are dropped.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from services.errors import ImageUnsupported

END = b"\xff\xd9"

SOS, COM, LS = 0xDA, 0xFE, 0xF7
APP0, APP1, APP2, APP14, APP15 = 0xE0, 0xE1, 0xE2, 0xEE, 0xEF
SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
PROGRESSIVE, HIERARCHICAL = frozenset([0xC2, 0xCA]), frozenset([0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF])
WITHOUT_LENGTH = frozenset([0x01, *range(0xD0, 0xD9)])
NEXT = re.compile(rb"\xff[^\x00\xff]")
"""The next marker before a scan; of several 0xFF the last one begins it."""
MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""A marker within a scan: neither a stuffed zero nor a restart."""

WANTED = {APP0: (b"JFIF\0", 14), APP1: (b"Exif\0\0", 6), APP2: (b"ICC_PROFILE\0", 14), APP14: (b"Adobe", 12)}
"""The application segments that say something of pixels: how their content begins, and the least of it."""
MAX_SEGMENTS = 20_000
MAX_SCANS = 1000
"""Encoders write about ten; each passes over the whole picture."""


class _Segment(NamedTuple):
    gap: int
    """Where what comes before its marker begins: bytes that are skipped."""
    start: int
    marker: int
    body: bytes
    end: int


def reduced(data: bytes) -> bytes:
    """Drops comments and those application segments that say nothing of pixels, colors and orientation, or too little.

    Raises:
        ImageUnsupported: It is of a kind that browsers do not show, either: other than 8 bits, other than 1, 3 or 4
            components, hierarchical, JPEG-LS; or it has too many segments.
    """
    parts = [data[:2]]
    at, has_exif = 2, False
    for number, segment in enumerate(_segments(data)):
        if number == MAX_SEGMENTS:
            raise ImageUnsupported(f"The JPEG has more than {MAX_SEGMENTS:,} segments; save it anew.")
        marker = segment.marker
        _check(marker, segment.body)
        begins, least = WANTED.get(marker, (b"", 1 << 16 if APP0 <= marker <= APP15 or marker == COM else 0))
        # One of EXIF: Pillow joins several.
        is_wanted = segment.body.startswith(begins) and len(segment.body) >= least and not (has_exif and marker == APP1)
        if not is_wanted or segment.gap < segment.start:
            parts.append(data[at : segment.gap])
            at = segment.start if is_wanted else segment.end
        has_exif |= is_wanted and marker == APP1
    return b"".join([*parts, data[at:]])


def ended(data: bytes) -> bytes:
    """The JPEG with an end marker after its scans, of which the first byte may be there; itself where it has one."""
    scans = max((segment.end for segment in _segments(data)), default=2)
    if data.rfind(END) >= scans:
        return data
    return data + (END[1:] if data.endswith(END[:1]) else END)


def has_all_scans(data: bytes) -> bool:
    """Whether the scans of a JPEG bring every bit of every coefficient, as its headers say. Only progressive ones lack
    some.

    Source: ITU-T T.81, G.1.1: a scan brings the coefficients `first` to `last` down to bit `low`.

    Raises:
        ImageUnsupported: It has too many scans.
    """
    frame = next((each for each in _segments(data) if each.marker in SOF), None)
    if frame is None or frame.marker not in PROGRESSIVE:
        return True
    missing = {component: [16] * 64 for component in frame.body[6 : 6 + 3 * frame.body[5] : 3]}
    at = max(segment.end for segment in _segments(data))
    for _ in range(MAX_SCANS):
        while (found := MARKER.search(data, at)) and found[0][1] != SOS and found[0] != END:
            length = int.from_bytes(data[found.end() : found.end() + 2], "big")
            at = found.end() + max(length, 2)
        if not found or found[0] == END:
            return all(not bit for bits in missing.values() for bit in bits)
        body = data[found.end() + 2 : found.end() + 15]
        count = body[0]
        first, last, bits = body[1 + 2 * count : 4 + 2 * count]
        for component in {*body[1 : 1 + 2 * count : 2]} & missing.keys():
            missing[component][first : min(last, 63) + 1] = [bits & 15] * max(min(last, 63) + 1 - first, 0)
        at = found.end() + 2
    raise ImageUnsupported(f"The JPEG has more than {MAX_SCANS:,} scans; save it anew.")


def _segments(data: bytes) -> Iterator[_Segment]:
    """The segments before the first scan. As in libjpeg, other bytes between them are skipped."""
    at = 2
    while found := NEXT.search(data, at):
        marker = found[0][1]
        length = int.from_bytes(data[found.end() : found.end() + 2], "big")
        end = found.end() + length
        if marker in (SOS, END[1]) or (marker not in WITHOUT_LENGTH and (length < 2 or end > len(data))):
            return
        if marker in WITHOUT_LENGTH:
            at = found.end()
            continue
        yield _Segment(at, found.start(), marker, data[found.end() + 2 : end], end)
        at = end


def _check(marker: int, body: bytes) -> None:
    if marker == LS or marker in HIERARCHICAL:
        kind = "JPEG-LS" if marker == LS else "hierarchical JPEG"
        raise ImageUnsupported(f"The JPEG is of a rare kind ({kind}); save it as a common JPEG or as PNG.")
    if marker not in SOF or len(body) < 6:
        return
    bits, components = body[0], body[5]
    if bits != 8:
        raise ImageUnsupported(f"The JPEG has {bits} bits a channel; save it with 8.")
    if components not in (1, 3, 4):
        raise ImageUnsupported(f"The JPEG has {components} channels; save it in gray, RGB or CMYK.")
