"""What browsers send besides: the beginning of a session, and URLs of pictures that open without a key."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from api.requests.models import JsonBody, NeighborsPage, QueryParameters, whole
from services.hashes import SHA256

MAX_SIGNED = 7 * 24 * 3600
Signed = Annotated[
    int,
    Field(
        ge=60,
        le=MAX_SIGNED,
        description="Answer with URLs of pictures that open without a key for so many seconds, or up to twice as long: "
        "they are the same for a while, so that caches know them.",
    ),
    BeforeValidator(whole),
]


class Signs(QueryParameters):
    sign: Signed | None = None


class SignedNeighborsPage(NeighborsPage):
    sign: Signed | None = None


class Picture(QueryParameters):
    """Of a URL of a picture as the service made it; a URL that is made by hand needs none of it."""

    v: Annotated[
        str | None,
        Field(pattern=f"^{SHA256.pattern}$", description="SHA-256 of the original: this picture, and no later one."),
    ] = None
    expires: Annotated[
        str | None, Field(pattern="^[0-9]{1,12}$", description="Of a signed URL: when it ends, as Unix time.")
    ] = None
    signature: Annotated[
        str | None, Field(max_length=100, description="Of a signed URL: it opens this picture without a key.")
    ] = None


class NewSession(JsonBody):
    key: Annotated[str, Field(min_length=1, max_length=512, description="An API key.")]
