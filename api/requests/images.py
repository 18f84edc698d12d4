"""Images that come with a request: as its body, or as a part of a form."""

from collections.abc import Mapping

from api.context import context
from api.errors import BodyTooLarge
from api.requests.body import Body
from api.requests.form import digest, parts
from services.errors import ImageTooLarge, ImageUnsupported
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


def _too_large(max_bytes: int) -> ImageTooLarge:
    return ImageTooLarge(
        f"The image has more than the {max_bytes:,} bytes that are allowed; send a smaller file or raise "
        "LOOKALIKE_MAX_IMAGE_BYTES."
    )
