"""The boxes of HEIF (ISO/IEC 23008-12) around coded pictures, for what no writer at hand makes."""

import struct
from dataclasses import dataclass, field

Property = tuple[bytes, bool]


@dataclass(frozen=True)
class Item:
    """A picture or metadata, with its properties and what it refers to; `hidden`: not one to show by itself."""

    kind: bytes
    payload: bytes
    properties: tuple[Property, ...] = ()
    references: dict[bytes, tuple[int, ...]] = field(default_factory=dict)
    hidden: bool = False


def box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I", len(body) + 8) + kind + body


def full(kind: bytes, *content: bytes, version: int = 0, flags: int = 0) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *content)


def size(width: int, height: int) -> Property:
    return full(b"ispe", struct.pack(">II", width, height)), False


def turned(quarters: int) -> Property:
    """Turned so many quarters against the clock."""
    return box(b"irot", bytes([quarters])), True


def mirrored(axis: int) -> Property:
    """0: top and bottom change places, 1: left and right."""
    return box(b"imir", bytes([axis])), True


def profile(icc: bytes) -> Property:
    return box(b"colr", b"prof", icc), False


def colors(full_range: bool = True, matrix: int = 6) -> Property:
    return box(b"colr", b"nclx", struct.pack(">HHHB", 1, 13, matrix, full_range << 7)), False


def alpha() -> Property:
    return full(b"auxC", b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"), True


def cropped(width: int, height: int, whole: tuple[int, int]) -> Property:
    """The left upper part of this size."""
    across, down = width - whole[0], height - whole[1]
    return box(b"clap", struct.pack(">IIIIiIiI", width, 1, height, 1, across, 2, down, 2)), True


def exif(content: bytes) -> Item:
    return Item(b"Exif", bytes(4) + content, references={b"cdsc": (1,)})


def grid(columns: int, rows: int, width: int, height: int, **more: object) -> bytes:
    return struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, width, height)


def heif(items: list[Item], brand: bytes, others: tuple[bytes, ...] = (b"mif1",), primary: int = 1) -> bytes:
    """A file of the items, which are numbered from 1."""
    kind = box(b"ftyp", brand, bytes(4), *others, brand)
    # The places of the payloads depend on the length of what tells them, which does not depend on the places.
    start = len(kind) + len(_meta(items, primary, 0)) + 8
    return kind + _meta(items, primary, start) + box(b"mdat", *(item.payload for item in items))


def _meta(items: list[Item], primary: int, start: int) -> bytes:
    handler = full(b"hdlr", bytes(4), b"pict", bytes(12), b"\0")
    main = full(b"pitm", struct.pack(">H", primary))
    return full(b"meta", handler, main, _places(items, start), _kinds(items), _references(items), _properties(items))


def _places(items: list[Item], start: int) -> bytes:
    out = struct.pack(">HH", 0x4400, len(items))
    for number, item in enumerate(items, 1):
        out += struct.pack(">HHHII", number, 0, 1, start, len(item.payload))
        start += len(item.payload)
    return full(b"iloc", out)


def _kinds(items: list[Item]) -> bytes:
    entries = [
        full(b"infe", struct.pack(">HH", number, 0), item.kind, b"\0", version=2, flags=int(item.hidden))
        for number, item in enumerate(items, 1)
    ]
    return full(b"iinf", struct.pack(">H", len(items)), *entries)


def _references(items: list[Item]) -> bytes:
    entries = [
        box(kind, struct.pack(f">HH{len(to)}H", number, len(to), *to))
        for number, item in enumerate(items, 1)
        for kind, to in item.references.items()
    ]
    return full(b"iref", *entries) if entries else b""


def _properties(items: list[Item]) -> bytes:
    known: list[bytes] = []
    table = struct.pack(">I", sum(bool(item.properties) for item in items))
    for number, item in enumerate(items, 1):
        if not item.properties:
            continue
        table += struct.pack(">HB", number, len(item.properties))
        for content, essential in item.properties:
            if content not in known:
                known.append(content)
            table += bytes([essential << 7 | known.index(content) + 1])
    return box(b"iprp", box(b"ipco", *known), full(b"ipma", table))


def found(data: bytes, *path: bytes) -> bytes:
    """The content of the box at this path of boxes, each with 4 bytes of version where it is a meta box."""
    for kind in path:
        at = 0
        while data[at + 4 : at + 8] != kind:
            at += int.from_bytes(data[at : at + 4], "big")
        data = data[at + 8 : at + int.from_bytes(data[at : at + 4], "big")]
        data = data[4:] if kind == b"meta" else data
    return data
