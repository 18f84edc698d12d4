"""Duplicates: products whose pictures are the same, or nearly."""

from typing import Literal, get_args

from services.hashes import are_near_duplicates
from services.query.likeness import Hashes

Kind = Literal["same_bytes", "same_picture", "near_duplicate"]
"""How alike two pictures are: their files are the same; or what is seen in them, as far as perceptual hashes tell; or
that nearly, so that one may be the other one stored otherwise, smaller, cropped, lit or with a border."""
KINDS: tuple[Kind, ...] = get_args(Kind)

CANDIDATES = 20
"""So many nearest products of each one are looked at: never all pairs."""
PERCENTILE = 99.0
"""The percentile, of random pairs of the generation, below which two products are no candidates. A cosine would mean
something else with every encoder."""


def kind_of(one: Hashes, other: Hashes) -> Kind | None:
    """What duplicates two pictures are; None: none. Vectors cannot tell: a mirror image, or another color, is as near
    as a copy."""
    if one.image is not None and one.image == other.image:
        return "same_bytes"
    if one.perceptual is None or other.perceptual is None:
        return None
    if one.perceptual == other.perceptual:
        return "same_picture"
    return "near_duplicate" if are_near_duplicates(one.perceptual, other.perceptual) else None
