"""Every picture of the matrix is decoded to what its writer was given, or refused by name where browsers show none."""

from collections import Counter
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matrix_case import LOSSLESS, Case
from picture_matrix import cases
from PIL import Image

from services.encoders.keras.encoder import TensorFlowEncoder
from services.encoders.networks import network
from services.errors import ImageError, ImageUnsupported
from services.images.decoder import decode, size
from services.images.limits import Limits
from services.images.opening import upright

Array = np.ndarray[Any, Any]

# Pillow warns of broken metadata.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

LIMITS = Limits(max_bytes=25_000_000, max_pixels=50_000_000)
ALL = list(cases())
# Every ninth picture is in the tier of every day, the others are in the long one.
STEP = 9
SAMPLE = ALL[::STEP]

REFUSED = {
    "JPEG-LS and hierarchical JPEG": ["JPEG-LS-*"],
    "JPEG with other than 8 bits a channel, or other than 1, 3 or 4 channels": ["JPEG-12_bits-*"],
    "TIFF with other than 1, 2, 4, 8 or 16 bits a channel": [
        *(f"TIFF-{bits}_bits-*" for bits in (6, 10, 12, 14)),
        "TIFF-uint32-*",
    ],
    "TIFF with signed numbers or floating point": ["TIFF-int*", "TIFF-float*"],
    "TIFF with planes apart and gray beside other channels": ["TIFF-gray_*_planes-*"],
    "TIFF with planes apart in tiles, and 16 bits or other channels than RGB, RGBA and CMYK": [
        "TIFF-CMYK_16_bits_planes-*_tile_*",
        "TIFF-RGB_alpha_16_bits_planes-*_tile_*",
        "TIFF-*extra_*_planes-*_tile_*",
        "TIFF-*associated_alpha_*_planes-*_tile_*",
        "TIFF-CMYK_alpha_*_planes-*_tile_*",
    ],
    "TIFF with 4 bits a channel in RGB or CMYK": ["TIFF-RGB_4_bits-*", "TIFF-CMYK_4_bits-*"],
    "TIFF in YCbCr that keeps color once for several pixels, unless compressed as JPEG": ["TIFF-YCbCr_subsampled-*"],
    "TIFF in CIELab of 16 bits, in ICCLab, in 16-bit CMYK multiplied by alpha, in other inks, or of raw sensor data": [
        "TIFF-CIELab_16_bits-*",
        "TIFF-ICCLab_*",
        "TIFF-inks_that_are_not_CMYK-*",
        "TIFF-photometric-*",
    ],
    "TIFF with a compression other than CCITT, LZW, JPEG, deflate, PackBits, LZMA, Zstandard and WebP": [
        *(f"TIFF-{each}-RGB-*" for each in ("jpeg2000", "jpegxl", "lerc", "png")),
        "TIFF-unknown_compression-*",
    ],
    "TIFF compressed by LZMA or Zstandard, unless it is gray whose zero is black, RGB, RGBA or CMYK, and of 8 bits or "
    "with channels together": [
        "TIFF-zstd_*_16_bits_planes-*",
        "TIFF-zstd_CMYK_alpha_*",
        "TIFF-lzma_*_16_bits_planes-*",
        "TIFF-lzma_CMYK_alpha_*",
    ],
    "BigTIFF with the high byte first, unless it is gray, RGB or CMYK of 8 or 16 bits, and neither in tiles with "
    "planes apart nor compressed by LZMA or Zstandard": [
        "TIFF-[1g]*bit*->_big*",
        "TIFF-palette_*big-*",
    ],
}
"""What is refused, and only this: as docs/api.md says it, and patterns of the names of such pictures."""


def is_refused(case: Case) -> bool:
    return any(fnmatch(case.name, pattern) for patterns in REFUSED.values() for pattern in patterns)


def resized(pixels: Array, side: int) -> Array:
    return np.array(Image.fromarray(np.ascontiguousarray(pixels)).resize((side, side), Image.Resampling.NEAREST))


def difference(found: Array, right: Array) -> float:
    """The mean absolute difference, of 255."""
    return float(np.abs(found.astype(float) - right).mean())


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case.name, marks=() if number % STEP == 0 else pytest.mark.long)
        for number, case in enumerate(ALL)
    ],
)
def test_a_picture_is_decoded_to_what_its_writer_was_given_or_refused_by_name(case: Case) -> None:
    side = max(case.expected().shape)
    if is_refused(case):
        with pytest.raises(ImageUnsupported, match=r"\w+ .*\.$"):
            decode(case.make(), side, "nearest", LIMITS)
        return
    assert difference(decode(case.make(), side, "nearest", LIMITS), resized(case.expected(), side)) <= case.loss


def decoded_and_right(case: Case, side: int) -> tuple[Array, Array]:
    """The pixels of the decoder under test; beside them those of the source, or of an independent decoder."""
    data = case.make()
    right = case.expected() if case.reference is None else case.reference(data)
    return decode(data, side, "nearest", LIMITS), resized(right, side)


@pytest.mark.long
def test_embeddings_of_what_is_decoded_are_those_of_what_is_right(scale: Callable[[int, int], int]) -> None:
    """Of a lossy picture, right is what an independent decoder gives: the network sees what quality 95 has lost.

    All that are decoded in full, of each format and kind every fifth otherwise.
    """
    encoder = TensorFlowEncoder(network("efficientnet_lite0"), "imagenet", precision="float32")
    shown, wrong = [case for case in ALL if not is_refused(case)][:: scale(1, 5)], {}
    for start in range(0, len(shown), 64):
        some = shown[start : start + 64]
        pixels = [decoded_and_right(case, encoder.size) for case in some]
        found, right = (encoder.encode(np.stack(each)) for each in zip(*pixels, strict=True))
        cosines = (found * right).sum(axis=1) / np.linalg.norm(found, axis=1) / np.linalg.norm(right, axis=1)
        wrong |= {case.name: float(cosine) for case, cosine in zip(some, cosines, strict=True) if cosine < 0.999}
    assert wrong == {}


def test_the_matrix_has_hundreds_of_pictures_of_all_formats_by_independent_writers() -> None:
    counts = Counter(case.format for case in ALL)
    assert counts.keys() == {"JPEG", "PNG", "WebP", "GIF", "BMP", "TIFF", "AVIF", "HEIC"}
    assert min(counts.values()) >= 40
    assert counts.total() >= 400
    assert len({case.name for case in ALL}) == counts.total()
    assert {case.writer for case in ALL} == {"Pillow", "tifffile", "OpenCV", "imagecodecs", "libvips", "own"}
    assert {case.format for case in SAMPLE} == counts.keys()


def test_pictures_of_the_matrix_differ() -> None:
    assert len({case.make() for case in SAMPLE}) == len({case.expected().tobytes() for case in SAMPLE}) == len(SAMPLE)


def test_only_what_browsers_do_not_show_is_refused_and_every_refusal_has_pictures() -> None:
    assert not [case.name for case in ALL if is_refused(case) and case.browser]
    for pattern in (pattern for patterns in REFUSED.values() for pattern in patterns):
        assert any(fnmatch(case.name, pattern) for case in ALL), pattern


def test_the_list_of_what_is_refused_is_that_of_the_docs() -> None:
    page = (Path(__file__).parents[3] / "docs" / "api.md").read_text()
    _, _, after = page.partition("These are refused as `image_unsupported`")
    lines = after.replace("\n  ", " ").splitlines()
    assert [line.removeprefix("- ") for line in lines if line.startswith("- ")][: len(REFUSED)] == [*REFUSED]


# Controls: the comparison tells garbage

GARBAGE: dict[str, Callable[[Array], Array]] = {
    "planes exchanged": lambda a: a[..., [1, 2, 0]],
    "the lower bits for the upper": lambda a: a << 4 | a >> 4,
    "inverted": lambda a: 255 - a,
    "shifted": lambda a: np.roll(a, 1, axis=1),
    "mirrored": lambda a: a[:, ::-1],
    "upside down": lambda a: a[::-1],
    "rows read as if narrower": lambda a: np.roll(a.ravel(), 7).reshape(a.shape),
    "black": lambda a: a * 0,
    "white": lambda a: a | 255,
}


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_is_told_as_different(garbage: str) -> None:
    told = 0
    for case in (case for case in SAMPLE if case.loss == LOSSLESS):
        right = case.expected()
        colored, shades = np.ptp(right, axis=2).any(), len(np.unique(right))
        if (garbage == "planes exchanged" and not colored) or (garbage.startswith("the lower") and shades < 20):
            # Gray has no planes to exchange; the bytes of so few shades look the same with their halves exchanged.
            continue
        assert difference(GARBAGE[garbage](right), right) > 2 * case.loss, case.name
        told += 1
    assert told >= 40


def test_the_header_tells_how_large_a_picture_is_that_is_upright() -> None:
    told, unknown = 0, []
    for case in SAMPLE[::2]:
        if is_refused(case):
            continue
        data = case.make()
        try:
            found = size(data, LIMITS)
        except ImageError:
            unknown.append(case.format)
            continue
        told += 1
        assert found == upright(data, LIMITS).size, case.name
    # Of some TIFF, which only libvips reads, the size is not known.
    assert told > 20 and {*unknown} <= {"TIFF"} and len(unknown) < told / 5
