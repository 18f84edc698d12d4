"""Opening of image bytes: which library decodes them, and what has to be done to the bytes before and after."""

import re
import struct
from io import BytesIO

import numpy as np

# Imported here, since Image.open imports all plugins if one of these is missing.
from PIL import AvifImagePlugin, Image, WebPImagePlugin  # noqa: F401

from services.errors import ImageUnsupported
from services.images import jpeg, libvips, png, tiff, webp
from services.images.colors import eight_bits
from services.images.faults import damaged
from services.images.limits import Limits
from services.signatures import media_type, not_an_image

ORIENTATION = 0x0112
# The type of an item in its entry (ISO/IEC 14496-12, `infe`), after version, flags, ID and protection.
EXIF_OF_AVIF = re.compile(rb"(infe[\x02\x03].{7}(?:..)?)Exif", re.DOTALL)
BMP_BITS, BMP_PACKINGS = (1, 4, 8, 16, 24, 32), (0, 1, 2, 3)
"""What Pillow reads: none, run lengths of 8 and 4 bits, and bit fields."""
TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

SIDEWAYS = (5, 6, 7, 8)
"""Orientations that swap width and height."""


def upright(data: bytes, limits: Limits, draft: int | None = None) -> Image.Image:
    """The image upright, with 8 bits a channel; its ICC profile, if any, is `info["icc_profile"]`.

    A JPEG may be scaled down, to no less than `draft` pixels a side.

    Raises:
        ImageError: A subclass says what is wrong with the image.
        Exception: Whatever Pillow, libvips and libheif raise for damaged bytes.
    """
    limits.check_bytes(len(data))
    # Replaces Pillow's own limit, which only warns at first, by ours. There is a process for each processor.
    Image.MAX_IMAGE_PIXELS = None
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    match media_type(data):
        case None:
            raise ImageUnsupported(not_an_image(data))
        case "image/jpeg":
            image = _jpeg(jpeg.reduced(data), limits, draft)
        case "image/png":
            image = _png(data, limits)
        case "image/tiff":
            image = tiff.opened(data, limits)
        case "image/heic":
            image = _heic(data, limits)
        case "image/webp":
            reduced = webp.reduced(data)
            # Pillow allocates two canvases of a WebP before it reports the size.
            limits.check_pixels(*webp.size(reduced))
            image = Image.open(BytesIO(reduced), formats=("WEBP",))
        case "image/avif":
            image = Image.open(BytesIO(_plain_avif(data)), formats=("AVIF",))
        case "image/gif":
            image = _gif(data, limits)
        case _:
            image = _bmp(data)
    limits.check_pixels(*image.size)
    image.load()
    return eight_bits(_turned(image))


def upright_size(data: bytes, limits: Limits) -> tuple[int, int]:
    """Width and height of what `upright` gives, by the header alone. Raises as `upright` does."""
    limits.check_bytes(len(data))
    Image.MAX_IMAGE_PIXELS = None
    kind = media_type(data)
    match kind:
        case None:
            raise ImageUnsupported(not_an_image(data))
        case "image/jpeg":
            data = jpeg.reduced(data)
        case "image/png":
            data = png.reduced(data).data
        case "image/webp":
            data = webp.reduced(data)
            limits.check_pixels(*webp.size(data))
        case "image/avif":
            data = _plain_avif(data)
        case "image/heic":
            data = _plain_heic(data)
    name = kind.removeprefix("image/").upper().replace("HEIC", "HEIF")
    with Image.open(BytesIO(data), formats=(name,)) as image:
        width, height = image.size
        # Of a TIFF Pillow tells the size that it has upright.
        is_turned = kind != "image/tiff" and _orientation(image) in SIDEWAYS
        return (height, width) if is_turned else (width, height)


def _jpeg(data: bytes, limits: Limits, draft: int | None) -> Image.Image:
    whole = jpeg.ended(data)
    image = Image.open(BytesIO(whole), formats=("JPEG",))
    limits.check_pixels(*image.size)
    if not jpeg.has_all_scans(whole):
        raise damaged("the JPEG lacks some of its scans")
    if draft:
        image.draft(None, (draft, draft))
    image.load()
    if (whole is not data or _ends_gray(image)) and libvips.ends_early(whole):
        raise damaged("the JPEG lacks rows of pixels")
    return image


def _ends_gray(image: Image.Image) -> bool:
    """Whether the last pixel of a JPEG is what libjpeg paints where data is missing: every number in the middle."""
    last = np.asarray(image.crop((image.width - 1, image.height - 1, image.width, image.height)))
    return bool(((last == 127) | (last == 128)).all())


def _png(data: bytes, limits: Limits) -> Image.Image:
    reduced = png.reduced(data)
    opened: Image.Image = Image.open(BytesIO(reduced.data), formats=("PNG",))
    limits.check_pixels(*opened.size)
    image = opened
    if reduced.has_deep_key:
        image = libvips.from_png(reduced.data)
        image.info = {key: value for key, value in opened.info.items() if key != "transparency"}
    image.load()
    if _ends_black(image) and not png.has_all_rows(reduced):
        raise damaged("the PNG lacks rows of pixels")
    if reduced.profile:
        image.info["icc_profile"] = reduced.profile
    return image


def _ends_black(image: Image.Image) -> bool:
    """Whether a PNG's last row, or last but one (of an interlaced one), is what Pillow leaves where data is missing."""
    last = np.asarray(image.crop((0, max(image.height - 2, 0), image.width, image.height)))
    return not all(row.any() for row in last)


def _gif(data: bytes, limits: Limits) -> Image.Image:
    image = Image.open(BytesIO(data), formats=("GIF",))
    limits.check_pixels(*image.size)
    box = image.tile[0].extents if image.tile else None
    image.load()
    if box in (None, (0, 0, *image.size)):
        return image
    # Pillow paints the rest of the screen in the background color, browsers leave it clear.
    framed = Image.new("RGBA", image.size, (255, 255, 255, 0))
    framed.paste(image.crop(box).convert("RGBA"), box[:2])
    return framed


def _plain_avif(data: bytes) -> bytes:
    # libavif refuses the picture where EXIF is damaged, which says nothing of one: `irot` and `imir` turn it.
    # Pillow knows the format by the first of the brands that the file names.
    return EXIF_OF_AVIF.sub(rb"\1free", data[:8] + b"avif" + data[12:])


def _plain_heic(data: bytes) -> bytes:
    """A HEIC as Pillow opens it, which can from now on."""
    import pi_heif

    # One thread: there is one process for each processor.
    pi_heif.register_heif_opener(decode_threads=1, thumbnails=False, depth_images=False, aux_images=False)
    return data[:8] + b"heic" + data[12:]


def _heic(data: bytes, limits: Limits) -> Image.Image:
    image = Image.open(BytesIO(_plain_heic(data)), formats=("HEIF",))
    limits.check_pixels(*image.size)
    image.load()
    return image


def _bmp(data: bytes) -> Image.Image:
    if len(data) >= 34 and int.from_bytes(data[14:18], "little") >= 40:
        bits, packing = int.from_bytes(data[28:30], "little"), int.from_bytes(data[30:34], "little")
        if bits not in BMP_BITS or packing not in BMP_PACKINGS:
            raise ImageUnsupported(
                f"The BMP has {bits} bits a pixel and compression {packing}; save it with 24 and none."
            )
    return Image.open(BytesIO(data), formats=("BMP",))


def _turned(image: Image.Image) -> Image.Image:
    method = TRANSPOSITIONS.get(_orientation(image) or 1)
    return image if method is None else image.transpose(method)


def _orientation(image: Image.Image) -> int | None:
    """What EXIF says of how an image is turned."""
    # Pillow takes the orientation from XMP where EXIF has none; browsers do not.
    image.info.pop("xmp", None)
    try:
        found: int | None = image.getexif().get(ORIENTATION)
    except (SyntaxError, ValueError, TypeError, LookupError, OSError, struct.error):
        # Damaged metadata in an otherwise valid image.
        return None
    return found
