"""Images that say they are large in few bytes."""

import struct

import matrix_heif
from image_files import photo, plain, png_of, saved


def bombs() -> dict[str, bytes]:
    side = 65_535
    screen = struct.pack("<HHBBB", side, side, 0x80, 0, 0) + bytes(6)
    gif = b"GIF89a" + screen + b"," + struct.pack("<HHHHB", 0, 0, side, side, 0) + b"\x02\x02\x4c\x01\0;"
    bmp = b"BM" + struct.pack("<IHHIIiiHHIIiiII", 1054, 0, 0, 54, 40, side, side, 1, 24, *[0] * 6) + bytes(1000)
    jpeg = bytearray(saved(photo(), "JPEG"))
    size = jpeg.index(b"\xff\xc0") + 5
    jpeg[size : size + 4] = struct.pack(">HH", side, side)
    tiff = saved(plain(0, "L", (258, 259)), "TIFF").replace(struct.pack("<H", 258) + b"\0\0", b"\xff\xff\0\0")
    frame = b"\x2f" + struct.pack("<I", 16382 | 16382 << 14) + bytes(50)
    webp = b"RIFF" + struct.pack("<I", 12 + len(frame)) + b"WEBPVP8L" + struct.pack("<I", len(frame)) + frame
    # Larger ones libavif takes for damaged.
    avif = with_size(saved(photo(), "AVIF"), 16_000)
    heic = with_size(next(case for case in matrix_heif.cases() if case.format == "HEIC").make(), side)
    images = {"PNG": png_of(side, side), "GIF": gif, "BMP": bmp, "JPEG": bytes(jpeg), "WEBP": webp, "TIFF": tiff}
    return images | {"AVIF": avif, "HEIC": heic}


def with_size(data: bytes, side: int) -> bytes:
    """An AVIF or HEIC that says it is a square of this side (`ispe`)."""
    at = data.index(b"ispe") + 8
    return data[:at] + struct.pack(">II", side, side) + data[at + 8 :]
