import struct
from functools import cache
from io import BytesIO

import numpy as np
import pytest
from bombs import bombs
from hypothesis import given, settings
from hypothesis import strategies as st
from image_files import (
    FORMATS,
    cmyk_whose_cyan_ink_is_red,
    gray_without_gamma,
    in_lab,
    photo,
    plain,
    png_of,
    samples,
    saved,
    srgb_with_red_and_green_swapped,
)
from PIL import Image

from services.descriptions import Form, Resample
from services.errors import (
    ImageCorrupt,
    ImageDecodeCrashed,
    ImageDecodeTimeout,
    ImageError,
    ImageTooLarge,
    ImageTooManyPixels,
    ImageUnsupported,
)
from services.images.decoder import MODULES, Decoder, decode, thumbnail
from services.images.limits import Limits
from services.images.processes import Children
from services.records import Pixels
from services.signatures import READ, SIGNATURES
from services.thumbnails import SIDES

# Pillow warns of broken metadata.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

LIMITS = Limits(max_bytes=25_000_000, max_pixels=50_000_000)
MEMORY = 1 << 30
RESAMPLES: tuple[Resample, ...] = ("nearest", "bilinear", "bicubic", "lanczos")


def only_color(pixels: Pixels) -> tuple[int, ...]:
    colors = np.unique(pixels.reshape(-1, 3), axis=0)
    assert len(colors) == 1
    return tuple(int(value) for value in colors[0])


def oriented(image: Image.Image, orientation: int, format: str = "PNG") -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(image, format, exif=exif.tobytes())


def loaded_by_keras(data: bytes, size: int) -> Pixels:
    """What `keras.utils.load_img(path, target_size=(size, size))` does: these two calls, without Keras."""
    return np.array(Image.open(BytesIO(data)).convert("RGB").resize((size, size), Image.Resampling.NEAREST))


# Parity


@pytest.mark.parametrize("size", [299, 224, 17])
@pytest.mark.parametrize(
    ("mode", "format"),
    [("RGB", format) for format in FORMATS]
    + [("L", format) for format in FORMATS if format != "WEBP"]
    + [("P", "PNG"), ("P", "GIF"), ("P", "BMP"), ("P", "TIFF"), ("1", "PNG"), ("1", "BMP"), ("1", "TIFF")],
)
def test_nearest_gives_what_keras_gives(mode: str, format: str, size: int) -> None:
    data = saved(photo(mode), format)
    np.testing.assert_array_equal(decode(data, size, "nearest", LIMITS), loaded_by_keras(data, size))


@given(
    width=st.integers(1, 700),
    height=st.integers(1, 700),
    mode=st.sampled_from(["RGB", "L", "P"]),
    size=st.sampled_from([299, 224]),
)
@settings(max_examples=60)
def test_nearest_gives_what_keras_gives_at_any_size(width: int, height: int, mode: str, size: int) -> None:
    data = saved(photo(mode, width, height), "PNG", compress_level=1)
    np.testing.assert_array_equal(decode(data, size, "nearest", LIMITS), loaded_by_keras(data, size))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "PA", "1", "CMYK", "YCbCr", "LAB"])
def test_nearest_resizes_first_with_the_result_of_converting_first(mode: str) -> None:
    image = photo("RGBA", 61, 61).quantize(50).convert("PA") if mode == "PA" else photo(mode, 61, 61)
    data = saved(image, "TIFF")
    # At the picture's own size bicubic changes nothing: these are the converted colors.
    converted = Image.fromarray(decode(data, 61, "bicubic", LIMITS))
    resized = np.array(converted.resize((30, 30), Image.Resampling.NEAREST))
    np.testing.assert_array_equal(decode(data, 30, "nearest", LIMITS), resized)


@pytest.mark.parametrize("resample", RESAMPLES)
def test_pixels_are_rgb_bytes_of_the_size_asked_for(resample: Resample) -> None:
    pixels = decode(saved(photo(), "JPEG"), 32, resample, LIMITS)
    assert pixels.shape == (32, 32, 3)
    assert pixels.dtype == np.uint8
    expected = Image.open(BytesIO(saved(photo(), "JPEG"))).resize((32, 32), Image.Resampling[resample.upper()])
    np.testing.assert_array_equal(pixels, np.array(expected))


# Orientation


@pytest.mark.parametrize("resample", ["nearest", "bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("size", [(60, 40), (40, 60), (64, 64), (3, 900), (900, 2)])
def test_a_padded_picture_is_whole_between_white(size: tuple[int, int], resample: Resample) -> None:
    side, whole = 32, max(size)
    width, height = (max(1, round(each * side / whole)) for each in size)
    pixels = decode(saved(photo("RGB", *size), "PNG"), side, resample, LIMITS, "pad")
    assert pixels.shape == (side, side, 3) and pixels.dtype == np.uint8
    left, top = (side - width) // 2, (side - height) // 2
    method = Image.Resampling[resample.upper()]
    inside = np.array(photo("RGB", *size).resize((width, height), method))
    np.testing.assert_array_equal(pixels[top : top + height, left : left + width], inside)
    pixels[top : top + height, left : left + width] = 255
    assert (pixels == 255).all()


def test_of_a_square_padding_and_stretching_give_the_same() -> None:
    data = saved(photo("RGB", 50, 50), "PNG")
    np.testing.assert_array_equal(decode(data, 32, "bicubic", LIMITS, "pad"), decode(data, 32, "bicubic", LIMITS))


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize(
    ("orientation", "stored"),
    [
        (1, None),
        (2, Image.Transpose.FLIP_LEFT_RIGHT),
        (3, Image.Transpose.ROTATE_180),
        (4, Image.Transpose.FLIP_TOP_BOTTOM),
        (5, Image.Transpose.TRANSPOSE),
        (6, Image.Transpose.ROTATE_90),
        (7, Image.Transpose.TRANSVERSE),
        (8, Image.Transpose.ROTATE_270),
    ],
)
def test_a_turned_file_gives_the_upright_files_pixels(
    format: str, orientation: int, stored: Image.Transpose | None
) -> None:
    options = {"lossless": True} if format == "WEBP" else {}
    turned = photo() if stored is None else photo().transpose(stored)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(turned, format, exif=exif.tobytes(), **options)
    np.testing.assert_array_equal(
        decode(data, 299, "nearest", LIMITS), decode(saved(photo(), "PNG"), 299, "nearest", LIMITS)
    )


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_is_none_is_ignored(orientation: int) -> None:
    np.testing.assert_array_equal(
        decode(oriented(photo(), orientation), 50, "nearest", LIMITS),
        decode(saved(photo(), "PNG"), 50, "nearest", LIMITS),
    )


def test_broken_metadata_does_not_cost_the_picture() -> None:
    plain_jpeg = saved(photo(), "JPEG")
    broken = saved(photo(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff" + b"\xff" * 40)
    np.testing.assert_array_equal(decode(broken, 50, "nearest", LIMITS), decode(plain_jpeg, 50, "nearest", LIMITS))


# Modes


@pytest.mark.parametrize("resample", ["nearest", "bicubic"])
@pytest.mark.parametrize(
    ("image", "format", "options", "color"),
    [
        (plain((200, 0, 0, 255), "RGBA"), "PNG", {}, (200, 0, 0)),
        (plain((200, 0, 0, 0), "RGBA"), "PNG", {}, (255, 255, 255)),
        (plain((200, 0, 0, 51), "RGBA"), "PNG", {}, (244, 204, 204)),
        (plain((200, 0, 0, 51), "RGBA"), "WEBP", {"lossless": True}, (244, 204, 204)),
        (plain((200, 0, 0, 51), "RGBA"), "TIFF", {}, (244, 204, 204)),
        (plain((100, 51), "LA"), "PNG", {}, (224, 224, 224)),
        (plain((100, 51), "LA"), "TIFF", {}, (224, 224, 224)),
        (plain(100, "L"), "PNG", {"transparency": 100}, (255, 255, 255)),
        (plain(100, "L"), "PNG", {"transparency": 99}, (100, 100, 100)),
        (plain((1, 2, 3)), "PNG", {"transparency": (1, 2, 3)}, (255, 255, 255)),
        (plain((1, 2, 3)), "PNG", {"transparency": (1, 2, 4)}, (1, 2, 3)),
        (plain(0, "1"), "PNG", {"transparency": 0}, (255, 255, 255)),
        (plain((9, 8, 7)).convert("P", palette=Image.Palette.ADAPTIVE), "GIF", {"transparency": 0}, (255,) * 3),
        (plain((9, 8, 7)).quantize(1), "PNG", {"transparency": b"\x33"}, (206, 206, 205)),
        (plain((9, 8, 7)).quantize(1), "PNG", {}, (9, 8, 7)),
        (plain(30000, "I;16"), "PNG", {}, (117, 117, 117)),
        (plain(65535, "I;16"), "TIFF", {}, (255, 255, 255)),
        (plain(30000, "I;16"), "PNG", {"transparency": 30000}, (255, 255, 255)),
        (plain(1, "1"), "TIFF", {}, (255, 255, 255)),
        (plain((0, 0, 0, 0), "CMYK"), "JPEG", {}, (255, 255, 255)),
        (plain((0, 0, 0, 255), "CMYK"), "JPEG", {}, (0, 0, 0)),
        (plain((0, 255, 255, 0), "CMYK"), "TIFF", {}, (255, 0, 0)),
        (plain((76, 85, 255), "YCbCr"), "TIFF", {}, (254, 0, 0)),
        (in_lab(plain((200, 30, 90))), "TIFF", {}, (200, 27, 90)),
    ],
)
def test_a_stored_color_becomes_this_one(
    image: Image.Image, format: str, options: dict[str, object], color: tuple[int, ...], resample: Resample
) -> None:
    assert only_color(decode(saved(image, format, **options), 5, resample, LIMITS)) == color


def test_sixteen_bits_are_scaled_to_eight_not_clipped() -> None:
    ramp = np.arange(0, 65536, 256, dtype=np.uint16).reshape(16, 16)
    for data in (saved(Image.fromarray(ramp), "PNG"), saved(Image.fromarray(ramp), "TIFF"), big_endian_tiff(ramp)):
        expected = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
        np.testing.assert_array_equal(decode(data, 16, "nearest", LIMITS), expected)


def big_endian_tiff(gray: "np.ndarray[tuple[int, int], np.dtype[np.uint16]]") -> bytes:
    height, width = gray.shape
    pixels = gray.astype(">u2").tobytes()
    entries = [(256, width), (257, height), (258, 16), (259, 1), (262, 1), (273, 122), (277, 1), (278, height)]
    ifd = struct.pack(">H", len(entries) + 1)
    ifd += b"".join(struct.pack(">HHIHH", tag, 3, 1, value, 0) for tag, value in entries)
    ifd += struct.pack(">HHII", 279, 4, 1, len(pixels)) + struct.pack(">I", 0)
    return b"MM\0*" + struct.pack(">I", 8) + ifd + pixels


@pytest.mark.parametrize("mode", ["I", "F"])
def test_numbers_without_a_fixed_range_are_refused(mode: str) -> None:
    with pytest.raises(ImageUnsupported, match="save it with 8 bits"):
        decode(saved(plain(1, mode), "TIFF"), 5, "nearest", LIMITS)


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_several_frames_the_first_counts(format: str) -> None:
    options = {"lossless": True} if format == "WEBP" else {}
    frames = [plain((0, 0, 250)), plain((0, 250, 0))]
    data = saved(plain((250, 0, 0)), format, save_all=True, append_images=frames, **options)
    assert only_color(decode(data, 5, "nearest", LIMITS)) == (250, 0, 0)


# Profiles


@pytest.mark.parametrize("resample", ["nearest", "bicubic"])
@pytest.mark.parametrize(
    ("image", "format", "icc", "color"),
    [
        (plain((255, 0, 0)), "PNG", srgb_with_red_and_green_swapped(), (0, 255, 0)),
        (plain((255, 0, 0, 51), "RGBA"), "PNG", srgb_with_red_and_green_swapped(), (204, 255, 204)),
        (plain((255, 0, 0)).quantize(1), "PNG", srgb_with_red_and_green_swapped(), (0, 255, 0)),
        (plain(128, "L"), "PNG", gray_without_gamma(), (188, 188, 188)),
        (plain(128, "L"), "JPEG", gray_without_gamma(), (188, 188, 188)),
        (plain((128, 51), "LA"), "PNG", gray_without_gamma(), (242, 242, 242)),
        (plain((0, 0, 0, 0), "CMYK"), "JPEG", cmyk_whose_cyan_ink_is_red(), (255, 255, 255)),
        (plain((255, 0, 0, 0), "CMYK"), "JPEG", cmyk_whose_cyan_ink_is_red(), (251, 0, 8)),
        (plain((0, 0, 0, 255), "CMYK"), "TIFF", cmyk_whose_cyan_ink_is_red(), (0, 0, 0)),
    ],
)
def test_a_profile_says_what_the_numbers_mean(
    image: Image.Image, format: str, icc: bytes, color: tuple[int, ...], resample: Resample
) -> None:
    found = only_color(decode(saved(image, format, icc_profile=icc), 5, resample, LIMITS))
    np.testing.assert_allclose(found, color, atol=2)


@pytest.mark.parametrize(
    ("mode", "icc"),
    [
        ("RGB", b"no profile at all"),
        ("RGB", srgb_with_red_and_green_swapped()[:200]),
        ("RGB", gray_without_gamma()),
        ("L", srgb_with_red_and_green_swapped()),
        ("RGBA", cmyk_whose_cyan_ink_is_red()),
    ],
)
def test_a_broken_profile_or_one_of_other_colors_is_ignored(mode: str, icc: bytes) -> None:
    np.testing.assert_array_equal(
        decode(saved(photo(mode), "PNG", icc_profile=icc), 50, "nearest", LIMITS),
        decode(saved(photo(mode), "PNG"), 50, "nearest", LIMITS),
    )


# Refusals


@pytest.mark.parametrize(
    "data",
    [b"\0", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<!doctype html>", b"%PDF-1.7", b"RIFF\0\0\0\0WAVE"]
    + [saved(photo(), format) for format in ("PPM", "ICO", "TGA", "PCX", "JPEG2000", "EPS")],
)
def test_what_is_no_image_of_a_supported_format_is_unsupported(data: bytes) -> None:
    with pytest.raises(ImageUnsupported, match=f"convert it to one of these: {READ}"):
        decode(data, 5, "nearest", LIMITS)


def test_what_begins_like_one_format_is_not_tried_as_another() -> None:
    photo_cd = b"II*\0".ljust(2048, b"\0") + b"PCD_".ljust(2048, b"\0") + bytes(1 << 20)
    with pytest.raises(ImageCorrupt):
        decode(photo_cd, 5, "nearest", LIMITS)


def test_too_many_bytes_are_refused_before_anything_reads_them() -> None:
    with pytest.raises(ImageTooLarge, match=r"1,001 bytes and 1,000 are allowed; .* LOOKALIKE_MAX_IMAGE_BYTES"):
        decode(bytes(1001), 5, "nearest", Limits(max_bytes=1000, max_pixels=100))
    with pytest.raises(ImageUnsupported):
        decode(bytes(1000), 5, "nearest", Limits(max_bytes=1000, max_pixels=100))


@pytest.mark.parametrize("format", FORMATS)
def test_one_pixel_more_than_allowed_is_refused(format: str) -> None:
    data = saved(photo(width=10, height=11), format)
    assert decode(data, 5, "nearest", Limits(10_000, 110)).shape == (5, 5, 3)
    with pytest.raises(ImageTooManyPixels, match=r"10 x 11 pixels and 109 are allowed; .* LOOKALIKE_MAX_IMAGE_PIXELS"):
        decode(data, 5, "nearest", Limits(10_000, 109))


def test_a_bomb_is_refused_by_its_header_within_little_memory() -> None:
    limits = Limits(LIMITS.max_bytes, 60_000)
    with Decoder(1, 10, 256 << 20, limits) as decoder:
        for format, bomb in bombs().items():
            with pytest.raises(ImageTooManyPixels, match="pixels and 60,000 are allowed"):
                decoder.submit(bomb, Form(5, "nearest")).result()
            assert len(bomb) < 200_000, format


@pytest.mark.parametrize(("width", "height"), [(0, 0), (0, 5), (5, 0)])
def test_an_image_of_no_size_is_corrupt(width: int, height: int) -> None:
    with pytest.raises(ImageCorrupt):
        decode(png_of(width, height), 5, "nearest", LIMITS)


@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in samples()])
def test_a_file_cut_anywhere_gives_pixels_or_an_image_error(data: bytes) -> None:
    for sixteenth in range(16):
        part = data[: len(data) * sixteenth // 16]
        if (found := pixels_or_error(part)) is not None:
            assert found.shape == (9, 9, 3)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_a_cut_file_is_corrupt(format: str, share: float) -> None:
    data = saved(photo(), format)
    with pytest.raises(ImageCorrupt, match="cut off or damaged"):
        decode(data[: int(len(data) * share)], 9, "nearest", LIMITS)


@given(start=st.sampled_from([*SIGNATURES, b"RIFF\xff\0\0\0WEBP", b"RIFF\xff\0\0\0WEBPVP8X", b""]), rest=st.binary())
@settings(max_examples=400)
def test_any_bytes_give_pixels_or_an_image_error(start: bytes, rest: bytes) -> None:
    pixels_or_error(start + rest)


@given(data=st.data())
@settings(max_examples=400)
def test_a_damaged_file_gives_pixels_or_an_image_error(data: st.DataObject) -> None:
    damaged = bytearray(data.draw(st.sampled_from(all_samples())))
    for at in data.draw(st.lists(st.integers(0, len(damaged) - 1), min_size=1, max_size=8)):
        damaged[at] = data.draw(st.integers(0, 255))
    pixels_or_error(bytes(damaged))


@cache
def all_samples() -> list[bytes]:
    return [data for _, data in samples()]


def pixels_or_error(data: bytes) -> Pixels | None:
    limits = Limits(25_000_000, 1_000_000)
    try:
        small = Image.open(BytesIO(thumbnail(data, limits)))
        assert small.format == "WEBP"
        return decode(data, 9, "nearest", limits)
    except ImageError as error:
        assert str(error).endswith((".", "_BYTES.", "_PIXELS.", "_MEMORY."))
        return None


# Thumbnails


@pytest.mark.parametrize("side", SIDES)
def test_a_thumbnail_has_the_side_that_is_asked_for(side: int) -> None:
    for stored, shown in (((1280, 640), (side, side // 2)), ((10, 20), (10, 20))):
        small = Image.open(BytesIO(thumbnail(saved(plain((10, 200, 30), size=stored), "JPEG"), LIMITS, side)))
        assert (small.format, small.size) == ("WEBP", shown)


@pytest.mark.parametrize(
    ("stored", "shown"),
    [((1000, 500), (320, 160)), ((500, 1000), (160, 320)), ((320, 320), (320, 320)), ((90, 30), (90, 30)),
     ((3000, 1), (320, 1)), ((321, 320), (320, 319))],
)  # fmt: skip
def test_a_thumbnail_is_a_webp_of_at_most_320_pixels_a_side(stored: tuple[int, int], shown: tuple[int, int]) -> None:
    small = Image.open(BytesIO(thumbnail(saved(plain((10, 200, 30), size=stored), "JPEG"), LIMITS)))
    assert (small.format, small.mode, small.size) == ("WEBP", "RGB", shown)
    np.testing.assert_allclose(np.array(small)[0, 0], (10, 200, 30), atol=6)


@pytest.mark.parametrize(
    ("stored", "shown"), [((255, 0, 0), (0, 255, 0)), ((255, 0, 0, 51), (204, 255, 204))], ids=["RGB", "RGBA"]
)
def test_a_thumbnail_has_the_colors_and_the_turn_of_the_picture_and_none_of_its_metadata(
    stored: tuple[int, ...], shown: tuple[int, ...]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = plain(stored, "RGBA" if len(stored) == 4 else "RGB", (40, 20))
    data = saved(image, "PNG", icc_profile=srgb_with_red_and_green_swapped(), exif=exif.tobytes())
    small = Image.open(BytesIO(thumbnail(data, LIMITS)))
    assert small.size == (20, 40)
    np.testing.assert_allclose(np.array(small)[5, 5], shown, atol=6)
    assert {"exif", "icc_profile", "xmp"}.isdisjoint(small.info)


# In child processes


def test_children_give_the_same_pixels_thumbnails_and_errors() -> None:
    data = saved(photo("RGBA"), "PNG")
    with Decoder(2, 10, MEMORY, LIMITS) as decoder:
        pixels = decoder.submit(data, Form(30, "lanczos")).result()
        small = decoder.submit_thumbnail(data).result()
        assert decoder.submit_size(data).result() == photo("RGBA").size
        assert isinstance(decoder.submit_size(b"GIF89a").exception(), ImageCorrupt)
        cut = decoder.submit(data[:-100], Form(30, "nearest")).exception()
    np.testing.assert_array_equal(pixels, decode(data, 30, "lanczos", LIMITS))
    assert small == thumbnail(data, LIMITS)
    assert isinstance(cut, ImageCorrupt)
    assert str(cut) == "The image is cut off or damaged; export it again from its source."


def test_children_do_not_load_tensorflow_or_pydantic() -> None:
    with Children(1, timeout=10, memory=MEMORY, modules=MODULES) as children:
        children.submit(decode, saved(photo(), "JPEG"), 30, "nearest", LIMITS).result()
        loaded = children.submit(eval, "sorted(__import__('sys').modules)").result()
    assert {"services.images.decoder", "PIL.Image"} <= set(loaded)
    assert {"tensorflow", "keras", "pydantic", "services.settings"}.isdisjoint(loaded)


@pytest.fixture(scope="module")
def largest() -> dict[str, bytes]:
    """Pictures of nearly 50 megapixels."""
    size = (7071, 7071)
    return {
        "PNG": saved(plain((200, 0, 0, 51), "RGBA", size), "PNG", compress_level=1),
        "JPEG": saved(plain((0, 255, 255, 0), "CMYK", size), "JPEG"),
    }


def test_the_default_limits_are_enough_for_50_megapixels(largest: dict[str, bytes]) -> None:
    with Decoder(2, 60, MEMORY, LIMITS) as decoder:
        clear = decoder.submit(largest["PNG"], Form(299, "bicubic"))
        ink = decoder.submit(largest["JPEG"], Form(299, "nearest"))
        assert only_color(clear.result()) == (244, 204, 204)
        np.testing.assert_allclose(only_color(ink.result()), (255, 0, 0), atol=2)


def test_an_image_that_needs_more_memory_than_allowed_costs_itself_only(largest: dict[str, bytes]) -> None:
    with Decoder(1, 60, 256 << 20, LIMITS) as decoder:
        hungry = decoder.submit(largest["PNG"], Form(299, "bicubic"))
        modest = decoder.submit(saved(photo(), "PNG"), Form(299, "bicubic"))
        with pytest.raises(ImageDecodeCrashed, match="LOOKALIKE_DECODE_MEMORY"):
            hungry.result()
        assert modest.result().shape == (299, 299, 3)


@pytest.mark.long
def test_what_a_child_can_decode_does_not_depend_on_what_it_has_decoded(largest: dict[str, bytes]) -> None:
    limits = Limits(max_bytes=25_000_000, max_pixels=130_000_000)
    # Turning it takes its memory twice.
    huge = oriented(plain((0, 200, 0), size=(12_000, 9_000)), 6, "JPEG")
    others = [largest["PNG"], saved(photo("RGBA", 4000, 3000), "PNG", compress_level=1), largest["JPEG"], huge]
    with Decoder(1, 60, MEMORY, limits) as decoder:
        for data in (huge, *others, huge):
            # Small pictures in between leave a heap in pieces.
            for side in range(600, 800, 40):
                assert (
                    decoder.submit(saved(photo("RGB", side, side), "JPEG"), Form(299, "bicubic")).result().shape[0]
                    == 299
                )
            decoder.submit(data, Form(299, "bicubic")).result()
        assert only_color(decoder.submit(huge, Form(299, "bicubic")).result()) == (0, 200, 0)


def test_an_image_that_needs_more_time_than_allowed_costs_itself_only(largest: dict[str, bytes]) -> None:
    with Decoder(1, 0.1, MEMORY, LIMITS) as decoder:
        slow = decoder.submit(largest["PNG"], Form(299, "bicubic"))
        quick = decoder.submit(saved(photo(), "PNG"), Form(299, "bicubic"))
        with pytest.raises(ImageDecodeTimeout, match="LOOKALIKE_DECODE_TIMEOUT"):
            slow.result()
        assert quick.result().shape == (299, 299, 3)
