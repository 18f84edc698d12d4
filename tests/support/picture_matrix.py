"""Pictures of every format that people index, in all colors, depths and states of metadata, by independent writers.

What is right comes from the array that a writer was given, never from a decoder.
"""

from collections.abc import Iterator

import matrix_avif
import matrix_bmp
import matrix_gif
import matrix_heif
import matrix_jpeg
import matrix_jpeg_segments
import matrix_png
import matrix_png_chunks
import matrix_tiff
import matrix_tiff_odd
import matrix_tiff_others
import matrix_webp
from matrix_case import Case


def cases() -> Iterator[Case]:
    """Every picture; none is made before its `make` is called."""
    for part in (
        matrix_png,
        matrix_png_chunks,
        matrix_jpeg,
        matrix_jpeg_segments,
        matrix_gif,
        matrix_webp,
        matrix_bmp,
        matrix_tiff,
        matrix_tiff_others,
        matrix_tiff_odd,
        matrix_avif,
        matrix_heif,
    ):
        yield from part.cases()
