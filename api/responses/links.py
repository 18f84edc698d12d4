"""URLs of the service in its answers: as others reach it, which LOOKALIKE_PUBLIC_URL says; else their paths."""

from typing import Any

from flask import Response, request, url_for

from api.context import context
from services.errors import Conflict


def link(endpoint: str, **values: Any) -> str:
    """The URL of a route."""
    return _as_seen(url_for(endpoint, **values))


def picture_links(catalog: str, product_id: str, image: str, sign: int | None) -> tuple[str, str]:
    """The URLs of a product's picture and of its thumbnail.

    Args:
        catalog: The catalog's name.
        product_id: The product.
        image: SHA-256 of its picture: the URLs are of this one, and of none that it gets later.
        sign: Seconds for which they are to open the picture without a key; None: they do not.

    Raises:
        Conflict: Nothing can be signed here.
    """
    values = {"catalog": catalog, "product_id": product_id, "v": image}
    picture, thumbnail = (link(name, **_signed(name, values, sign)) for name in ("images.image", "images.thumbnail"))
    return picture, thumbnail


def _signed(endpoint: str, values: dict[str, str], sign: int | None) -> dict[str, str]:
    entrance = context().entrance
    # Without keys a URL opens as it is, to whom the service answers at all.
    if sign is None or entrance.keyring is None:
        return values
    if entrance.pictures is None:
        raise Conflict(
            "URLs cannot be signed here: the secret for it cannot be kept beside the keys file (the log of the service "
            "says why). Leave out sign."
        )
    return entrance.pictures.signed(endpoint, values, sign)


def base() -> str:
    """What the paths of the API are below, without a slash at its end."""
    public = context().entrance.public
    return str(public) if public else request.host_url.rstrip("/")


def located(response: Response) -> Response:
    """The answer, its header `Location` as others reach it."""
    if response.location is not None:
        response.location = _as_seen(response.location)
    return response


def _as_seen(path: str) -> str:
    """A path as `url_for` makes it, which begins with that of the public URL already."""
    public = context().entrance.public
    return public.origin + path if public and path.startswith("/") else path
