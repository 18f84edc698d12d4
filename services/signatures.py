"""What bytes are, by how they begin: the media type of a supported image, the name of anything else.

Names and extensions are not asked: a file called `.jpg` may be a WebP, and a page that asks for a login comes with
status 200 where an image was.
"""

import re

READ = "JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF and HEIC"
"""The image formats that are read, for messages."""

SIGNATURES = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
    b"BM": "image/bmp",
    b"II*\0": "image/tiff",
    b"MM\0*": "image/tiff",
    b"II+\0": "image/tiff",
    b"MM\0+": "image/tiff",
}

AVIF_BRANDS = frozenset([b"avif", b"avis"])
HEIC_BRANDS = frozenset([b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs"])
HEIF_BRANDS = frozenset([b"mif1", b"mif2", b"msf1", b"miaf", b"1pic", b"jpeg", b"avci", b"vvic", b"j2ki"])
CODING = re.compile(rb"infe[\x02\x03].{7}(?:..)?(av01|hvc1)", re.DOTALL)
"""The type of a picture in a HEIF file that its brands do not tell (ISO/IEC 23008-12)."""
BOX_FILES = {b"qt  ": "a video (QuickTime)", b"crx ": "a raw photo (CR3)"}

BMP_HEADERS = frozenset([12, 16, 40, 52, 56, 64, 108, 124])
"""Sizes of the header that follows the first 14 bytes: "BM" alone begins texts, too."""

OTHERS = {
    b"\xff\x0a": "a JPEG XL image",
    b"\0\0\0\x0cJXL ": "a JPEG XL image",
    b"\0\0\0\x0cjP  ": "a JPEG 2000 image",
    b"\xff\x4f\xff\x51": "a JPEG 2000 image",
    b"II\xbc\x01": "a JPEG XR image",
    b"\0\0\x01\0": "an icon (ICO)",
    b"8BPS": "a Photoshop document",
    b"%PDF": "a PDF document",
    b"%!PS": "a PostScript document",
    b"\xc5\xd0\xd3\xc6": "a PostScript document",
    b"PK\x03\x04": "a ZIP archive",
    b"\x1f\x8b": "gzip-compressed data",
    b"\x1aE\xdf\xa3": "a video (Matroska)",
    b"qoif": "a QOI image",
    b"\x76\x2f\x31\x01": "an OpenEXR image",
    b"#?RADIANCE": "a Radiance image",
    b"SIMPLE  =": "a FITS image",
}

BEGINNING = 4096
"""How many bytes say what a text is: comments and a DOCTYPE may come before its first element."""

HTML_TAGS = b"html head body title script meta style link base center div span main h1 p a b i br form img table iframe"
HTML = re.compile(rb"<(?:!doctype\s+html|%s)\b" % HTML_TAGS.replace(b" ", b"|"), re.IGNORECASE)
HTML_ROOT = re.compile(rb"<(?:!doctype\s+html|html)\b", re.IGNORECASE)
SVG_ROOT = re.compile(rb"<(?:\w{1,20}:)?svg[\s>]", re.IGNORECASE)
JSON = re.compile(rb"\{\s*[\"}]|\[\s*(?:[\"\[{\]\d-]|true\b|false\b|null\b)")


def media_type(data: bytes) -> str | None:
    """The media type of an image by its first bytes; None if it is not of a supported format."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if brands := _brands(data):
        return _heif(data, brands)
    found = next((each for signature, each in SIGNATURES.items() if data.startswith(signature)), None)
    if found == "image/bmp" and int.from_bytes(data[14:18], "little") not in BMP_HEADERS:
        return None
    return found


def description(data: bytes) -> str | None:
    """What bytes of no supported format are, with an article ("an HTML page"); None where that is not known."""
    if brands := _brands(data):
        if brands & HEIF_BRANDS and not _heif(data, brands):
            return "a HEIF image that is neither AVIF nor HEIC"
        return None if _heif(data, brands) else BOX_FILES.get(data[8:12], "a video (MP4)")
    known = next((name for signature, name in OTHERS.items() if data.startswith(signature)), None)
    return known or _text(data[:BEGINNING])


def not_an_image(data: bytes) -> str:
    """The sentence that refuses bytes of no supported format."""
    if not data:
        return "The image is empty; send its bytes."
    found = description(data)
    what = f"This is {found}, which is not read" if found else "This is no image that is read"
    return f"{what}, whatever its name says; convert it to one of these: {READ}."


def _brands(data: bytes) -> frozenset[bytes]:
    """The brands of an ISO base media file (ISO/IEC 14496-12, `ftyp`): its own and those it is compatible with."""
    if data[4:8] != b"ftyp":
        return frozenset()
    end = min(int.from_bytes(data[:4], "big"), BEGINNING)
    return frozenset([data[8:12], *(data[at : at + 4] for at in range(16, end, 4))])


def _heif(data: bytes, brands: frozenset[bytes]) -> str | None:
    if brands & AVIF_BRANDS:
        return "image/avif"
    if brands & HEIC_BRANDS:
        return "image/heic"
    coding = CODING.search(data[:BEGINNING]) if brands & HEIF_BRANDS else None
    return {b"av01": "image/avif", b"hvc1": "image/heic"}[coding[1]] if coding else None


def _text(beginning: bytes) -> str | None:
    if beginning.startswith((b"\xff\xfe", b"\xfe\xff")):
        beginning = beginning.decode("utf-16", "replace").encode()
    text = beginning.removeprefix(b"\xef\xbb\xbf").lstrip()
    if JSON.match(text):
        return "a JSON document"
    if not re.match(rb"<[?!a-z_]", text, re.IGNORECASE):
        return None
    roots = (("an HTML page", HTML_ROOT.search(text)), ("an SVG drawing", SVG_ROOT.search(text)))
    # The first of them: each may hold the other.
    found = min(((match.start(), name) for name, match in roots if match), default=None)
    if found:
        return "an HTML page" if HTML.match(text) else found[1]
    return "an HTML page" if HTML.match(text) or text.startswith(b"<!--") else "an XML document"
