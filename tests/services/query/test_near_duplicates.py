"""Near-duplicates: a copy is one however it was stored, sized, cropped, bordered or lit; another product is none."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageOps
from shapes import drawn

from services.hashes import dct_distance, perceptual
from services.images.perceptual import perceptual_hash
from services.lab import from_srgb
from services.query.near_duplicates import are_near_duplicates, color_distance


def hashed(image: Image.Image) -> str:
    """As JPEG of quality 40."""
    out = BytesIO()
    image.save(out, "JPEG", quality=40)
    with Image.open(out) as opened:
        return perceptual_hash(opened.convert("RGB"))


def signed(image: Image.Image, corner: tuple[int, int]) -> Image.Image:
    copy = image.copy()
    ImageDraw.Draw(copy).rectangle((*corner, corner[0] + 80, corner[1] + 40), "gray")
    return copy


def copies(image: Image.Image) -> dict[str, Image.Image]:
    return {
        "stored": image,
        "half": image.resize((240, 240)),
        "wide": image.resize((700, 300)),
        "part": image.crop((12, 8, 468, 468)),
        "corner": image.crop((24, 20, 480, 480)),
        "flatter": image.crop((0, 40, 480, 480)),
        "border": ImageOps.expand(image, 14, "black"),
        "sign": signed(image, (0, 0)),
        "sign below": signed(image, (400, 440)),
        "darker": ImageEnhance.Brightness(image).enhance(0.8),
        "brighter": ImageEnhance.Brightness(image).enhance(1.2),
    }


@pytest.mark.parametrize("background", ["white", "#ffd8d0", "#e8c888", "#606860"])
@pytest.mark.parametrize("seed", range(4))
def test_copies_are_near_duplicates(seed: int, background: str) -> None:
    """On bright backgrounds in a color, where more light has no room in one channel and has in another, too."""
    image = drawn(seed, background)
    first = hashed(image)
    others = {name: hashed(copy) for name, copy in copies(image).items()}
    assert [name for name, other in others.items() if not are_near_duplicates(first, other)] == []
    assert [name for name, other in others.items() if not are_near_duplicates(other, first)] == []


@pytest.mark.parametrize("seed", range(8))
def test_variants_and_other_products_are_none(seed: int) -> None:
    image = drawn(seed)
    first = hashed(image)
    variants = {
        "mirrored": ImageOps.mirror(image),
        "recolored": drawn(seed, hue=60),
        "on another background": drawn(seed, "#d0d8ff"),
        "another": drawn(seed + 100),
        "much darker": ImageEnhance.Brightness(image).enhance(0.5),
        "half of it": image.crop((120, 120, 480, 480)),
    }
    assert [name for name, other in variants.items() if are_near_duplicates(first, hashed(other))] == []


def colored(cells: np.ndarray) -> str:
    return perceptual(np.zeros(64, bool), cells)


def test_a_cell_may_differ_more_where_the_picture_changes_than_where_it_is_even() -> None:
    """Given one of the inner cells that is lighter by 30 in a copy, I expect less than half the difference beside
    cells that are lighter by 60 in both: parts are cut through edges, not through even cells."""
    even = np.full((8, 8, 3), (40.0, 0, 0))
    edge = even.copy()
    edge[:, 5] = (100, 0, 0)
    distances = []
    for cells in (even, edge):
        changed = cells.copy()
        changed[3, 4, 0] += 30
        distances.append(color_distance(colored(cells), colored(changed)))
    assert distances[1] < distances[0] / 2


def test_both_orders_tell_the_same() -> None:
    pictures = [hashed(copy) for seed in range(2) for copy in copies(drawn(seed, "#ffd8d0")).values()]
    for one in pictures:
        for other in pictures:
            assert color_distance(one, other) == pytest.approx(color_distance(other, one), rel=1e-3)


@pytest.mark.parametrize(("changed", "near"), [(0, True), (22, True), (23, False), (28, False)])
def test_a_picture_of_the_same_colors_is_none_where_the_bits_are_far(changed: int, near: bool) -> None:
    """As a mirror image of what is nearly even on both sides, which differs in 26 bits or more."""
    cells = np.full((8, 8, 3), (40.0, 0, 0))
    one, other = (perceptual(np.arange(64) < count, cells) for count in (0, changed))
    assert (dct_distance(one, other), are_near_duplicates(one, other)) == (changed, near)


def test_a_black_picture_and_a_white_one_have_no_light_to_match() -> None:
    black, gray, white = (colored(np.full((8, 8, 3), (light, 0.0, 0.0))) for light in (0, 50, 100))
    assert [are_near_duplicates(one, one) for one in (black, gray, white)] == [True] * 3
    assert not any(are_near_duplicates(*pair) for pair in ((black, white), (black, gray), (gray, white)))


def test_what_a_channel_has_no_room_for_says_nothing_of_the_light() -> None:
    """Given a light background whose red is as bright as can be, and a fifth more light, I expect it to be told from
    what is not cut off."""
    cells = np.full((8, 8, 3), (255, 240, 192), np.uint8)
    cells[2:6, 2:6] = (120, 40, 60)
    brighter = np.minimum(cells * 1.2, 255).astype(np.uint8)
    assert are_near_duplicates(colored(from_srgb(cells)), colored(from_srgb(brighter)))
