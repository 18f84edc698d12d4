"""TIFF: by Pillow where it is right, else by libvips, else refused. Tags are those of TIFF 6.0 and its supplements.

Pillow reads 16 bits with planes apart as garbage, 16-bit gray whose zero is white inverted, signed bytes as unsigned,
and no alpha or spot colors beside CMYK. libvips reads gray with planes apart and 16-bit CMYK multiplied by alpha
wrongly, no tiles with planes apart, and black where it does not know the compression. What both leave is refused, as
docs/api.md lists; tests/services/images/test_matrix.py holds that list against hundreds of files.
"""

import struct
from collections.abc import Mapping
from io import BytesIO
from typing import NamedTuple

from PIL import Image, TiffImagePlugin, UnidentifiedImageError  # noqa: F401

from services.errors import ImageUnsupported
from services.images import libvips
from services.images.colors import over_white
from services.images.faults import damaged
from services.images.limits import Limits

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, ORIENTATION = 256, 257, 258, 259, 262, 274
SAMPLES, PLANES, TILE_WIDTH, TILE_HEIGHT, INKS, EXTRA_SAMPLES = 277, 284, 322, 323, 332, 338
SAMPLE_FORMAT, SUBSAMPLING = 339, 530
READ = {WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, ORIENTATION}
READ |= {SAMPLES, PLANES, TILE_WIDTH, TILE_HEIGHT, INKS, EXTRA_SAMPLES, SAMPLE_FORMAT, SUBSAMPLING}
NUMBERS = {1: "B", 3: "H", 4: "I", 16: "Q"}
"""The types of values that these tags may have, unsigned integers, as `struct` calls them."""

GRAY, COLORS = (0, 1), {0: 1, 1: 1, 2: 3, 5: 4}
"""Color channels by photometric interpretation: gray whose zero is white or black, RGB, CMYK."""
JPEG = 7
PILLOW_UNPACKS = frozenset([1, 2, 3, 4, 5, 6, JPEG, 8, 32773, 32946, 34925, 50000])
LIBVIPS_UNPACKS = frozenset([1, 2, 3, 4, 5, JPEG, 8, 32773, 32946, 50001])
COMPRESSIONS = {2: "CCITT", 3: "CCITT", 4: "CCITT", 5: "LZW", 6: "old JPEG", 7: "JPEG", 8: "deflate", 32773: "PackBits"}
COMPRESSIONS |= {32946: "deflate", 34887: "LERC", 34925: "LZMA", 50000: "Zstandard", 50001: "WebP", 50002: "JPEG XL"}
INTERPRETATIONS = {
    0: "gray, 0 is white",
    1: "gray",
    2: "RGB",
    3: "palette",
    4: "mask",
    5: "inks",
    6: "YCbCr",
    8: "CIELab",
}
INTERPRETATIONS |= {9: "ICCLab", 32803: "raw sensor data", 34892: "raw sensor data"}
CMYK_INKS = 1
MAX_SAMPLES = 32
"""Channels of a picture; as many as measured light has colors, and few enough that a row is no bomb."""
MULTIPLIED, ALPHA = 1, 2
"""Kinds of extra samples: alpha by which the colors were multiplied already, and alpha."""
UNSIGNED, UNDEFINED = 1, 4

Tags = Mapping[int, tuple[int, ...]]


class _Kind(NamedTuple):
    """What the tags of a page say of its numbers."""

    bits: frozenset[int]
    formats: frozenset[int]
    photometric: int
    compression: int
    samples: int
    extra: tuple[int, ...]
    subsampling: tuple[int, ...]
    planes: bool
    tiles: bool
    inks: int

    @property
    def alpha(self) -> int | None:
        """Which of the extra samples is alpha."""
        return next((number for number, each in enumerate(self.extra) if each in (MULTIPLIED, ALPHA)), None)

    @property
    def is_multiplied(self) -> bool:
        return self.alpha is not None and self.extra[self.alpha] == MULTIPLIED

    def __str__(self) -> str:
        bits = "/".join(str(each) for each in sorted(self.bits))
        channels = f"{self.samples} channel{'s' if self.samples > 1 else ''} of {bits} bit{'s' if bits != '1' else ''}"
        numbers = "" if self.formats <= {UNSIGNED, UNDEFINED} else " that are signed or floating point"
        planes = ", planes apart" if self.planes else ""
        interpretation = INTERPRETATIONS.get(self.photometric, f"photometric interpretation {self.photometric}")
        packing = COMPRESSIONS.get(self.compression, f"compression {self.compression}")
        packed = "" if self.compression == 1 else f", compressed as {packing}"
        return f"{channels}{numbers} ({interpretation}){planes}{', in tiles' if self.tiles else ''}{packed}"


def opened(data: bytes, limits: Limits) -> Image.Image:
    """The first page of a TIFF, opened by Pillow or decoded by libvips.

    Raises:
        ImageTooManyPixels: It has more pixels than allowed.
        ImageUnsupported: No library here decodes its combination of tags rightly.
        Exception: Whatever Pillow and libvips raise for a damaged one.
    """
    tags = _tags(data)
    limits.check_pixels(tags[WIDTH][0], tags[HEIGHT][0])
    # A tile is in memory as a whole, however small the picture.
    limits.check_pixels(tags.get(TILE_WIDTH, (0,))[0], tags.get(TILE_HEIGHT, (0,))[0])
    kind = _kind(tags)
    if _pillow_is_right(kind):
        try:
            return Image.open(BytesIO(data), formats=("TIFF",))
        except UnidentifiedImageError:
            # No mode of Pillow is like it.
            pass
    if not _libvips_is_right(kind):
        raise ImageUnsupported(
            f"The TIFF holds {kind}, which is not read; save it with 8 bits a channel, in gray or RGB, planes together."
        )
    return _by_libvips(data, kind, tags.get(ORIENTATION, (1,))[0])


def _tags(data: bytes) -> Tags:
    """The tags of the first page that are read here.

    Raises:
        ImageCorrupt: One is there twice, or of a type that it cannot have, which libraries read differently; or the
            size of the picture is missing.
        struct.error: They are cut off.
    """
    order = "<" if data[:2] == b"II" else ">"
    is_big = data[2:4] in (b"+\0", b"\0+")
    place, head, entry = ("Q", "Q", "HHQ8s") if is_big else ("I", "H", "HHI4s")
    (start,) = struct.unpack_from(order + place, data, 8 if is_big else 4)
    (count,) = struct.unpack_from(order + head, data, start)
    at, size = start + struct.calcsize(order + head), struct.calcsize(order + entry)
    tags: dict[int, tuple[int, ...]] = {}
    for number in range(count):
        tag, type_, length, value = struct.unpack_from(order + entry, data, at + size * number)
        if tag not in READ:
            continue
        if tag in tags or type_ not in NUMBERS or not length:
            if tag == ORIENTATION:
                continue
            raise damaged(f"the TIFF's tag {tag} is {'there twice' if tag in tags else 'of no type that it may have'}")
        # As many as a page may have channels.
        form = f"{order}{min(length, 64)}{NUMBERS[type_]}"
        fits = struct.calcsize(form) <= len(value)
        (where,) = struct.unpack(order + place, value)
        tags[tag] = struct.unpack_from(form, value if fits else data, 0 if fits else where)
    if not {WIDTH, HEIGHT} <= tags.keys():
        raise damaged("the TIFF has no size")
    return tags


def _kind(tags: Tags) -> _Kind:
    (samples, *_) = tags.get(SAMPLES, (1,))
    return _Kind(
        bits=frozenset(tags.get(BITS, (1,))),
        formats=frozenset(tags.get(SAMPLE_FORMAT, (UNSIGNED,))),
        photometric=tags.get(PHOTOMETRIC, (0,))[0],
        compression=tags.get(COMPRESSION, (1,))[0],
        samples=samples,
        extra=tags.get(EXTRA_SAMPLES, ()),
        subsampling=tags.get(SUBSAMPLING, (2, 2)),
        planes=samples > 1 and tags.get(PLANES, (1,))[0] == 2,
        tiles=TILE_WIDTH in tags,
        inks=tags.get(INKS, (CMYK_INKS,))[0],
    )


def _pillow_is_right(kind: _Kind) -> bool:
    if kind.compression not in PILLOW_UNPACKS or not (kind.bits <= {1, 2, 4, 8, 16} and _are_unsigned(kind)):
        return False
    if (
        kind.alpha
        or _has_other_inks(kind)
        or (kind.photometric == 6 and kind.compression != JPEG and kind.subsampling != (1, 1))
    ):
        return False
    if kind.planes:
        return 16 not in kind.bits and kind.photometric not in GRAY and kind.extra in ((), (ALPHA,))
    if 16 in kind.bits:
        return kind.photometric != 0
    return not (kind.photometric in GRAY and kind.is_multiplied)


def _libvips_is_right(kind: _Kind) -> bool:
    return (
        kind.compression in LIBVIPS_UNPACKS
        and kind.photometric in COLORS
        and kind.bits in ({8}, {16})
        and _are_unsigned(kind)
        and not _has_other_inks(kind)
        and COLORS[kind.photometric] <= kind.samples <= MAX_SAMPLES
        and not (kind.planes and (kind.tiles or kind.photometric in GRAY))
        and not (kind.photometric == 5 and kind.is_multiplied and kind.bits == {16})
    )


def _are_unsigned(kind: _Kind) -> bool:
    return kind.formats <= {UNSIGNED, UNDEFINED}


def _has_other_inks(kind: _Kind) -> bool:
    return kind.photometric == 5 and kind.inks != CMYK_INKS


def _by_libvips(data: bytes, kind: _Kind, orientation: int) -> Image.Image:
    colors = COLORS[kind.photometric]
    image, alpha = libvips.from_tiff(data, colors, None if kind.alpha is None else colors + kind.alpha)
    if alpha:
        if image.mode == "CMYK":
            image = over_white(image)
        image.putalpha(alpha)
    image.getexif()[ORIENTATION] = orientation
    return image
