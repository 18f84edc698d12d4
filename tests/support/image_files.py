"""Image files of every kind, sound ones and others, made here."""

import struct
import zlib
from collections.abc import Iterator
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")


def photo(mode: str = "RGB", width: int = 61, height: int = 43) -> Image.Image:
    """Something with edges, colors and noise; `A` is a gradient from clear to solid."""
    y, x = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(0).integers(0, 60, (height, width))
    rgb = np.stack([x * 255 // width, y * 255 // height, (x // 9 + y // 7) % 2 * 190 + noise], axis=2)
    image = Image.fromarray(rgb.astype(np.uint8))
    if mode == "LAB":
        return in_lab(image)
    if mode in ("RGBA", "LA"):
        image.putalpha(Image.fromarray((x * 255 // (width - 1)).astype(np.uint8)))
    return image.convert(mode)


def in_lab(image: Image.Image) -> Image.Image:
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    converted = ImageCms.profileToProfile(image, srgb, lab, outputMode="LAB")
    assert converted
    return converted


def saved(image: Image.Image, format: str, **options: object) -> bytes:
    out = BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def plain(color: object, mode: str = "RGB", size: tuple[int, int] = (8, 8)) -> Image.Image:
    return Image.new(mode, size, color)  # type: ignore[arg-type]


def png_of(width: int, height: int) -> bytes:
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes(100_000))),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def samples() -> Iterator[tuple[str, bytes]]:
    yield from ((format, saved(photo(), format)) for format in FORMATS)
    yield "PNG with a profile", saved(photo("RGBA"), "PNG", icc_profile=srgb_with_red_and_green_swapped())
    yield "JPEG, progressive, turned", saved(photo(), "JPEG", progressive=True, exif=b"Exif\0\0" + bytes(60))
    yield "CMYK JPEG", saved(photo("CMYK"), "JPEG", icc_profile=cmyk_whose_cyan_ink_is_red())
    yield "GIF, animated", saved(photo(), "GIF", save_all=True, append_images=[photo("L").convert("RGB")])
    yield "WebP, animated", saved(photo("RGBA"), "WEBP", save_all=True, append_images=[photo("RGB")])
    yield "TIFF, LZW", saved(photo(), "TIFF", compression="tiff_lzw")
    yield "TIFF, JPEG", saved(photo(), "TIFF", compression="jpeg")
    yield "TIFF, 16 bits", saved(plain(3000, "I;16"), "TIFF")


def srgb_with_red_and_green_swapped() -> bytes:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"????", 1).replace(b"gXYZ", b"rXYZ", 1).replace(b"????", b"gXYZ", 1)


def profile(space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    """A minimal ICC profile of version 2."""
    table, body, start = b"", b"", 132 + 12 * len(tags)
    for tag, content in tags.items():
        table += tag + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    head = struct.pack(">I4xI4s4s4s12x4s", start + len(body), 0x02400000, b"prtr", space, connection, b"acsp")
    head = head.ljust(68, b"\0") + struct.pack(">III", 0xF6D6, 0x10000, 0xD32D)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def gray_without_gamma() -> bytes:
    curve = b"curv" + bytes(4) + struct.pack(">I", 0)
    white = b"XYZ " + bytes(4) + struct.pack(">III", 0xF6D6, 0x10000, 0xD32D)
    return profile(b"GRAY", b"XYZ ", {b"kTRC": curve, b"wtpt": white})


def cmyk_whose_cyan_ink_is_red() -> bytes:
    identity = struct.pack(">9i", *(65536 * (n % 4 == 0) for n in range(9)))
    ramp = bytes(range(256))
    paper, red, black = bytes([255, 128, 128]), bytes([136, 208, 195]), bytes([0, 128, 128])
    inks = [(c, k) for c in (0, 1) for _ in range(4) for k in (0, 1)]
    grid = b"".join(black if k else red if c else paper for c, k in inks)
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + ramp * 4 + grid + ramp * 3
    return profile(b"CMYK", b"Lab ", {b"A2B0": table})
