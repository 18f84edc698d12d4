"""The perceptual hash: near for what looks the same, far for what does not, and the same on every machine."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageEnhance
from shapes import drawn

from services.hashes import PERCEPTUAL, color_grid, dct_distance, perceptual
from services.images.decoder import decode, decode_hashed
from services.images.limits import Limits
from services.images.perceptual import perceptual_hash

LIMITS = Limits(10_000_000, 10_000_000)
NEAR, NEAR_COLORS = 16, 3.0
"""Bits and mean steps of L*a*b* up to which two pictures count as the same."""


def encoded(image: Image.Image, format: str = "JPEG", **options: object) -> bytes:
    out = BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def hashed(data: bytes) -> str:
    return decode_hashed(data, 64, "nearest", LIMITS)[1]


def colors_apart(one: str, other: str) -> float:
    return float(np.abs(color_grid(one) - color_grid(other)).mean())


def resaved(image: Image.Image) -> Image.Image:
    return Image.open(BytesIO(encoded(image, quality=40)))


def recolored(image: Image.Image) -> Image.Image:
    hue, saturation, value = image.convert("HSV").split()
    return Image.merge("HSV", (hue.point(lambda each: (each + 100) % 256), saturation, value)).convert("RGB")


def lighter(image: Image.Image) -> Image.Image:
    return Image.composite(image, Image.new("RGB", image.size, "white"), Image.new("L", image.size, 250))


@pytest.mark.parametrize("seed", range(20))
def test_copies_of_a_picture_are_near(seed: int) -> None:
    image = drawn(seed)
    first = hashed(encoded(image, "PNG"))
    copies = [image.resize((240, 240), Image.Resampling.LANCZOS), image.resize((300, 700)), resaved(image)]
    for copy in [*copies, lighter(image)]:
        other = hashed(encoded(copy, "PNG"))
        assert dct_distance(first, other) <= NEAR
        assert colors_apart(first, other) <= NEAR_COLORS


@pytest.mark.parametrize("seed", range(20))
def test_other_pictures_are_far(seed: int) -> None:
    """A mirrored one by its shapes, a recolored one by its colors, another product by both."""
    image = drawn(seed)
    first = hashed(encoded(image, "PNG"))
    assert dct_distance(first, hashed(encoded(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), "PNG"))) > NEAR
    assert colors_apart(first, hashed(encoded(recolored(image), "PNG"))) > NEAR_COLORS
    another = hashed(encoded(drawn(seed + 100), "PNG"))
    assert dct_distance(first, another) > NEAR and colors_apart(first, another) > NEAR_COLORS


def test_the_grid_has_the_colors_of_cie_lab() -> None:
    """Of the corners of sRGB, as published for D65 (B. Lindbloom's calculator), to the step that a byte has."""
    known = {
        (255, 0, 0): (53.24, 80.09, 67.20),
        (0, 255, 0): (87.74, -86.18, 83.18),
        (0, 0, 255): (32.30, 79.19, -107.86),
        (255, 255, 255): (100, 0, 0),
        (0, 0, 0): (0, 0, 0),
        (119, 119, 119): (50.03, 0, 0),
    }
    for rgb, lab in known.items():
        grid = color_grid(perceptual_hash(Image.new("RGB", (30, 20), rgb)))
        np.testing.assert_allclose(grid, np.broadcast_to(lab, (8, 8, 3)), atol=0.55)


def test_the_cells_are_row_by_row() -> None:
    image = Image.new("RGB", (80, 80), "white")
    image.paste((0, 0, 0), (30, 10, 40, 20))
    light = color_grid(perceptual_hash(image))[..., 0]
    assert light[1, 3] < 1 and np.sort(light.ravel())[1] > 99


def test_a_flat_picture_has_no_frequencies() -> None:
    one, other = (perceptual_hash(Image.new("RGB", size, "gray")) for size in ((1, 1), (700, 300)))
    assert one == other and dct_distance(one, perceptual(np.zeros(64, bool), color_grid(one))) == 0


def test_the_hash_is_that_of_what_is_seen() -> None:
    """Turned by EXIF, over white, by its profile: as the pixels are."""
    image = drawn(3)
    first = hashed(encoded(image, "PNG"))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = image.transpose(Image.Transpose.ROTATE_90)
    assert hashed(encoded(turned, "PNG", exif=exif)) == first
    clear = image.convert("RGBA")
    clear.putalpha(Image.fromarray(np.where(np.asarray(image).min(axis=2) == 255, 0, 255).astype(np.uint8)))
    assert hashed(encoded(clear, "PNG")) == first
    same = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    other = hashed(encoded(image, "PNG", icc_profile=same))
    assert dct_distance(first, other) <= 2 and colors_apart(first, other) <= 1


def test_it_does_not_depend_on_the_encoder() -> None:
    data = encoded(drawn(5), "PNG")
    hashes = {decode_hashed(data, size, how, LIMITS)[1] for size in (224, 299) for how in ("nearest", "bicubic")}
    assert len(hashes) == 1


def test_the_pixels_are_those_of_decode() -> None:
    data = encoded(ImageEnhance.Color(drawn(6)).enhance(0.5))
    for how in ("nearest", "bicubic"):
        assert np.array_equal(decode_hashed(data, 224, how, LIMITS)[0], decode(data, 224, how, LIMITS))


def test_the_text_is_200_bytes_in_base64() -> None:
    for seed in range(10):
        assert PERCEPTUAL.fullmatch(hashed(encoded(drawn(seed))))
    with pytest.raises(ValueError, match="buffer"):
        color_grid("AAAA")
