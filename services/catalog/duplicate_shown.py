"""Groups of duplicates as they are shown: pictures opened for their sizes, and which product to keep."""

from collections.abc import Mapping, Sequence

from services.catalog.duplicate_view import Outline
from services.catalog.picture_sizes import PictureSizes, Size
from services.explore.duplicate_groups import SHOWN, Group, Member, suggested

MOST_SIZED = 50
"""Pictures of a group that are opened; where it has more, their sizes are not compared."""
MOST_OPENED = 1000
"""Pictures that are opened for one answer, which bounds its time. A page of the default limit needs no more; what the
answers before have opened is remembered."""
NOT_COMPARED = "; sizes of pictures are not compared, as too many would be opened"

Sizes = Mapping[str, Size | None]


def shown(groups: Sequence[Outline], sizes: PictureSizes) -> tuple[Group, ...]:
    """Groups with their members. The first in order have the sizes of their pictures; of the others `Group.why` says
    that they were not compared."""
    images = [{point.image for point in each.points if point.image} for each in groups]
    found = sizes.of([each for each in images if len(each) <= MOST_SIZED], MOST_OPENED)
    return tuple(
        _group(group, found if len(each) <= MOST_SIZED and found.keys() >= each else None)
        for group, each in zip(groups, images, strict=True)
    )


def _group(group: Outline, sizes: Sizes | None) -> Group:
    """A group; `sizes` are those of all its pictures, None where they were not opened."""
    members, decided = _members(group, sizes or {}), group.decided
    keep, why, to_remove = [], "", []
    if decided is None:
        best, why = suggested(members)
        keep, why = [best], why + (NOT_COMPARED if sizes is None else "")
    elif decided.decision == "remove":
        keep, why = [each.product_id for each in members if each.product_id in decided.keep], "it was decided"
        # Where none is sure to stay of those that were to, the last ones of that picture must not go.
        stays = not group.overruled.issuperset(keep)
        no = {*keep, *group.overruled}
        to_remove = [each.product_id for each in members if stays and each.product_id not in no]
    first = sorted(members, key=lambda each: (each.product_id not in keep, each.product_id))[:SHOWN]
    return Group(
        *(group.id, group.kind, group.is_placeholder, len(members), tuple(first), tuple(keep), why),
        decision=decided.decision if decided else None,
        to_remove=tuple(to_remove),
        decided_at=decided.decided_at if decided else None,
    )


def _members(group: Outline, sizes: Sizes) -> list[Member]:
    return [
        Member(
            *(each.product_id, each.attributes, each.image, each.version),
            *(sizes.get(each.image or "") or (None, None)),
        )
        for each in group.points
    ]
