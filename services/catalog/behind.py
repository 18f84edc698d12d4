"""What one generation lacks of another, found by comparing versions and image hashes."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from services.index.vector_index import VectorIndex
from services.records import AttributeUpdate, Point, Tombstone


@dataclass(frozen=True, slots=True)
class Lack:
    """A product whose image the target has not; `here` is what it has of it."""

    point: Point
    here: Point | None


@dataclass(frozen=True, slots=True)
class Behind:
    """What the target lacks of some products: removals, attributes and versions, and vectors."""

    tombstones: list[Tombstone] = field(default_factory=list)
    updates: list[AttributeUpdate] = field(default_factory=list)
    lacks: list[Lack] = field(default_factory=list)

    @property
    def product_ids(self) -> list[str]:
        removed = [each.product_id for each in self.tombstones]
        updated = [each.product_id for each in self.updates]
        return removed + updated + [each.point.product_id for each in self.lacks]


def behind(source: VectorIndex, target: VectorIndex, product_ids: Sequence[str]) -> Behind:
    """What the target lacks of these products."""
    theirs, ours = _stored(source, product_ids), _stored(target, product_ids)
    found = Behind()
    for product_id in product_ids:
        (point, version), (here, own) = theirs[product_id], ours[product_id]
        if version is None or (own is not None and own > version):
            continue
        if point is None:
            if own != version:
                found.tombstones.append(Tombstone(product_id, version, time.time()))
        elif here and here.image == point.image and point.image is not None:
            if own != version:
                found.updates.append(AttributeUpdate(product_id, version, point.attributes, point.image, point.url))
        elif own != version or (here and here.image != point.image):
            found.lacks.append(Lack(point, here))
    return found


def _stored(index: VectorIndex, product_ids: Sequence[str]) -> dict[str, tuple[Point | None, int | None]]:
    """The points of products, and the versions, which removed ones have, too."""
    # First: what changes between both is then found, or is a removal with too low a version, which the next comparison
    # corrects. The other way around, a removal would get the version of a put that came then, and hide it for good.
    versions = dict(zip(product_ids, index.versions(product_ids), strict=True))
    points = dict(zip(product_ids, index.get(product_ids), strict=True))
    return {
        product_id: (point, versions[product_id] if point is None else point.version)
        for product_id, point in points.items()
    }
