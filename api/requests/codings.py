"""Content codings of bodies: gzip and zstd, decoded as a stream of bounded memory."""

import zlib
from collections.abc import Callable, Mapping
from typing import Protocol

from backports import zstd

from api.errors import Malformed, MediaTypeUnsupported

MAX_MEMBERS = 100_000
"""Members of gzip or frames of zstd in one body: an empty frame takes 8 bytes to send and 10 microseconds to begin."""

_WINDOW_LOG = 23
"""8 MB, the largest window that the content coding zstd may use (RFC 9659)."""


class Member(Protocol):
    """The decoder of one member of gzip, or frame of zstd."""

    @property
    def eof(self) -> bool:
        """Whether its end was reached."""

    @property
    def needs_input(self) -> bool:
        """False while more can come out of what it was given already."""

    @property
    def unused_data(self) -> bytes:
        """What it was given beyond its end."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """The next bytes, none where it needs more input. Raises `zlib.error`, `zstd.ZstdError`."""


class Decoded:
    """The bytes of a body without its content coding.

    Members or frames that follow each other are read as one. It holds as many bytes of input, and of output, as one
    `read` asks for, and the window of the decoder.

    Args:
        coding: The name of the content coding.
        begin: Makes the decoder of a member.
        read: The next bytes of the body as it was sent, at most so many; none at the end.
    """

    def __init__(self, coding: str, begin: Callable[[], Member], read: Callable[[int], bytes]) -> None:
        self._coding = coding
        self._begin = begin
        self._read = read
        self._member = begin()
        self._begun = 1

    def read(self, size: int) -> bytes:
        """The next bytes, at most so many; none at the end.

        Raises:
            Malformed: The body breaks off, or is not of this coding.
        """
        while True:
            data = b""
            if self._member.eof:
                if not (data := self._member.unused_data or self._read(size)):
                    return b""
                self._next()
            elif self._member.needs_input and not (data := self._read(size)):
                raise Malformed(
                    f"The body broke off before the end of its {self._coding} data; send the request again.", "body"
                )
            try:
                decoded = self._member.decompress(data, size)
            except (zlib.error, zstd.ZstdError) as error:
                raise self._refused(error) from error
            if decoded:
                return decoded

    def _next(self) -> None:
        self._begun += 1
        if self._begun > MAX_MEMBERS:
            raise Malformed(
                f"The body has more than {MAX_MEMBERS:,} {self._coding} streams in a row; compress it as one.", "body"
            )
        self._member = self._begin()

    def _refused(self, error: Exception) -> Malformed:
        if "too much memory" in str(error):
            why = "needs a window of more than 8 MB; compress it with a level up to 19, without --ultra and --long"
        else:
            place = f" after stream {self._begun - 1} of it" if self._begun > 1 else ""
            why = f"is damaged or something else{place} ({error}); compress it again, or send it without this header"
        return Malformed(f"The body has Content-Encoding {self._coding} and {why}.", "body")


class _GzipMember:
    """`Member` by zlib, which does not tell whether it needs input."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        decoded = self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)
        self.needs_input = not self.eof and not self._zlib.unconsumed_tail and len(decoded) < max_length
        return decoded


def _zstd_frame() -> Member:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG})


DECODERS: Mapping[str, Callable[[], Member]] = {"gzip": _GzipMember, "zstd": _zstd_frame}
"""By content coding."""

_NAMES = {"x-gzip": "gzip"}
"""Other names of content codings (RFC 9110, section 8.4.1.3)."""


def reader(content_encoding: str, read: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """What reads a body without its content coding.

    Args:
        content_encoding: The header of that name, an empty string if there is none.
        read: Reads the body as it was sent.

    Raises:
        MediaTypeUnsupported: There is another content coding, or more than one.
    """
    names = [name.strip().lower() for name in content_encoding.split(",")]
    codings = [_NAMES.get(name, name) for name in names if name not in ("", "identity")]
    if not codings:
        return read
    if len(codings) > 1 or codings[0] not in DECODERS:
        takes = ", ".join(DECODERS)
        # RFC 9110, section 12.5.3: with it clients can tell this from a media type that is not taken.
        raise MediaTypeUnsupported(
            f"Content-Encoding {content_encoding[:40]!a} is not taken: send the body as it is, or compressed once by "
            f"one of {takes}.",
            "Content-Encoding",
            {"Accept-Encoding": takes},
        )
    return Decoded(codings[0], DECODERS[codings[0]], read).read
