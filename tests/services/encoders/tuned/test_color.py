"""The color block: what color a product has, whatever it stands on and however it was padded."""

import colorsys

import numpy as np
import numpy.typing as npt
import pytest

from services.encoders.tuned.color import BINS, DIM, color_histograms
from services.lab import from_srgb
from services.records import Pixels, Vector

Color = tuple[int, int, int]
SIDE = 320
WHITE: Color = (255, 255, 255)
BLACK: Color = (0, 0, 0)
GRAY: Color = (150, 152, 156)
RED: Color = (190, 50, 45)
BACKGROUNDS: list[Color] = [WHITE, GRAY, BLACK, (120, 160, 110), (60, 80, 130)]


def flat(color: Color, height: int = SIDE, width: int = SIDE) -> Pixels:
    return np.full((height, width, 3), color, np.uint8)


def on(background: Pixels, color: Color, across: float = 0.6) -> Pixels:
    """A shaded disk of a color on a background, `across` of its shorter side wide."""
    height, width = background.shape[:2]
    y, x = np.mgrid[:height, :width]
    radius = across * min(height, width) / 2
    inside = np.hypot(y - height / 2, x - width / 2) < radius
    light = 1 - 0.25 * np.clip((y - height / 2) / radius, -1, 1)[inside]
    picture = background.copy()
    picture[inside] = np.clip(np.array(color) * light[:, None], 0, 255)
    return picture


def padded(picture: Pixels) -> Pixels:
    """White around it, to a square."""
    height, width = picture.shape[:2]
    side = max(height, width)
    square = flat(WHITE, side, side)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = picture
    return square


def gradient(one: Color, other: Color) -> Pixels:
    share = np.linspace(0, 1, SIDE)[:, None, None]
    return np.broadcast_to(np.array(one) * (1 - share) + np.array(other) * share, (SIDE, SIDE, 3)).astype(np.uint8)


def row(picture: Pixels) -> Vector:
    return np.asarray(color_histograms(picture[None])[0])


def alike(one: Pixels, other: Pixels) -> float:
    return float(row(one) @ row(other))


def scattered(seed: int, side: int = SIDE) -> Pixels:
    """Blocks of any colors."""
    blocks = np.random.default_rng(seed).integers(0, 256, (side // 8, side // 8, 3), np.uint8)
    return blocks.repeat(8, axis=0).repeat(8, axis=1)


@pytest.mark.parametrize("n", [0, 1, 3])
def test_rows_have_length_one(n: int) -> None:
    rows = color_histograms(np.stack([scattered(seed) for seed in range(3)])[:n])
    assert rows.shape == (n, DIM) and rows.dtype == np.float32 and np.prod(BINS) == DIM
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    assert (rows >= 0).all()


def test_a_row_does_not_depend_on_its_batch() -> None:
    """Bit for bit, whatever else is in it, in which order, and however it lies in memory."""
    pictures = np.stack([scattered(1), on(flat(GRAY), RED), padded(scattered(2)[:200]), flat(WHITE), scattered(3)])
    rows = color_histograms(pictures)
    assert all(np.array_equal(row(picture), rows[at]) for at, picture in enumerate(pictures))
    assert np.array_equal(color_histograms(pictures[::-1]), rows[::-1])
    assert np.array_equal(color_histograms(np.asfortranarray(pictures)), rows)


def test_a_batch_is_left_as_it_was() -> None:
    pictures = np.stack([scattered(1), flat(WHITE)])
    pictures.flags.writeable = False
    assert np.isfinite(color_histograms(pictures)).all()


@pytest.mark.parametrize("height", [20, 199, 200, 319])
@pytest.mark.parametrize("background", BACKGROUNDS[1:])
def test_padding_is_not_seen(height: int, background: Color) -> None:
    """Above and below or at the sides, of an even or odd number of lines: the row is that of the picture inside."""
    picture = on(flat(background, height), RED)
    expected = row(picture)
    assert np.array_equal(row(padded(picture)), expected)
    turned = picture.swapaxes(0, 1)
    assert np.array_equal(row(padded(turned)), row(turned))
    assert row(turned) @ expected > 0.99


@pytest.mark.parametrize("color", [RED, (60, 110, 170), (235, 190, 70), WHITE, BLACK])
def test_a_padded_picture_on_white_is_one_on_white(color: Color) -> None:
    """Here nobody can tell where the padding ends."""
    wide = on(flat(WHITE, 220), color)
    assert alike(padded(wide), wide) > 0.99


@pytest.mark.parametrize("color", [RED, (235, 190, 70), (225, 130, 170)])
def test_the_background_hardly_matters(color: Color) -> None:
    pictures = [on(flat(background), color) for background in BACKGROUNDS]
    pictures += [padded(on(flat(background, 230), color)) for background in BACKGROUNDS]
    pictures += [on(gradient((100, 120, 140), (150, 170, 190)), color)]
    table = gradient((120, 150, 170), (120, 150, 170))
    table[200:] = (120, 80, 50)
    pictures += [on(table, color)]
    rows = color_histograms(np.stack(pictures))
    assert (rows @ rows.T).min() > 0.95


def test_a_product_that_touches_the_edges_is_no_background() -> None:
    """A disk from edge to edge, as pictures are cropped: its background is in the corners."""
    assert alike(on(flat(WHITE), RED, across=1.0), on(flat(GRAY), RED)) > 0.95
    assert alike(padded(on(flat(GRAY, 240), RED, across=1.0)), on(flat(GRAY), RED)) > 0.95


def test_white_on_all_sides_is_no_padding() -> None:
    """A book whose cover would else be the background of its label."""
    books = [flat(background) for background in (WHITE, GRAY)]
    for book in books:
        book[40:280, 80:240] = RED
        book[100:160, 120:200] = (235, 190, 70)
    assert alike(*books) > 0.95


def test_hue_is_told_apart() -> None:
    """12 hues on two backgrounds: the nearest to each is its own hue on the other one."""
    hues = [tuple(round(255 * part) for part in colorsys.hsv_to_rgb(at / 12, 0.65, 0.75)) for at in range(12)]
    one, other = (
        color_histograms(np.stack([on(flat(back), hue) for hue in hues])) for back in (WHITE, (110, 110, 115))
    )
    likeness = one @ other.T
    assert np.array_equal(likeness.argmax(axis=1), np.arange(12))
    own = likeness.diagonal().copy()
    np.fill_diagonal(likeness, 0)
    assert (own - likeness.max(axis=1)).min() > 0.1


@pytest.mark.parametrize("color", [WHITE, BLACK, GRAY, RED, (0, 0, 255)])
def test_a_flat_picture_counts_whole(color: Color) -> None:
    """Alone, padded, and with the noise of a JPEG, which is not a product."""
    expected = np.sqrt(plain_counts(color))
    np.testing.assert_allclose(row(flat(color)), expected, atol=1e-6)
    np.testing.assert_allclose(row(padded(flat(color, 200))), expected, atol=1e-6)
    noise = np.random.default_rng(5).integers(-1, 2, (SIDE, SIDE, 1))
    assert row(np.clip(flat(color) + noise, 0, 255).astype(np.uint8)) @ expected > 0.98


def test_black_and_white_are_the_first_and_last_gray() -> None:
    assert np.flatnonzero(row(flat(WHITE)) > 1e-3).tolist() == [4 * 49 + 3 * 7 + 3]
    assert np.flatnonzero(row(flat(BLACK)) > 1e-3).tolist() == [3 * 7 + 3]


@pytest.mark.parametrize(
    ("background", "color"), [(WHITE, (246, 246, 244)), (BLACK, (14, 14, 15)), (RED, (196, 54, 48)), (GRAY, GRAY)]
)
def test_a_product_of_the_background_s_color_has_that_color(background: Color, color: Color) -> None:
    assert alike(on(flat(background), color), on(flat((120, 140, 90)), color)) > 0.85


@pytest.mark.parametrize("across", [1.0, 2.0])
def test_a_product_that_fills_the_picture_has_its_color(across: float) -> None:
    assert alike(on(flat(WHITE, 200), RED, across), on(flat(GRAY), RED)) > 0.9
    assert alike(padded(on(flat(WHITE, 200), RED, across)), on(flat(GRAY), RED)) > 0.9


def test_few_pixels_of_a_picture_are_enough() -> None:
    """Of other sides, too, down to a single pixel."""
    for side in (1, 2, 5, 47, 48, 49, 500):
        assert np.linalg.norm(row(flat(RED, side, side))) == pytest.approx(1, abs=1e-6)
    assert alike(on(flat(GRAY, 640, 640), RED), on(flat(GRAY), RED)) > 0.999


def plain_counts(color: Color) -> npt.NDArray[np.float64]:
    """A histogram of one color."""
    return shared(from_srgb(np.array([color], np.uint8)))[0]


def shared(colors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The share of each color (p, 3) in each bin, by its distance from the bin's center on each axis: (p, 245)."""
    centers = [np.linspace(0, 100, 5), np.linspace(-80, 80, 7), np.linspace(-80, 80, 7)]
    axes = []
    for axis, center in enumerate(centers):
        value = np.clip(colors[:, axis], center[0], center[-1])
        axes.append(np.maximum(0, 1 - np.abs(value[:, None] - center) / (center[1] - center[0])))
    return np.einsum("pi,pj,pk->pijk", *axes).reshape(len(colors), DIM)


@pytest.mark.parametrize("seed", range(3))
def test_a_row_is_that_of_the_plain_formula(seed: int) -> None:
    """On 48 x 48, where every pixel is a sample."""
    picture = on(np.repeat(scattered(seed, 48)[:, :1], 48, axis=1), RED, across=0.7)
    frame = np.ones((48, 48), bool)
    frame[2:-2, 2:-2] = False
    halves = slice(0, 24), slice(24, 48)
    quarters = [picture[y, x][frame[y, x]] for y in halves for x in halves]
    backgrounds = from_srgb(np.array([np.sort(colors, axis=0)[len(colors) // 2] for colors in quarters]))
    colors = from_srgb(picture).reshape(-1, 3)
    distance = np.linalg.norm(colors[:, None] - backgrounds, axis=2).min(axis=1)
    weights = distance**4 / (distance**4 + 20**4) + 0.001
    counts = weights @ shared(colors)
    np.testing.assert_allclose(row(picture), np.sqrt(counts / counts.sum()), atol=1e-6)


def test_rows_are_the_same_on_every_machine() -> None:
    """What is stored is compared with what another processor computes."""
    y, x = np.mgrid[:200, :SIDE]
    picture = flat((120, 160, 110), 200)
    inside = (y - 100) ** 2 + (x - 160) ** 2 < 70**2
    picture[inside] = RED + np.stack([y, y // 4, y // 5], axis=2)[inside] // 4
    found = row(padded(picture))
    expected = {88: 0.158363, 89: 0.155244, 137: 0.550179, 138: 0.601338, 144: 0.33469, 145: 0.381811}
    assert np.flatnonzero(found > 0.1).tolist() == [*expected]
    np.testing.assert_allclose(found[[*expected]], [*expected.values()], atol=1e-5)
