"""Puts that are refused because another product shows their picture already, or nearly."""

from collections.abc import Mapping, Sequence

from services.catalog.matches import Match, matches_of_each
from services.catalog.plan import EncodedImage, PlannedChange
from services.errors import DuplicatePicture
from services.explore.duplicates import kind_of
from services.explore.kinds import Kind
from services.index.vector_index import VectorIndex
from services.query.likeness import Hashes
from services.records import ChangeKind, Outcome, failed

_SHOWS: Mapping[Kind, str] = {
    "same_bytes": "has the same file as picture as",
    "same_picture": "shows the same picture as",
    "near_duplicate": "shows nearly the same picture as",
}


def refused(
    index: VectorIndex, planned: Sequence[PlannedChange], encoded: Mapping[str, EncodedImage], lowest: float
) -> list[Outcome]:
    """The failures of changes of a batch that want it, whose new picture is a duplicate of another product's: of one in
    the catalog, or of an earlier change of the batch that is not refused itself.

    Earlier is what has the lower version; where changes have none, what is first in the batch. Pictures that this
    batch replaces or removes are no product's any more, so that a batch that is applied again finds the same. Those
    whose replacement is refused are: changes before it are judged again, as those of products that keep them.

    Args:
        index: Where the products are.
        planned: The changes of the batch.
        encoded: The new pictures, by product.
        lowest: The score below which none is a candidate: see `services.catalog.matches`.

    Raises `IndexUnavailable`.
    """
    # The sort is stable: those without a version keep their order.
    ordered = sorted(planned, key=lambda each: each.change.version or 0)
    stored = {each.product_id for each in planned if each.stored.point is not None}
    staying = set[str]()
    while True:
        outcomes = _judged(index, ordered, encoded, lowest, staying)
        # It only grows, so this ends: mostly at once, as new products have no picture to keep.
        more = {each.product_id for each in outcomes} & stored - staying
        if not more:
            return outcomes
        staying |= more


def _judged(
    index: VectorIndex,
    ordered: Sequence[PlannedChange],
    encoded: Mapping[str, EncodedImage],
    lowest: float,
    staying: set[str],
) -> list[Outcome]:
    """The failures of changes, in order, where products that are `staying` keep the picture that they have."""
    deleted = {each.product_id for each in ordered if each.change.kind is ChangeKind.DELETE}
    leaving = (deleted | encoded.keys()) - staying
    new = [(each, encoded[each.product_id]) for each in ordered if each.product_id in encoded]
    asking = {each.product_id: (picture.vector, _hashes(picture)) for each, picture in new if _asks(each)}
    found = matches_of_each(index, [*asking.values()], lowest, exclude=[*leaving])
    stored = dict(zip(asking, found, strict=True))
    accepted: dict[str, EncodedImage] = {}
    outcomes = []
    for each, picture in new:
        first = None
        if each.product_id in asking:
            first = _first(each.product_id, picture, accepted, stored[each.product_id], lowest)
        if first:
            outcomes.append(failed(each.product_id, _error(each.product_id, *first)))
        else:
            accepted[each.product_id] = picture
    return outcomes


def asks(planned: Sequence[PlannedChange], encoded: Mapping[str, EncodedImage]) -> bool:
    """Whether any of these changes with new pictures wants duplicates to be refused."""
    return any(_asks(each) and each.product_id in encoded for each in planned)


def _asks(planned: PlannedChange) -> bool:
    return planned.change.refuse_duplicates and planned.change.kind is ChangeKind.PUT


def _first(
    product_id: str,
    picture: EncodedImage,
    accepted: Mapping[str, EncodedImage],
    stored: Sequence[Match],
    lowest: float,
) -> tuple[str, Kind] | None:
    """The first product whose picture this one is a duplicate of: of the batch, then of the catalog; and what kind."""
    for other, theirs in accepted.items():
        if float(picture.vector @ theirs.vector) >= lowest:
            kind = kind_of(_hashes(theirs), _hashes(picture))
            if kind:
                return other, kind
    # No product is a duplicate of itself.
    others = ((each.neighbor.product_id, each.kind) for each in stored if each.neighbor.product_id != product_id)
    return next(others, None)


def _hashes(picture: EncodedImage) -> Hashes:
    return Hashes(picture.hash, picture.perceptual)


def _error(product_id: str, other: str, kind: Kind) -> DuplicatePicture:
    return DuplicatePicture(
        f"Product {product_id!r} {_SHOWS[kind]} product {other!r} ({kind}): leave it out, or put it without refusing "
        "duplicates."
    )
