"""What a catalog keeps as objects in media, for whoever copies it."""

from collections.abc import Iterator

from services.descriptions import CatalogSpec, as_live, live
from services.errors import FeaturesNotFound
from services.storage.media import Media


def objects(media: Media, spec: CatalogSpec) -> Iterator[tuple[str, bytes]]:
    """The objects of a catalog and of its live generation, with their hashes.

    Raises `FeaturesNotFound` where one is gone, unless it is the space, which is made anew.
    """
    for hash in as_live(spec, live(spec)).objects:
        try:
            yield hash, media.read_object(hash)
        except FeaturesNotFound:
            if hash != spec.space:
                raise
