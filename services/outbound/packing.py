"""Decompression of responses that are compressed although the request did not ask for it."""

import zlib

from services.errors import FetchFailed, FetchRefused, FetchTooLarge, FetchUnreachable

# Any other Content-Encoding (aws-chunked, none, utf-8) is a mistake of the server: the body is not compressed.
PACKINGS = frozenset({"gzip", "x-gzip", "deflate", "br", "zstd", "compress", "x-compress"})


def unpacked(data: bytes, encoding: str, max_bytes: int, what: str) -> bytes:
    """Decompresses the body of a response that was sent as gzip or deflate.

    Args:
        data: The body of the response.
        encoding: Its Content-Encoding.
        max_bytes: How many bytes it may have after decompression.
        what: What is fetched, for error messages.

    Returns:
        The decompressed bytes; `data` itself if it is not compressed.

    Raises:
        FetchRefused: It is compressed by an unsupported method.
        FetchFailed: The compressed data is damaged.
        FetchTooLarge: It is larger than `max_bytes`.
        FetchUnreachable: It is truncated.
    """
    packings = [coding for coding in map(str.strip, encoding.lower().split(",")) if coding in PACKINGS]
    if not packings or not data:
        return data
    unpacker = zlib.decompressobj(_window(data, packings, what))
    try:
        image = unpacker.decompress(data, max_bytes + 1)
    except zlib.error as error:
        raise FetchFailed(f"{what} comes packed and is damaged; try again later, or give another URL.") from error
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
    """The `wbits` argument of zlib for these encodings."""
    if packings in (["gzip"], ["x-gzip"]):
        return zlib.MAX_WBITS | 16
    if packings == ["deflate"]:
        # Some servers omit the zlib header, which has method 8 and a checksum that is a multiple of 31.
        has_header = data[0] & 15 == 8 and int.from_bytes(data[:2], "big") % 31 == 0
        return zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS
    raise FetchRefused(
        f"{what} comes packed ({', '.join(packings[:3])}) although it was asked for as it is; "
        "have its server heed Accept-Encoding, or give another URL."
    )
