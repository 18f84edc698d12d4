"""Changes of products: what is put, patched and deleted, and where its picture is."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any, TypeAlias

from lookalike.records import Image

ImageSource: TypeAlias = Path | bytes | str | Image
"""A file, the bytes of one, the URL of a picture, which the service fetches, or a picture that the service has."""


@dataclass(frozen=True, slots=True)
class Put:
    """Sets a product. `attributes` replace what is stored; None keeps it."""

    product_id: str
    image: ImageSource
    attributes: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Patch:
    """Changes a product that is there. `attributes` are merged into what is stored: None removes a name."""

    product_id: str
    attributes: Mapping[str, Any] | None = None
    image: ImageSource | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Removes a product."""

    product_id: str


Change: TypeAlias = Put | Patch | Delete


def is_local(image: ImageSource | None) -> bool:
    """Whether a picture has to be sent."""
    return isinstance(image, Path | bytes)


def image_fields(image: ImageSource | None) -> dict[str, str]:
    """How a change names a picture that is a URL, or that the service has. Raises `ValueError` for a text that is no
    URL."""
    if isinstance(image, Image):
        return {"image": image.hash}
    if isinstance(image, str):
        if "://" not in image:
            raise ValueError(f"{image[:80]!r} is no URL: name a file as pathlib.Path(...)")
        return {"image_url": image}
    return {}


def line_of(change: Change, hash: str | None) -> dict[str, Any]:
    """A change as a line of a feed; `hash` is that of its picture where it was sent."""
    if isinstance(change, Delete):
        return {"product_id": change.product_id, "op": "delete"}
    line: dict[str, Any] = {"product_id": change.product_id}
    if isinstance(change, Patch):
        line["op"] = "patch"
    line |= {"image": hash} if hash else image_fields(change.image)
    if change.attributes is not None:
        line["attributes"] = change.attributes
    return line


def hash_of(image: Path | bytes) -> str:
    """The SHA-256 of a picture in hex. Raises `OSError`."""
    if isinstance(image, bytes):
        return sha256(image).hexdigest()
    with image.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def bytes_of(image: Path | bytes) -> bytes:
    """Raises `OSError`."""
    return image if isinstance(image, bytes) else image.read_bytes()
