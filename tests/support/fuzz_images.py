"""Fuzzes what decodes images, guided by the coverage of Pillow's and our own Python: fuzz_images.py [OPTIONS] CORPUS

Options are libFuzzer's. It ends with another status than 0 where anything but pixels or an `ImageError` comes out, or
takes longer than `-timeout` or more memory than `-rss_limit_mb`, and leaves the file that did it.
"""

import sys

import atheris

with atheris.instrument_imports(include=["PIL", "services.images"]):
    from services.images.decoder import decode, thumbnail
from services.errors import ImageError
from services.images.limits import Limits

# A million pixels: what larger ones cost is another test, and here it would be all that is done.
LIMITS = Limits(max_bytes=25_000_000, max_pixels=1_000_000)


def one(data: bytes) -> None:
    for make in (lambda: decode(data, 9, "bicubic", LIMITS).shape == (9, 9, 3), lambda: bool(thumbnail(data, LIMITS))):
        try:
            assert make()
        except ImageError as error:
            assert error.code.startswith("image_") and str(error)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
