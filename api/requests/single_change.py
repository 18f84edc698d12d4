"""One change of one product: JSON, a form, or the image itself."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from flask import request

from api.requests import strict_json
from api.requests.body import MAX_JSON, Body, target_sha, unsupported
from api.requests.images import check_kept, is_picture, missing, not_uploaded, picture_body, picture_form, store
from services.attributes import MAX_BYTES, checked_attributes
from services.errors import InvalidChange
from services.feeds.changes import WrongChange, parse_change
from services.kinds import Kinds
from services.names import checked_new_product_id, checked_product_id
from services.records import Attributes, Change, ChangeKind, StoredImage

Made = tuple[Callable[[], Change], str]
"""What makes the change, its image being stored by then, and the digest of the request."""


def one_change(kind: ChangeKind, product_id: str, kinds: Kinds) -> Made:
    """The change that the request writes. Raises `RequestError`s, `WrongChange`, `InvalidInput`s, `ImageError`s.

    Whether values of attributes are of the declared kinds is looked at when the change is made: the repetition of a
    request that was accepted before a kind was declared makes none. That raises `InvalidAttributes`.
    """
    is_put = kind is ChangeKind.PUT
    (checked_new_product_id if is_put else checked_product_id)(product_id)
    if kind is ChangeKind.DELETE:
        return lambda: Change(product_id, kind), target_sha().hexdigest()
    if request.mimetype == "application/json":
        return _of_json(kind, product_id, kinds)
    if request.mimetype == "multipart/form-data":
        return _of_form(kind, product_id, kinds)
    if is_put and is_picture(request.mimetype):
        image, digest = picture_body()
        return _with_image(kind, product_id, image, None, kinds), digest
    raise unsupported("application/json", "multipart/form-data", *(["image/*"] if is_put else []))


def _of_json(kind: ChangeKind, product_id: str, kinds: Kinds) -> Made:
    body = Body(MAX_JSON)
    value = strict_json.parsed(body.all())
    if isinstance(value, dict):
        for name in value.keys() & {"product_id", "op"}:
            raise WrongChange(name, InvalidChange(f"{name}: unknown field; the URL and the method say it."))
        value |= {"product_id": product_id, "op": kind.value}
    change = parse_change(value)

    def made() -> Change:
        judged = replace(change, attributes=_judged(change.attributes, kinds))
        if isinstance(change.image, StoredImage) and missing([change.image.hash]):
            raise not_uploaded(change.image.hash)
        return judged

    return made, body.digest


def _of_form(kind: ChangeKind, product_id: str, kinds: Kinds) -> Made:
    found, digest = picture_form({"attributes": 2 * MAX_BYTES})
    attributes: dict[str, Any] | None = None
    if "attributes" in found:
        attributes = checked_attributes(strict_json.parsed(found["attributes"], "attributes"))
    if "image" in found:
        return _with_image(kind, product_id, found["image"], attributes, kinds), digest
    if kind is ChangeKind.PUT or attributes is None:
        raise WrongChange("image", InvalidChange("image: the form needs this part, with the file."))
    return lambda: Change(product_id, kind, None, _judged(attributes, kinds)), digest


def _with_image(
    kind: ChangeKind, product_id: str, image: bytes, attributes: Attributes | None, kinds: Kinds
) -> Callable[[], Change]:
    check_kept()

    def made() -> Change:
        judged = _judged(attributes, kinds)
        return Change(product_id, kind, StoredImage(store(image)), judged)

    return made


def _judged(attributes: Attributes | None, kinds: Kinds) -> Attributes | None:
    return None if attributes is None else kinds.checked(attributes)
