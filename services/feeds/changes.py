"""Parsing of changes in JSON: `{"product_id", "image_url" or "image", "attributes", "op"}`."""

import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from services.attributes import checked_attributes
from services.errors import InvalidAttributes, InvalidChange, InvalidProductID, LookalikeError
from services.hashes import SHA256
from services.names import checked_new_product_id, checked_product_id
from services.outbound.urls import checked_url
from services.records import Change, ChangeKind, RemoteImage, StoredImage

KINDS = {kind.value: kind for kind in ChangeKind}
USUAL_URL = re.compile(
    r"https?://(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,8}[a-z]{2,20}(?::[1-9][0-9]{0,3})?(?:/[!-[\]-~]{0,1000})?"
)
"""A subset of what `checked_url` accepts: it covers most URLs of a feed, at a thirtieth of the time."""

FIELDS = frozenset({"product_id", "image_url", "image", "attributes", "op"})


class WrongChange(Exception):
    """A value that is not a valid change: the reason, and the field that is wrong."""

    def __init__(self, field: str | None, error: LookalikeError) -> None:
        super().__init__(str(error))
        self.field = field
        self.error = error


def parse_change(value: object) -> Change:
    """Parses a decoded JSON value into a change. Raises `WrongChange`."""
    if not isinstance(value, dict):
        raise WrongChange(None, InvalidChange(f"A change is a JSON object, not {_kind(value)}."))
    if not value.keys() <= FIELDS:
        name = next(each for each in value if each not in FIELDS)
        _wrong(
            name[:120], f"{name[:120]}: unknown field; a change takes product_id, image_url or image, attributes, op."
        )
    product_id = _product_id(value)
    kind = _change_kind(value)
    if kind is ChangeKind.PUT:
        _of_product_id(checked_new_product_id, product_id)
    image = _image(value)
    attributes = _attributes(value)
    if kind is ChangeKind.PUT and image is None:
        _wrong("image_url", "image_url: a put needs it, or image; a patch is what changes attributes alone.")
    if kind is ChangeKind.PATCH and image is None and attributes is None:
        _wrong("attributes", "attributes: a patch needs attributes, an image (image_url or image) or both.")
    if kind is ChangeKind.DELETE and (image is not None or attributes is not None):
        _wrong("op", "op: a delete takes neither an image nor attributes.")
    return Change(product_id, kind, image, attributes)


def named(value: object) -> str:
    """The product ID in a decoded JSON value; an empty string if there is no valid one."""
    found = value.get("product_id") if isinstance(value, dict) else None
    try:
        return checked_product_id(found) if isinstance(found, str) else ""
    except InvalidProductID:
        return ""


def _product_id(value: Mapping[str, Any]) -> str:
    product_id = value.get("product_id")
    if not isinstance(product_id, str):
        _wrong("product_id", f"product_id: must be a string, not {_kind(product_id)}.")
    return _of_product_id(checked_product_id, product_id)


def _of_product_id(check: Callable[[str], str], product_id: str) -> str:
    try:
        return check(product_id)
    except InvalidProductID as error:
        raise WrongChange("product_id", error) from None


def _change_kind(value: Mapping[str, Any]) -> ChangeKind:
    name = value.get("op", "put")
    if not isinstance(name, str) or name not in KINDS:
        _wrong("op", f"op: must be one of {', '.join(KINDS)}.")
    return KINDS[name]


def _image(value: Mapping[str, Any]) -> RemoteImage | StoredImage | None:
    if "image" in value:
        return _uploaded(value)
    if "image_url" not in value:
        return None
    url = value["image_url"]
    if not isinstance(url, str):
        _wrong("image_url", f"image_url: must be a string, not {_kind(url)}.")
    try:
        return RemoteImage(url if USUAL_URL.fullmatch(url) else checked_url(url))
    except LookalikeError as error:
        raise WrongChange("image_url", error) from None


def _uploaded(value: Mapping[str, Any]) -> StoredImage:
    """The image that a hash names; whether it is there is asked when the change is accepted."""
    if "image_url" in value:
        _wrong("image", "image: a change takes image or image_url, not both.")
    hash = value["image"]
    if not isinstance(hash, str) or not SHA256.fullmatch(hash):
        _wrong("image", "image: must be the SHA-256 of an uploaded image, as 64 digits of 0-9 and a-f.")
    return StoredImage(hash)


def _attributes(value: Mapping[str, Any]) -> dict[str, Any] | None:
    if "attributes" not in value:
        return None
    try:
        return checked_attributes(value["attributes"])
    except InvalidAttributes as error:
        raise WrongChange("attributes", error) from None


def _wrong(field: str, why: str) -> NoReturn:
    raise WrongChange(field, InvalidChange(why))


def _kind(value: object) -> str:
    names = {str: "a string", bool: "true or false", int: "a number", float: "a number", list: "an array"}
    return "null" if value is None else names.get(type(value), "an object")
