"""Pictures as people have them: whatever does not touch pixels does not cost the picture, and cut ones are told.

The files of tests/cases were made for this project after public reports: png/ok.png and jpeg/ok.jpg are the picture
without an oddity, each other file is the same picture with the one that it is named for.
"""

import struct
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import pyvips
import tifffile
from harness import answer, serving
from image_files import photo, plain, saved, srgb_with_red_and_green_swapped
from PIL import Image

from services.errors import ImageCorrupt, ImageError, ImageTooManyPixels, ImageUnsupported
from services.images import jpeg, png
from services.images.decoder import decode
from services.images.limits import Limits
from services.outbound.fetcher import Fetcher
from services.records import Pixels

CASES = Path(__file__).parents[2] / "cases"
LIMITS = Limits(max_bytes=25_000_000, max_pixels=50_000_000)
HUGE = zlib.compress(bytes(3 << 20), 9)


def seen(data: bytes) -> Pixels:
    return decode(data, 299, "nearest", LIMITS)


def named(folder: str) -> list[Path]:
    return sorted(path for path in (CASES / folder).iterdir() if path.stem != "ok")


def chunk(kind: bytes, body: bytes, crc: int | None = None) -> bytes:
    right = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", right if crc is None else crc)


def after_header(data: bytes, *chunks: bytes) -> bytes:
    """A PNG with these chunks after its header."""
    return data[:33] + b"".join(chunks) + data[33:]


def before_end(data: bytes, *chunks: bytes) -> bytes:
    return data[:-12] + b"".join(chunks) + data[-12:]


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def after_start(data: bytes, *segments: bytes) -> bytes:
    return data[:2] + b"".join(segments) + data[2:]


def without_jfif(data: bytes) -> bytes:
    assert data[2:4] == b"\xff\xe0"
    return data[:2] + data[4 + int.from_bytes(data[4:6], "big") :]


# The files that people had


@pytest.mark.parametrize("path", named("png"), ids=lambda path: path.name)
def test_a_png_as_people_have_it_is_the_picture(path: Path) -> None:
    np.testing.assert_array_equal(seen(path.read_bytes()), seen((CASES / "png/ok.png").read_bytes()))


@pytest.mark.parametrize("path", named("jpeg"), ids=lambda path: path.name)
def test_a_jpeg_as_people_have_it_is_the_picture(path: Path) -> None:
    np.testing.assert_array_equal(seen(path.read_bytes()), seen((CASES / "jpeg/ok.jpg").read_bytes()))


# AVIF loses something, here less than JPEG does.
@pytest.mark.parametrize(("path", "most"), [*((each, 1) for each in named("tiff")), (CASES / "avif/avif.avif", 3)])
def test_a_tiff_and_an_avif_as_people_have_them_are_the_picture(path: Path, most: float) -> None:
    difference = seen(path.read_bytes()).astype(int) - seen((CASES / "png/ok.png").read_bytes())
    assert np.abs(difference).mean() <= most


# Metadata


def odd_chunks() -> Iterator[tuple[str, bytes]]:
    """Chunks that do not touch pixels: short, long, empty, repeated, with a wrong checksum, unpacking to much."""
    profile = b"p\0\0" + zlib.compress(srgb_with_red_and_green_swapped())
    sound = {
        b"gAMA": struct.pack(">I", 45455), b"pHYs": bytes(9), b"cHRM": bytes(32), b"sRGB": b"\0", b"cmOD": b"x",
        b"bKGD": bytes(6), b"sBIT": b"\x08\x08\x08", b"tIME": bytes(7), b"hIST": bytes(2), b"sPLT": b"s\0\x08",
        b"acTL": struct.pack(">II", 2, 0), b"fcTL": struct.pack(">IIIIIHHBB", 0, 61, 43, 0, 0, 1, 10, 0, 0),
        b"fdAT": bytes(9), b"tEXt": b"k\0v", b"zTXt": b"k\0\0" + zlib.compress(b"v"),
        b"iTXt": b"k\0\0\0\0\0v", b"eXIf": b"II*\0\x08\0\0\0\0\0", b"cICP": b"\x01\x0d\0\x01", b"teSt": b"own",
    }  # fmt: skip
    for kind, body in sound.items():
        name = kind.decode()
        yield f"{name} empty", chunk(kind, b"")
        yield f"{name} short", chunk(kind, body[:-1])
        yield f"{name} long", chunk(kind, body + b"\0\0")
        yield f"{name} of 0xff", chunk(kind, b"\xff" * len(body))
        yield f"{name} twice", chunk(kind, body) * 2
        yield f"{name} with a wrong checksum", chunk(kind, body, 1)
    for kind, body in (
        (b"zTXt", b"k\0\0" + HUGE),
        (b"iTXt", b"k\0\1\0\0\0" + HUGE),
        (b"tEXt", b"k\0" + bytes(2 << 20)),
    ):
        yield f"{kind.decode()} of megabytes", chunk(kind, body)
    yield "iCCP with a wrong checksum", chunk(b"iCCP", profile, 1)
    yield "iCCP cut", chunk(b"iCCP", profile[:-20])
    yield "iCCP of no packed data", chunk(b"iCCP", b"p\0\0not packed")
    yield "iCCP without a name's end", chunk(b"iCCP", b"p" * 90)
    yield "iCCP that unpacks to 9 MB", chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(9_000_000)))
    for length in (0, 1, 2, 5, 7, 256):
        yield f"tRNS of {length} bytes", chunk(b"tRNS", bytes(length))


ODD_CHUNKS = dict(odd_chunks())


@pytest.mark.parametrize("name", ODD_CHUNKS)
def test_a_chunk_that_does_not_touch_pixels_does_not_cost_them(name: str) -> None:
    sound = saved(photo(), "PNG")
    for data in (after_header(sound, ODD_CHUNKS[name]), before_end(sound, ODD_CHUNKS[name])):
        np.testing.assert_array_equal(seen(data), seen(sound))


def test_a_chunk_between_two_of_pixels_does_not_cost_them() -> None:
    sound = saved(photo(), "PNG")
    at = sound.index(b"IDAT")
    length = int.from_bytes(sound[at - 4 : at], "big")
    body = sound[at + 4 : at + 4 + length]
    parts = [chunk(b"IDAT", body[:700]), chunk(b"tEXt", b"\xff"), chunk(b"IDAT", b""), chunk(b"IDAT", body[700:])]
    np.testing.assert_array_equal(seen(sound[: at - 4] + b"".join(parts) + sound[at + 8 + length :]), seen(sound))


def test_a_sound_profile_counts_also_one_of_more_than_a_megabyte() -> None:
    swapped = srgb_with_red_and_green_swapped()
    padded = struct.pack(">I", 2 << 20) + swapped[4:].ljust((2 << 20) - 4, b"\0")
    for profile in (swapped, padded):
        packed = chunk(b"iCCP", b"p\0\0" + zlib.compress(profile))
        red, green, _ = seen(after_header(saved(plain((255, 0, 0)), "PNG"), packed))[0, 0]
        assert (red, green) == (0, 255)


def test_the_first_of_two_profiles_and_transparencies_counts() -> None:
    first = chunk(b"iCCP", b"p\0\0" + zlib.compress(srgb_with_red_and_green_swapped()))
    second = chunk(b"iCCP", b"p\0\0" + zlib.compress(b"no profile"))
    assert seen(after_header(saved(plain((255, 0, 0)), "PNG"), first, second))[0, 0, 1] == 255
    clear, other = chunk(b"tRNS", struct.pack(">3H", 1, 2, 3)), chunk(b"tRNS", struct.pack(">3H", 7, 7, 7))
    assert tuple(seen(after_header(saved(plain((1, 2, 3)), "PNG"), clear, other))[0, 0]) == (255, 255, 255)


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("clear", [0, 1])
def test_the_transparent_gray_is_the_one_stored_at_any_depth(depth: int, clear: int) -> None:
    stored = [0, 1]
    bits = "".join(f"{value:0{depth}b}" for value in stored).ljust(8, "0")
    row = int(bits, 2).to_bytes(len(bits) // 8, "big")
    header = struct.pack(">IIBBBBB", 2, 1, depth, 0, 0, 0, 0)
    data = png.SIGNATURE + chunk(b"IHDR", header) + chunk(b"tRNS", struct.pack(">H", clear))
    data += chunk(b"IDAT", zlib.compress(b"\0" + row)) + chunk(b"IEND", b"")
    scale = 255 / ((1 << depth) - 1)
    expected = [255 if value == clear else int(value * scale) for value in stored]
    assert decode(data, 2, "nearest", LIMITS)[0, :, 0].tolist() == expected


def test_of_colors_with_16_bits_only_the_transparent_one_is_clear() -> None:
    pixels = np.array([[[2570, 2570, 2570], [2571, 2570, 2570]]], ">u2")
    header = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    data = png.SIGNATURE + chunk(b"IHDR", header) + chunk(b"tRNS", struct.pack(">3H", 2570, 2570, 2570))
    data += chunk(b"IDAT", zlib.compress(b"\0" + pixels.tobytes())) + chunk(b"IEND", b"")
    assert decode(data, 2, "nearest", LIMITS)[0].tolist() == [[255, 255, 255], [10, 10, 10]]


@pytest.mark.parametrize("kind", [b"IHDR", b"PLTE", b"IDAT"])
def test_a_critical_chunk_with_a_wrong_checksum_is_corrupt(kind: bytes) -> None:
    data = bytearray(saved(photo("P"), "PNG"))
    at = data.index(kind)
    data[at + 4 + int.from_bytes(data[at - 4 : at], "big")] ^= 1
    with pytest.raises(ImageCorrupt, match=rf"the checksum of its chunk {kind.decode()} is wrong"):
        seen(bytes(data))


def test_a_bit_that_flipped_in_the_pixels_is_corrupt() -> None:
    """Many of these decode, to a wrong picture: nothing but the checksum tells."""
    sound = saved(photo(), "PNG")
    at = sound.index(b"IDAT") + 4
    for offset in range(at, len(sound) - 12, 97):
        data = bytearray(sound)
        data[offset] ^= 0x10
        with pytest.raises(ImageCorrupt):
            seen(bytes(data))


def test_a_critical_chunk_that_the_specification_does_not_have_is_unsupported_by_name() -> None:
    with pytest.raises(ImageUnsupported, match=r"a kind of its own \(CgBI\)"):
        seen(after_header(saved(photo(), "PNG"), chunk(b"CgBI", bytes(4))))


def odd_segments() -> Iterator[tuple[str, list[bytes]]]:
    jfif, adobe, photoshop = (
        b"JFIF\0\1\1\0\0\1\0\1\0\0",
        b"Adobe\0\x64\0\0\0\0\1",
        b"Photoshop 3.0\x008BIM\4\4\0\0\0\0\0\2",
    )
    for marker, body in ((0xE0, jfif), (0xEE, adobe), (0xED, photoshop)):
        for length in range(0, len(body), 3):
            yield f"APP{marker - 0xE0} of {length} bytes", [segment(marker, body[:length])]
    yield "JFXX of 5 bytes", [segment(0xE0, b"JFXX\0")]
    yield "APP13 whose length lies", [segment(0xED, b"Photoshop 3.0\x008BIM\4\4\0\0\x7f\xff\xff\xff")]
    yield "APP14 of others", [segment(0xEE, b"Ducky\0\1\0\4")]
    yield "100 APP13", [segment(0xED, photoshop)] * 100
    yield "MPF", [segment(0xE2, b"MPF\0II*\0\x08\0\0\0\xff\xff")]
    yield "part of a profile", [segment(0xE2, b"ICC_PROFILE\0\1\2" + srgb_with_red_and_green_swapped()[:300])]
    yield "profile without a number", [segment(0xE2, b"ICC_PROFILE\0")]
    yield "EXIF of 6 bytes", [segment(0xE1, b"Exif\0\0")]
    yield "EXIF without an end", [segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\1")]
    yield "EXIF that is no TIFF", [segment(0xE1, b"Exif\0\0" + b"\xff" * 99)]
    yield "XMP", [segment(0xE1, b'http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation="6"/>')]
    yield "comments", [segment(0xFE, b""), segment(0xFE, b"\xff" * 60_000)]
    yield "APP1 to APP15 of nothing", [segment(marker, b"") for marker in range(0xE1, 0xF0)]
    yield "fill bytes", [b"\xff\xff\xff" + segment(0xE5, b"x")]


ODD_SEGMENTS = dict(odd_segments())


@pytest.mark.parametrize("name", ODD_SEGMENTS)
@pytest.mark.parametrize("has_jfif", [True, False])
def test_a_segment_that_does_not_touch_pixels_does_not_cost_them(name: str, has_jfif: bool) -> None:
    sound = saved(photo(), "JPEG") if has_jfif else without_jfif(saved(photo(), "JPEG"))
    np.testing.assert_array_equal(seen(after_start(sound, *ODD_SEGMENTS[name])), seen(saved(photo(), "JPEG")))


def test_what_is_said_of_colors_in_a_jpeg_is_kept() -> None:
    """The transform of APP14: the same numbers are RGB with 0, YCbCr with 1."""
    cmyk = saved(photo("CMYK"), "JPEG")
    assert b"Adobe" in cmyk and b"Adobe" in jpeg.reduced(cmyk)
    numbers = without_jfif(saved(photo(), "JPEG"))
    as_rgb = after_start(numbers, segment(0xEE, b"Adobe\0\x64\0\0\0\0\0"))
    as_ycc = after_start(numbers, segment(0xEE, b"Adobe\0\x64\0\0\0\0\1"))
    np.testing.assert_array_equal(seen(as_ycc), seen(numbers))
    assert np.abs(seen(as_rgb).astype(int) - seen(numbers)).mean() > 30


def test_only_exif_says_how_a_picture_is_turned() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="3"/></x:xmpmeta>'
    for format in ("JPEG", "WEBP", "TIFF", "AVIF"):
        turned = saved(photo(), format, exif=exif.tobytes(), xmp=xmp)
        np.testing.assert_array_equal(seen(turned), seen(saved(photo(), format, exif=exif.tobytes())))
        np.testing.assert_array_equal(seen(saved(photo(), format, xmp=xmp)), seen(saved(photo(), format)))


@pytest.mark.parametrize(("bits", "components"), [(12, 3), (8, 2), (8, 5)])
def test_a_jpeg_of_other_numbers_is_unsupported_not_corrupt(bits: int, components: int) -> None:
    data = bytearray(saved(photo(), "JPEG"))
    frame = data.index(b"\xff\xc0")
    data[frame + 4], data[frame + 9] = bits, components
    with pytest.raises(ImageUnsupported, match="save it"):
        seen(bytes(data))


# Cut files


WHOLE = {
    "JPEG": saved(photo(), "JPEG", quality=90),
    "JPEG, gray": saved(photo("L"), "JPEG"),
    "JPEG, progressive": saved(photo(), "JPEG", progressive=True, quality=90),
    "JPEG, with restarts": saved(photo(), "JPEG", restart_marker_rows=1),
    "JPEG, one color": saved(plain((9, 200, 100), size=(64, 64)), "JPEG"),
    "PNG": saved(photo(), "PNG"),
    "GIF": saved(photo(), "GIF"),
    "GIF, interlaced": saved(photo("P"), "GIF", interlace=1),
    "WebP": saved(photo(), "WEBP"),
    "WebP, lossless": saved(photo(), "WEBP", lossless=True),
    "BMP": saved(photo(), "BMP"),
    "TIFF": saved(photo(), "TIFF"),
    "TIFF, LZW": saved(photo(), "TIFF", compression="tiff_lzw"),
    "AVIF": saved(photo(), "AVIF"),
}


def spare(name: str, data: bytes) -> int:
    """How many bytes at the end say nothing of pixels."""
    match name.partition(",")[0]:
        case "JPEG":  # The end marker.
            return 2
        case "GIF":  # The trailer, and the end of the blocks.
            return 2
        case "PNG":  # IEND, the checksums of IDAT and of zlib's data, and what ends that.
            start = data.index(b"IDAT") + 4
            pixels = len(zlib.decompress(data[start:-16]))
            needed = next(n for n in range(len(data)) if len(unpacked(data[start : start + n])) == pixels)
            return len(data) - start - needed
    # One that fills up an odd number.
    return {"WebP, lossless": 1, "BMP": 1}.get(name, 0)


def unpacked(data: bytes) -> bytes:
    return zlib.decompressobj().decompress(data)


@pytest.mark.parametrize("name", WHOLE)
def test_a_file_is_whole_as_long_as_its_pixels_are_all_there_and_corrupt_one_byte_earlier(name: str) -> None:
    data = WHOLE[name]
    last = spare(name, data)
    for cut in range(1, last + 1):
        np.testing.assert_array_equal(seen(data[:-cut]), seen(data))
    for cut in range(last + 1, last + 40):
        with pytest.raises(ImageCorrupt):
            seen(data[:-cut])


def test_a_progressive_jpeg_without_its_last_scans_is_corrupt() -> None:
    data = saved(photo(), "JPEG", progressive=True)
    scans = [at for at in range(len(data)) if data[at : at + 2] == b"\xff\xda"]
    assert len(scans) >= 8
    for at in scans[1:]:
        # Before the scan, and before the table that it comes with.
        for end in (at, data.rfind(b"\xff\xc4", 0, at)):
            with pytest.raises(ImageCorrupt):
                seen(data[:end])


def test_what_follows_the_picture_in_a_webp_may_be_cut() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = saved(photo(), "WEBP", lossless=True, exif=exif.tobytes(), xmp=b"x" * 100)
    assert data.index(b"VP8L") < data.index(b"EXIF") < data.index(b"XMP ")
    for end in range(data.index(b"XMP "), len(data)):
        np.testing.assert_array_equal(seen(data[:end]), seen(data))
    np.testing.assert_array_equal(seen(data[: data.index(b"EXIF")]), seen(saved(photo(), "WEBP", lossless=True)))


def test_of_an_animation_only_the_first_picture_has_to_be_there() -> None:
    others = [photo("L").convert("RGB"), plain((9, 9, 9), size=(61, 43))]
    for format, options in (("WEBP", {"lossless": True}), ("GIF", {}), ("PNG", {})):
        data = saved(photo(), format, save_all=True, append_images=others, **options)
        np.testing.assert_array_equal(seen(data[:-60]), seen(data))


@pytest.mark.parametrize("format", ["AVIF", "WEBP"])
def test_a_host_that_chooses_by_accept_sends_what_is_read_whatever_the_name_says(format: str) -> None:
    modern, plain_old = saved(photo(), format), saved(photo(), "JPEG")

    def choose(handler: BaseHTTPRequestHandler) -> None:
        is_read = f"image/{format.lower()}" in (handler.headers["Accept"] or "")
        answer(modern if is_read else plain_old)(handler)

    with serving() as host, closing(Fetcher(max_bytes=LIMITS.max_bytes, allow="127.0.0.1")) as fetcher:
        host.answers["/shoe.jpg"] = choose
        fetched = fetcher.fetch(f"{host.url}/shoe.jpg")
    assert fetched == modern
    np.testing.assert_array_equal(seen(fetched), seen(modern))


# What decodes without an error, to another picture


@pytest.mark.parametrize("mode", ["RGB", "P", "L", "RGBA", "1"])
@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("rows", [0, 1, 21, 42])
def test_a_png_whose_data_ends_properly_after_fewer_rows_is_corrupt(mode: str, interlaced: bool, rows: int) -> None:
    data = own_png(mode, interlaced)
    raw = zlib.decompress(png.reduced(data).pixels)
    fewer = raw[: len(raw) * rows // 43]
    with pytest.raises(ImageCorrupt):
        seen(data[: data.index(b"IDAT") - 4] + chunk(b"IDAT", zlib.compress(fewer)) + chunk(b"IEND", b""))


@pytest.mark.parametrize("mode", ["RGB", "P", "L", "RGBA", "1"])
@pytest.mark.parametrize("interlaced", [False, True])
def test_a_png_that_ends_in_black_is_whole(mode: str, interlaced: bool) -> None:
    data = own_png(mode, interlaced, black=12)
    np.testing.assert_array_equal(seen(data), seen(data[:-12]))
    assert (seen(data)[-60:] == (255 if mode == "RGBA" else 0)).all()


def own_png(mode: str, interlaced: bool, black: int = 0) -> bytes:
    """A PNG by OpenCV or libvips (Pillow writes no interlaced one), the last rows of nothing but zeros."""
    image = photo("RGB").convert(mode) if mode != "RGBA" else photo("RGBA")
    if black:
        image.paste(0 if mode in ("L", "P", "1") else (0,) * len(image.mode), (0, 43 - black, 61, 43))
    pixels = np.asarray(image.convert("L") if mode in ("P", "1") else image)
    bits = {"1": 1, "P": 4}.get(mode, 8)
    vips = pyvips.Image.new_from_array(pixels)
    return bytes(vips.pngsave_buffer(interlace=interlaced, bitdepth=bits, palette=mode == "P", keep="none"))


# Of a progressive one that was cut within its last scan nothing but fine detail is missing, and nothing tells.
@pytest.mark.parametrize(
    ("options", "share"),
    [
        *(({}, share) for share in (0.4, 0.7, 0.9)),
        *(({"restart_marker_rows": 1}, share) for share in (0.4, 0.7, 0.9)),
        *(({"progressive": True}, share) for share in (0.2, 0.3)),
    ],
)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_that_was_cut_and_given_an_end_marker_is_corrupt(
    mode: str, share: float, options: dict[str, object]
) -> None:
    data = saved(photo(mode, 160, 120), "JPEG", quality=90, **options)
    with pytest.raises(ImageCorrupt, match="lacks"):
        seen(data[: int(len(data) * share)].rstrip(b"\xff") + jpeg.END)


def test_a_jpeg_that_ends_in_the_middle_gray_is_whole() -> None:
    for mode, color in (("RGB", (128, 128, 128)), ("L", 128), ("CMYK", (127, 127, 127, 127))):
        data = saved(plain(color, mode, (64, 64)), "JPEG", quality=100)
        np.testing.assert_array_equal(seen(data), seen(data[:-2]))


@pytest.mark.parametrize("type_", [6, 8, 9, 13])
@pytest.mark.parametrize("tag", [256, 258, 277, 284])
def test_a_tiff_tag_of_a_type_that_libraries_read_differently_is_corrupt(tag: int, type_: int) -> None:
    with pytest.raises(ImageCorrupt, match=rf"the TIFF's tag {tag} is of no type that it may have"):
        seen(with_tag(tag, lambda entry: entry[:2] + struct.pack("<H", type_) + entry[4:]))


@pytest.mark.parametrize("first", [1, 2])
def test_a_tiff_tag_that_is_there_twice_is_corrupt(first: int) -> None:
    """Some libraries go by the first and some by the last."""
    double = struct.pack("<HHIHH", 284, 3, 1, first, 0)
    with pytest.raises(ImageCorrupt, match="tag 284 is there twice"):
        # In place of the one before it, which has no part in this: how rows are divided (278).
        seen(with_tag(278, lambda _: double))


def with_tag(tag: int, change: Callable[[bytes], bytes]) -> bytes:
    """A TIFF of 16 bits with planes apart, the entry of a tag changed."""
    out = BytesIO()
    pixels = np.moveaxis(np.asarray(photo()), -1, 0).astype(np.uint16) * 257
    types = {"photometric": "rgb", "planarconfig": "separate", "metadata": None, "software": False}
    tifffile.imwrite(out, pixels, rowsperstrip=43, **types)
    data = out.getvalue()
    assert np.abs(seen(data).astype(int) - seen(saved(photo(), "PNG"))).mean() <= 1
    return with_entry(data, tag, change)


def with_entry(data: bytes, tag: int, change: Callable[[bytes], bytes]) -> bytes:
    start = int.from_bytes(data[4:8], "little") + 2
    at = next(at for at in range(start, len(data), 12) if int.from_bytes(data[at : at + 2], "little") == tag)
    return data[:at] + change(data[at : at + 12]) + data[at + 12 :]


def test_inks_that_are_said_not_to_be_cmyk_are_unsupported() -> None:
    out = BytesIO()
    tifffile.imwrite(out, np.asarray(photo("CMYK")), photometric="separated", extratags=[(332, 3, 1, 2, True)])
    with pytest.raises(ImageUnsupported, match=r"4 channels of 8 bits \(inks\)"):
        seen(out.getvalue())


def test_a_tile_larger_than_the_limit_is_refused_however_small_the_picture() -> None:
    out = BytesIO()
    tifffile.imwrite(out, np.asarray(photo()), photometric="rgb", tile=(16, 16), metadata=None, software=False)
    data = out.getvalue()
    assert np.abs(seen(data).astype(int) - seen(saved(photo(), "PNG"))).mean() <= 1
    for tag in (322, 323):
        data = with_entry(data, tag, lambda entry: entry[:2] + struct.pack("<HII", 4, 1, 65_536))
    with pytest.raises(ImageTooManyPixels, match="65,536 x 65,536"):
        seen(data)


# Rare kinds that are called what they are


@pytest.mark.parametrize("brand", [b"miaf", b"MA1B", b"avio", b"mif1"])
def test_an_avif_is_read_by_whichever_of_its_brands_stands_first(brand: bytes) -> None:
    data = saved(photo(), "AVIF")
    np.testing.assert_array_equal(seen(data[:8] + brand + data[12:]), seen(data))


@pytest.mark.parametrize("marker", [0xC5, 0xC6, 0xF7])
def test_a_rare_kind_of_jpeg_is_unsupported_by_name(marker: int) -> None:
    data = bytearray(saved(photo(), "JPEG"))
    data[data.index(b"\xff\xc0") + 1] = marker
    with pytest.raises(ImageUnsupported, match="of a rare kind"):
        seen(bytes(data))


@pytest.mark.parametrize(("bits", "packing"), [(2, 0), (64, 0), (24, 4), (24, 5), (32, 11)])
def test_a_rare_kind_of_bmp_is_unsupported_by_name(bits: int, packing: int) -> None:
    data = bytearray(saved(photo(), "BMP"))
    data[28:34] = struct.pack("<HI", bits, packing)
    with pytest.raises(ImageUnsupported, match=f"The BMP has {bits} bits a pixel and compression {packing};"):
        seen(bytes(data))


def test_bytes_between_the_segments_of_a_jpeg_are_skipped_as_in_libjpeg() -> None:
    sound = without_jfif(saved(photo(), "JPEG"))
    between = after_start(sound, segment(0xEE, b"Adobe"), b"junk\xff\xff", segment(0xE5, b"x"), b"more")
    np.testing.assert_array_equal(seen(between), seen(sound))
    np.testing.assert_array_equal(seen(between[:-2]), seen(sound))


# Much of what takes time


FLOODS = {
    "PNG, profiles too large": lambda: after_header(
        saved(photo(), "PNG"), chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(9_000_000), 9)) * 2_400
    ),
    "PNG, chunks": lambda: after_header(saved(photo(), "PNG"), chunk(b"IDAT", b"") * 1_000_000),
    "JPEG, segments": lambda: after_start(saved(photo(), "JPEG"), segment(0xFE, b"") * 2_000_000),
    "JPEG, fill bytes": lambda: after_start(saved(photo(), "JPEG"), b"\xff" * 20_000_000),
    "JPEG, scans": lambda: many_scans(1_000_000),
    "JPEG, scans of many components": lambda: many_scans(3_000, bytes(range(255))),
}


def many_scans(count: int, components: bytes = b"\1") -> bytes:
    data = saved(photo(), "JPEG", progressive=True)
    at = data.index(b"\xff\xda")
    body = bytes([len(components)]) + b"".join(bytes([each, 0]) for each in components) + b"\1\5\0"
    return data[:at] + segment(0xDA, body) * count + data[at:]


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_of_parts_ends_long_before_the_time_is_over(name: str) -> None:
    """In processor time, of which the limit allows ten seconds; reading the parts one by one would take more."""
    data = FLOODS[name]()
    began = time.process_time()
    with suppress(ImageError):
        seen(data)
    assert time.process_time() - began < 5


def test_no_byte_of_the_structure_makes_another_picture() -> None:
    """Whatever of the first bytes is damaged, the picture is refused or as it was, where a format has checksums."""
    sound = after_header(saved(photo(), "PNG"), ODD_CHUNKS["pHYs twice"], chunk(b"tEXt", b"k\0v"))
    expected = seen(sound)
    for at in range(8, sound.index(b"IDAT") + 40):
        damaged = bytearray(sound)
        damaged[at] ^= 0x21
        try:
            np.testing.assert_array_equal(seen(bytes(damaged)), expected)
        except ImageError:
            continue
