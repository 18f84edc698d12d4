"""URLs of the service in its answers: as others reach it, which LOOKALIKE_PUBLIC_URL says; else their paths."""

from dataclasses import dataclass
from typing import Any

from flask import Response, request, url_for

from api.context import context
from api.responses import schemas
from services.errors import Conflict


def link(endpoint: str, **values: Any) -> str:
    """The URL of a route."""
    return _as_seen(url_for(endpoint, **values))


@dataclass(frozen=True, slots=True)
class Signing:
    """Signs the URLs of pictures of a catalog; `seconds`: for how long they open without a key, None: none is told."""

    catalog: str
    seconds: int | None

    def urls(self, product_id: str, image: str | None) -> schemas.SignedUrls | None:
        """Those of a product whose picture has this SHA-256: they are of this one, and of none that it gets later.

        Raises:
            Conflict: Nothing can be signed here.
        """
        if self.seconds is None or image is None:
            return None
        values = {"catalog": self.catalog, "product_id": product_id, "v": image}
        url, small = (
            link(name, **_signed(name, values, self.seconds)) for name in ("images.image", "images.thumbnail")
        )
        return schemas.SignedUrls(url=url, thumbnail_url=small)


def _signed(endpoint: str, values: dict[str, str], seconds: int) -> dict[str, str]:
    entrance = context().entrance
    # Without keys a URL opens as it is, to whom the service answers at all.
    if entrance.keyring is None:
        return values
    if entrance.pictures is None:
        raise Conflict(
            "URLs cannot be signed here: the secret for it cannot be kept beside the keys file (the log of the service "
            "says why). Leave out sign."
        )
    return entrance.pictures.signed(endpoint, values, seconds)


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
