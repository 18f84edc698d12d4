"""The pictures that terms of queries name by URLs."""

from collections.abc import Iterable

from api.context import context
from api.ingest import waiting
from api.requests import navigation
from api.requests.query import refused
from services.errors import ImageTooLarge
from services.query.query import MAX_PICTURES


def fetched(examples: Iterable[navigation.Example]) -> dict[str, bytes]:
    """What the URLs of examples give now, each fetched once; together as much as one image may be.

    Raises `RequestInvalid`, `FetchError`s, `ImageError`s, `TooManyWaits`.
    """
    urls = sorted({each.image_url for each in examples if each.image_url is not None})
    if len(urls) > MAX_PICTURES:
        raise refused("image_url", f"the query names {len(urls)} pictures; it may name {MAX_PICTURES}")
    if not urls:
        return {}
    found: dict[str, bytes] = {}
    limit = context().settings.max_image_bytes
    with waiting(context(), "send the images themselves, or this later"):
        for url in urls:
            found[url] = context().fetch(url)
            if sum(map(len, found.values())) > limit:
                raise ImageTooLarge(
                    f"The pictures at the URLs of the query have more than {limit:,} bytes together: name fewer, or "
                    "smaller ones."
                )
    return found
