"""What a catalog keeps as objects in media, for whoever copies it."""

from collections.abc import Iterator

from services.descriptions import CatalogSpec, as_live, live
from services.errors import DecisionsNotFound, DirectionNotFound, FeaturesNotFound
from services.storage.media import Media


def objects(media: Media, spec: CatalogSpec) -> Iterator[tuple[str, bytes]]:
    """The objects of a catalog and of its live generation, with their hashes.

    A space or a finding that is gone is left out, since it is made anew. Raises `FeaturesNotFound`, `DirectionNotFound`
    and `DecisionsNotFound` where another one is gone.
    """
    made_anew = {spec.space, *(each.object for each in spec.findings)}
    directions = {each.object: each.name for each in spec.directions}
    for hash in as_live(spec, live(spec)).objects:
        try:
            yield hash, media.read_object(hash)
        except FeaturesNotFound as error:
            if hash in directions:
                raise DirectionNotFound(
                    f"What direction {directions[hash]} of catalog {spec.name} has learned is not in media, or is "
                    "damaged: learn it again, or remove it."
                ) from error
            if hash == spec.decisions:
                raise decisions_lost(spec.name) from error
            if hash not in made_anew:
                raise


def decisions_lost(catalog: str) -> DecisionsNotFound:
    return DecisionsNotFound(
        f"What was decided about duplicates of catalog {catalog} is not in media, or is damaged: restore that folder "
        f"or a backup, or forget it with `lookalike duplicates forget --catalog {catalog}`, over HTTP DELETE "
        f"/v1/catalogs/{catalog}/duplicates/decisions."
    )
