import pytest
from hypothesis import given
from hypothesis import strategies as st
from image_files import FORMATS, photo, saved

from services.signatures import READ, SIGNATURES, description, media_type, not_an_image

SVG = b"<svg xmlns='http://www.w3.org/2000/svg'/>"


@pytest.mark.parametrize("format", FORMATS)
def test_an_image_is_known_by_its_bytes(format: str) -> None:
    assert media_type(saved(photo(), format)) == f"image/{format.lower()}"


@pytest.mark.parametrize(
    ("brands", "type_"),
    [
        ([b"avif"], "image/avif"),
        ([b"avis", b"msf1"], "image/avif"),
        ([b"mif1", b"avif", b"miaf"], "image/avif"),
        ([b"heic", b"mif1"], "image/heic"),
        ([b"mif1", b"heic"], "image/heic"),
        ([b"heix"], "image/heic"),
        ([b"miaf", b"mif1", b"heic"], "image/heic"),
        ([b"isom", b"mp42"], None),
        ([b"mif1", b"miaf"], None),
        ([b"avci", b"mif1"], None),
    ],
)
def test_a_box_file_is_known_by_its_brands(brands: list[bytes], type_: str | None) -> None:
    data = box_file(brands)
    assert media_type(data) == type_
    assert (description(data) is None) == (type_ is not None)
    # What follows the box is no brand.
    assert media_type(data + b"avif") == type_


def box_file(brands: list[bytes], *more: bytes) -> bytes:
    box = brands[0] + bytes(4) + b"".join(brands[1:])
    return (8 + len(box)).to_bytes(4, "big") + b"ftyp" + box + b"".join(more)


@pytest.mark.parametrize(("kind", "type_"), [(b"av01", "image/avif"), (b"hvc1", "image/heic"), (b"avc1", None)])
def test_where_brands_do_not_tell_the_kind_of_picture_does(kind: bytes, type_: str | None) -> None:
    entry = b"infe\x02\0\0\0\0\1\0\0" + kind
    data = box_file([b"mif1", b"miaf"], b"\0\0\0\x40meta", bytes(40), entry)
    assert media_type(data) == type_
    assert description(data) == (None if type_ else "a HEIF image that is neither AVIF nor HEIC")


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\xff\x0a" + bytes(9), "a JPEG XL image"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL image"),
        (saved(photo(), "JPEG2000"), "a JPEG 2000 image"),
        (saved(photo(), "ICO"), "an icon (ICO)"),
        (b"%PDF-1.7", "a PDF document"),
        (saved(photo(), "EPS"), "a PostScript document"),
        (b"8BPS\0\1", "a Photoshop document"),
        (b"PK\3\4", "a ZIP archive"),
        (b"\x1f\x8b\x08", "gzip-compressed data"),
        (SVG, "an SVG drawing"),
        (
            b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- by hand --><!DOCTYPE svg [<!ENTITY a 'b'>]>" + SVG,
            "an SVG drawing",
        ),
        (b"<svg:svg xmlns:svg='http://www.w3.org/2000/svg'>", "an SVG drawing"),
        (b"<?xml version='1.0'?><svg><title>A bag</title><style/></svg>", "an SVG drawing"),
        (b"<!doctype HTML>" + SVG, "an HTML page"),
        (b"<?xml version='1.0'?><!DOCTYPE html PUBLIC ''><html>", "an HTML page"),
        (b"<script>location='/'</script>", "an HTML page"),
        (b"<rss version='2.0'>", "an XML document"),
        (b" [1, 2]", "a JSON document"),
        (b"[section]", None),
        (b"BMW catalogue of this year, all models", None),
        (b"<!-- a --><div>Sign in</div>", "an HTML page"),
        (b"<a href='/login'>", "an HTML page"),
        ("\ufeff<html>".encode("utf-16-le"), "an HTML page"),
        ("\ufeff<html>".encode("utf-16-be"), "an HTML page"),
        (SVG[:-2] + b"><foreignObject><html></html></foreignObject></svg>", "an SVG drawing"),
        (box_file([b"isom", b"mp42"]), "a video (MP4)"),
        (box_file([b"qt  "]), "a video (QuickTime)"),
        (box_file([b"crx ", b"isom"]), "a raw photo (CR3)"),
        (b"Not found", None),
        (b"< 5", None),
        (b"RIFF\0\0\0\0WAVE", None),
    ],
)
def test_what_is_no_image_has_a_name(data: bytes, name: str | None) -> None:
    assert media_type(data) is None and description(data) == name
    begins = f"This is {name}, which is not read" if name else "This is no image that is read"
    assert not_an_image(data) == f"{begins}, whatever its name says; convert it to one of these: {READ}."


@given(
    start=st.sampled_from([*SIGNATURES, b"", b"<", b"<!doctype", b"\0\0\0\x20ftyp", b"{"]), rest=st.binary(max_size=99)
)
def test_any_bytes_have_one_kind(start: bytes, rest: bytes) -> None:
    data = start + rest
    assert media_type(data) in {None, *SIGNATURES.values(), "image/webp", "image/avif", "image/heic"}
    assert not_an_image(data).startswith(("This is ", "The image is empty"))
