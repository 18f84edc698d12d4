"""Answers that come packed, although they were asked for as they are."""

import zlib

from services.errors import FetchFailed, FetchRefused, FetchTooLarge, FetchUnreachable

# Anything else in Content-Encoding (aws-chunked, none, utf-8) is a mistake of the server and packs nothing.
PACKINGS = frozenset({"gzip", "x-gzip", "deflate", "br", "zstd", "compress", "x-compress"})


def unpacked(data: bytes, encoding: str, max_bytes: int, what: str) -> bytes:
    """The bytes of an answer without its gzip or deflate.

    Args:
        data: The body of the answer.
        encoding: Its Content-Encoding.
        max_bytes: How many bytes it may have when it is unpacked.
        what: What is fetched, for error messages.

    Raises:
        FetchRefused: It is packed in another way.
        FetchFailed: It is damaged.
        FetchTooLarge: It has more bytes.
        FetchUnreachable: It is cut off.
    """
    packings = [coding for coding in map(str.strip, encoding.lower().split(",")) if coding in PACKINGS]
    if not packings or not data:
        return data
    unpacker = zlib.decompressobj(_window(data, packings, what))
    try:
        image = unpacker.decompress(data, max_bytes + 1)
    except zlib.error as error:
        raise FetchFailed(f"{what} comes packed and is damaged; try again later.") from error
    if len(image) > max_bytes:
        raise too_large(what, max_bytes)
    if not unpacker.eof:
        raise FetchUnreachable(f"{what} broke off; try again later.")
    return image


def too_large(what: str, max_bytes: int) -> FetchTooLarge:
    """The error of an image with more bytes than are allowed."""
    return FetchTooLarge(
        f"{what} has more than the {max_bytes:,} bytes that are allowed; "
        "give a smaller image or raise LOOKALIKE_MAX_IMAGE_BYTES."
    )


def _window(data: bytes, packings: list[str], what: str) -> int:
    """What zlib takes as `wbits`."""
    if packings in (["gzip"], ["x-gzip"]):
        return zlib.MAX_WBITS | 16
    if packings == ["deflate"]:
        # Some servers leave out the header of zlib: its method is 8, its check a multiple of 31.
        has_header = data[0] & 15 == 8 and int.from_bytes(data[:2], "big") % 31 == 0
        return zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS
    raise FetchRefused(
        f"{what} comes packed ({', '.join(packings[:3])}) although it was asked for as it is; "
        "have its server heed Accept-Encoding."
    )
