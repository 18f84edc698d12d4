"""Images that come with a request: as its body, or as a part of a form."""

from collections.abc import Collection, Mapping, Sequence

from api.context import context
from api.errors import BodyTooLarge
from api.requests.body import Body
from api.requests.form import digest, parts
from services.errors import ImageTooLarge, ImageUnsupported, InvalidChange, MediaNotFound
from services.feeds.changes import WrongChange
from services.signatures import media_type, not_an_image

BESIDE = 64 << 10
"""Bytes that a form may have beside its parts: boundaries and headers."""


def checked_picture(data: bytes) -> bytes:
    """The bytes of an image, which is looked at closer by whoever decodes it. Raises `ImageError`s."""
    if media_type(data) is None:
        raise ImageUnsupported(not_an_image(data))
    return data


def is_picture(mimetype: str) -> bool:
    """Whether a body of this content type is an image."""
    return mimetype.startswith("image/") or mimetype == "application/octet-stream"


def picture_body() -> tuple[bytes, str]:
    """The body as an image, and the digest of the request. Raises `ImageError`s."""
    limit = context().settings.max_image_bytes
    body = Body(limit)
    try:
        return checked_picture(body.all()), body.digest
    except BodyTooLarge:
        raise _too_large(limit) from None


def picture_form(others: Mapping[str, int]) -> tuple[dict[str, bytes], str]:
    """The parts of a form, of which `image` is one, and the digest of the request; `others` with their limits.

    Raises `RequestError`s, `ImageError`s.
    """
    limit = context().settings.max_image_bytes
    try:
        found = parts(Body(limit + sum(others.values()) + BESIDE), {"image": limit, **others})
    except BodyTooLarge:
        raise _too_large(limit) from None
    if "image" in found:
        checked_picture(found["image"])
    return found, digest(found)


def pictures_form(names: Collection[str], others: Mapping[str, int]) -> dict[str, bytes]:
    """The parts of a form, of which those of these names are images; `others` with their limits. The images together
    may have as many bytes as one.

    Raises `RequestError`s, `ImageError`s.
    """
    limit = context().settings.max_image_bytes
    try:
        found = parts(Body(limit + sum(others.values()) + BESIDE), {**dict.fromkeys(names, limit), **others})
    except BodyTooLarge:
        raise _too_large(limit) from None
    for name in sorted(found.keys() & names):
        try:
            checked_picture(found[name])
        except ImageUnsupported as error:
            raise ImageUnsupported(f"{name}: {error}") from error
    return found


def check_kept() -> None:
    """Raises `WrongChange` where uploaded images cannot wait here until they are encoded."""
    if context().settings.media_keep == "none":
        why = (
            "image: this service keeps no originals (LOOKALIKE_MEDIA_KEEP=none), so none can wait here; send image_url."
        )
        raise WrongChange("image", InvalidChange(why))


def store(image: bytes) -> str:
    """Stores an uploaded image and returns its hash. Raises `DataFull`, `DataNotWritable`."""
    here = context()
    here.catalogs.intake.check_space(len(image))
    return here.media.put(image)


def missing(hashes: Sequence[str]) -> list[str]:
    """Which of these name no uploaded image; the others count as uploaded now."""
    return context().media.missing(hashes)


def not_uploaded(hash: str) -> WrongChange:
    """The refusal of a change whose image is not there."""
    why = f"image: no image {hash[:12]}... is stored here; upload it first, with POST /v1/catalogs/CATALOG/images."
    return WrongChange("image", MediaNotFound(why))


def _too_large(max_bytes: int) -> ImageTooLarge:
    return ImageTooLarge(
        f"The image has more than the {max_bytes:,} bytes that are allowed; send a smaller file or raise "
        "LOOKALIKE_MAX_IMAGE_BYTES."
    )
