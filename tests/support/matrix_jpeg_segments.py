"""JPEG with every state of the segments before the pixels, and of its end."""

import struct
from collections.abc import Iterator
from functools import partial
from typing import Any

from image_files import cmyk_whose_cyan_ink_is_red, gray_without_gamma, srgb_with_red_and_green_swapped
from matrix_case import Array, Case, exif, rgb, stored_for, upright
from matrix_jpeg import Write, jpeg, lossy_case


def cases() -> Iterator[Case]:
    yield from _turned()
    yield from _with_segments()
    yield from _with_odd_ends()


# Segments


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def bare(values: Array, **options: Any) -> bytes:
    """A JPEG whose first segment is a table of quantization: without APP segments."""
    return _without_apps(jpeg(values, **options))


def _without_apps(data: bytes) -> bytes:
    at = 2
    while data[at + 1] & 0xF0 == 0xE0:
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return data[:2] + data[at:]


def with_segments(values: Array, segments: bytes, orientation: int = 1, **options: Any) -> bytes:
    data = bare(stored_for(orientation, values), **options)
    return data[:2] + segments + data[2:]


JFIF = segment(0xE0, b"JFIF\0\1\1\1\0\x48\0\x48\0\0")
ADOBE = segment(0xEE, b"Adobe\0\x64\0\0\0\0\1")


def _exif(content: bytes) -> bytes:
    return segment(0xE1, b"Exif\0\0" + content)


def _turned() -> Iterator[Case]:
    for orientation in range(1, 9):
        for order in "<>":
            segments = JFIF * (order == "<") + _exif(exif(orientation, order))
            write = partial(with_segments, segments=segments, orientation=orientation)
            yield lossy_case(
                "APP1", f"orientation {orientation} {order}", "own", write, back=partial(upright, orientation)
            )
    write = partial(with_segments, segments=_exif(exif(6)), orientation=6, progressive=True)
    yield lossy_case("APP1", "orientation 6 gray progressive", "own", write, 1, back=partial(upright, 6))
    write = partial(_cmyk_turned, orientation=8)
    yield lossy_case("APP1", "orientation 8 CMYK", "Pillow", write, 4, back=partial(upright, 8))


def _cmyk_turned(values: Array, orientation: int) -> bytes:
    data = jpeg(stored_for(orientation, values), mode="CMYK")
    return data[:2] + _exif(exif(orientation)) + data[2:]


def _icc(profile: bytes, parts: int = 1, total: int = 0, leave: int = 0, first: int = 1) -> bytes:
    step = -(-len(profile) // parts)
    pieces = [profile[at : at + step] for at in range(0, len(profile), step)]
    return b"".join(
        segment(0xE2, b"ICC_PROFILE\0" + bytes([number, total or parts]) + piece)
        for number, piece in enumerate(pieces, first)
        if number != leave
    )


def _with_segments() -> Iterator[Case]:
    for name, segments in _harmless().items():
        yield lossy_case("segments", name, "own", partial(with_segments, segments=segments))
        if len(segments) < 2000:
            write = partial(with_segments, segments=segments, progressive=True, subsampling="4:2:0")
            yield lossy_case("segments", f"{name} progressive 4:2:0", "own", write)
    swapped, gray_profile = srgb_with_red_and_green_swapped(), gray_without_gamma()
    for name, segments in {
        "in one part": _icc(swapped),
        "in three parts": _icc(swapped, 3),
        "behind JFIF": JFIF + _icc(swapped, 2),
        "behind a short JFIF": segment(0xE0, b"JFIF\0") + _icc(swapped),
    }.items():
        write = partial(with_segments, segments=segments)
        yield lossy_case("APP2", f"profile {name}", "own", write, shown=lambda values: rgb(values)[..., [1, 0, 2]])
    for name, segments in {
        "a part missing": _icc(swapped, 3, leave=2),
        "the last part missing": _icc(swapped, 3, leave=3),
        "cut": _icc(swapped[:200]),
        "of other colors": _icc(gray_profile),
        "no profile": _icc(b"\xff" * 300),
        "empty": _icc(b"\0"),
        "of a printer": _icc(cmyk_whose_cyan_ink_is_red()),
    }.items():
        yield lossy_case("APP2", f"profile {name}", "own", partial(with_segments, segments=segments))


def _harmless() -> dict[str, bytes]:
    """Segments that change nothing that is seen: sound ones, and damaged ones, which count as absent."""
    turned, text = exif(6), b"A picture"
    xmp = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"
    return {
        "none": b"",
        "JFIF": JFIF,
        "JFIF twice": JFIF * 2,
        "JFIF short": segment(0xE0, b"JFIF\0\1"),
        "JFIF without its numbers": segment(0xE0, b"JFIF\0"),
        "JFIF cut in its name": segment(0xE0, b"JFI"),
        "JFIF empty": segment(0xE0, b""),
        "JFIF huge": segment(0xE0, b"JFIF\0\1\1\1\0\x48\0\x48\0\0" + bytes(65_000)),
        "JFIF of no density": segment(0xE0, b"JFIF\0\1\1\1\0\0\0\0\0\0"),
        "JFIF of an odd unit": segment(0xE0, b"JFIF\0\1\1\x63\0\x48\0\x48\0\0"),
        "JFXX": JFIF + segment(0xE0, b"JFXX\0\x13" + bytes(9)),
        "Adobe": ADOBE,
        "Adobe twice": ADOBE * 2,
        "Adobe short": segment(0xEE, b"Adobe\0\x64"),
        "Adobe without its numbers": segment(0xEE, b"Adobe"),
        "Adobe empty": segment(0xEE, b""),
        "Adobe behind JFIF": JFIF + ADOBE,
        "Adobe huge": segment(0xEE, b"Adobe\0\x64\0\0\0\0\1" + bytes(65_000)),
        "EXIF empty": _exif(b""),
        "EXIF cut in its head": _exif(turned[:6]),
        "EXIF cut in its entry": _exif(turned[:14]),
        "EXIF that points behind its end": _exif(b"II*\0\xff\xff\xff\x7f" + turned[8:]),
        "EXIF that points to itself": _exif(exif(1)[:22] + struct.pack("<I", 8)),
        "EXIF of no byte order": _exif(b"XX*\0" + turned[4:]),
        "EXIF of garbage": _exif(b"\xff" * 99),
        "EXIF of orientation 0": _exif(exif(0)),
        "EXIF of orientation 9": _exif(exif(9)),
        "EXIF of orientation 65535": _exif(exif(65535)),
        "EXIF of many entries that are not there": _exif(b"II*\0\x08\0\0\0\xff\xff"),
        "APP1 empty": segment(0xE1, b""),
        "APP1 of half a name": segment(0xE1, b"Exi"),
        "XMP": segment(0xE1, xmp),
        "XMP huge": segment(0xE1, xmp + b" " * 65_000),
        "XMP of no XML": segment(0xE1, xmp[:30] + b"\xff<<<"),
        "APP2 empty": segment(0xE2, b""),
        "APP2 of no number": segment(0xE2, b"ICC_PROFILE\0"),
        "APP2 of part 0 of 0": segment(0xE2, b"ICC_PROFILE\0\0\0" + bytes(200)),
        "APP2 of several pictures": segment(0xE2, b"MPF\0" + turned),
        "APP2 of several pictures, cut": segment(0xE2, b"MPF\0II*\0"),
        "APP13": segment(0xED, b"Photoshop 3.0\x008BIM\4\4\0\0\0\0\0\0"),
        "APP13 cut": segment(0xED, b"Photoshop 3.0\x008BIM\4"),
        "APP13 of a wrong length": segment(0xED, b"Photoshop 3.0\x008BIM\x03\xed\0\0\xff\xff\xff\xff" + bytes(7)),
        "APP13 of a short resolution": segment(0xED, b"Photoshop 3.0\x008BIM\x03\xed\0\0\0\0\0\2\0\1"),
        "APP13 empty": segment(0xED, b""),
        "APP13 twice": segment(0xED, b"Photoshop 3.0\x008BIM\4\4\0\0\0\0\0\0") * 2,
        "comment": segment(0xFE, text),
        "comment empty": segment(0xFE, b""),
        "comment of no text": segment(0xFE, b"\xff\0\xfe\x81"),
        "comments of 200 kB": segment(0xFE, text * 7000) * 3,
        "a thousand comments": segment(0xFE, text) * 1000,
        "all APPs": b"".join(segment(0xE0 | number, b"nobody's\0" + bytes(number)) for number in range(16)),
        "fill bytes": b"\xff\xff\xff" + segment(0xFE, text),
    }


def _with_odd_ends() -> Iterator[Case]:
    ends: dict[str, Write] = {
        "no end": lambda values: jpeg(values)[:-2],
        "zeros behind the end": lambda values: jpeg(values) + bytes(512),
        "text behind the end": lambda values: jpeg(values) + b"<!-- served in 12 ms -->",
        "another JPEG behind the end": lambda values: jpeg(values) + jpeg(255 - values),
        "the end twice": lambda values: jpeg(values) + b"\xff\xd9",
        "fill bytes before the end": lambda values: jpeg(values)[:-2] + b"\xff\xff\xff\xd9",
        "progressive without an end": lambda values: jpeg(values, progressive=True)[:-2],
        "restarts without an end": lambda values: jpeg(values, restart_marker_blocks=2)[:-2],
        "thumbnail in EXIF": _with_thumbnail,
    }
    for name, write in ends.items():
        yield lossy_case("end", name, "own", write)
    yield lossy_case("end", "gray without an end", "own", ends["no end"], 1)
    yield lossy_case("end", "CMYK without an end", "Pillow", lambda values: jpeg(values, mode="CMYK")[:-2], 4)


def _with_thumbnail(values: Array) -> bytes:
    small = jpeg(255 - values[::3, ::3])
    head = struct.pack("<HHHIIHHIII", 2, 0x0201, 4, 1, 0, 0x0202, 4, 1, len(small), 0)
    first = exif(1)[:22] + struct.pack("<I", 26)
    head = head.replace(struct.pack("<HHII", 0x0201, 4, 1, 0), struct.pack("<HHII", 0x0201, 4, 1, 26 + len(head)))
    return with_segments(values, _exif(first + head + small))
