"""Bringing products to another generation: its index becomes what that of the one they come from is.

Whatever is behind there is found by comparing versions, so this may be repeated, cut off anywhere, and done by several
at once; what is newer there stays.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

import numpy as np

from services.catalog.features import normalized
from services.catalog.open_generation import OpenGeneration
from services.errors import ImageFeatureless, IndexUnavailable, LookalikeError, MediaNotFound
from services.failpoints import hit
from services.images.intake import Form, Intake, Picture, nothing
from services.index.vector_index import VectorIndex
from services.records import (
    AttributeUpdate,
    ImageSource,
    Outcome,
    Pixels,
    Point,
    StoredImage,
    Tombstone,
    failed,
)

ROUNDS = 10
"""How often products are tried that others change at the same time."""

Pictures = Mapping[str, Picture]
"""Images that are in memory, by the SHA-256 of their bytes."""


@dataclass(frozen=True, slots=True)
class Brought:
    """What became of products: how many were behind and are not any more, and why others still are."""

    count: int = 0
    faults: Sequence[Outcome] = ()


@dataclass(frozen=True, slots=True)
class Behind:
    """What the target lacks of some products: removals, attributes and versions, and vectors."""

    tombstones: list[Tombstone] = field(default_factory=list)
    updates: list[AttributeUpdate] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)

    @property
    def product_ids(self) -> list[str]:
        removed = [each.product_id for each in self.tombstones]
        return removed + [each.product_id for each in self.updates] + [each.product_id for each in self.points]


@dataclass(frozen=True, slots=True)
class Bringing:
    """Brings products from one generation to another, whose vectors it makes with the encoder of that.

    Attributes:
        source: Where products are taken from.
        target: What gets them.
        intake: Where images come from.
        check_space: Raises `DataFull` where so many bytes should not be written.
    """

    source: VectorIndex
    target: OpenGeneration
    intake: Intake
    check_space: Callable[[int], None]

    def bring(self, product_ids: Sequence[str], pictures: Pictures | None = None) -> Brought:
        """Makes the target have what the source has of these products: versions, attributes, image hashes, removals.

        A product whose image the target has keeps its vector there. Other images are taken out of `pictures` or from
        where originals are kept, and encoded. What cannot be had or encoded is a fault, and stays as it was.

        Raises what is no product's fault: `IndexUnavailable`, `EncoderError`s, `EncoderMismatch`, `DataFull`,
        `DecodingUnavailable`, `Closed`.
        """
        faults: dict[str, Outcome] = {}
        left: Sequence[str] = list(dict.fromkeys(product_ids))
        first: int | None = None
        for _ in range(ROUNDS):
            lacking = behind(self.source, self.target.index, [each for each in left if each not in faults])
            first = len(lacking.product_ids) if first is None else first
            if not lacking.product_ids:
                return Brought(max(first - len(faults), 0), [*faults.values()])
            left = self._write(lacking, pictures or {}, faults)
        raise IndexUnavailable(f"Product {left[0]!r} changes faster than it can be brought to {self.target.id}.")

    def _write(self, lacking: Behind, pictures: Pictures, faults: dict[str, Outcome]) -> list[str]:
        """Writes what is behind; returns the products that are to be compared again, as others may have changed them
        meanwhile."""
        self.check_space(0)
        points = self._encoded(lacking.points, pictures, faults)
        hit("bring")
        index = self.target.index
        if points or lacking.tombstones:
            index.upsert([*points, *lacking.tombstones])
        if lacking.updates:
            index.update_attributes(lacking.updates)
        index.flush()
        hit("brought")
        return lacking.product_ids

    def _encoded(self, points: Sequence[Point], pictures: Pictures, faults: dict[str, Outcome]) -> list[Point]:
        """The points with the target's vectors, those of which can be made."""
        form = self.target.form
        pixels = self._pixels(points, form, pictures, faults)
        ready = [each for each in points if each.product_id in pixels]
        if not ready:
            return []
        features = self.target.encode(np.stack([pixels[each.product_id] for each in ready]))
        made = []
        for each, raw in zip(ready, features, strict=True):
            try:
                vector, norm = normalized(raw)
            except ImageFeatureless as error:
                faults[each.product_id] = failed(each.product_id, error)
                continue
            made.append(replace(each, vector=vector, norm=norm))
        return made

    def _pixels(
        self, points: Sequence[Point], form: Form, pictures: Pictures, faults: dict[str, Outcome]
    ) -> dict[str, Pixels]:
        """The pixels of products, those that can be had."""
        found: dict[str, Pixels] = {}
        wanted: list[tuple[Point, ImageSource]] = []
        for each in points:
            picture = pictures.get(each.image or "")
            if picture and form in picture.forms:
                found[each.product_id] = picture.forms[form]
            elif each.image is None:
                faults[each.product_id] = failed(each.product_id, _missing(each.product_id))
            else:
                wanted.append((each, StoredImage(each.image)))
        if not wanted:
            return found
        taken = self.intake.pictures([(source, None) for _, source in wanted], *form, nothing)
        for (each, _), picture_or_fault in zip(wanted, taken, strict=True):
            assert not isinstance(picture_or_fault, Future) and picture_or_fault is not None, "neither late nor known"
            if isinstance(picture_or_fault, Picture):
                found[each.product_id] = picture_or_fault.pixels
            else:
                is_missing = isinstance(picture_or_fault, MediaNotFound)
                fault: LookalikeError = _missing(each.product_id) if is_missing else picture_or_fault
                faults[each.product_id] = failed(each.product_id, fault)
        return found


def behind(source: VectorIndex, target: VectorIndex, product_ids: Sequence[str]) -> Behind:
    """What the target lacks of these products."""
    found = Behind()
    theirs = source.get(product_ids)
    gone = [each for each, point in zip(product_ids, theirs, strict=True) if point is None]
    removed = dict(zip(gone, source.versions(gone), strict=True)) if gone else {}
    # After the source: what is written there and here meanwhile counts as brought, and not as behind.
    versions = target.versions(product_ids)
    stale = [
        (product_id, point, version)
        for product_id, point, version in zip(product_ids, theirs, versions, strict=True)
        if (removed.get(product_id) if point is None else point.version) not in (None, version)
    ]
    ours = target.get([product_id for product_id, _, _ in stale])
    for (product_id, point, version), here in zip(stale, ours, strict=True):
        newest = removed[product_id] if point is None else point.version
        if newest is None or (version is not None and version > newest):
            continue
        if point is None:
            found.tombstones.append(Tombstone(product_id, newest, time.time()))
        elif here and here.image == point.image and point.image is not None:
            found.updates.append(AttributeUpdate(product_id, newest, point.attributes, point.image))
        else:
            found.points.append(point)
    return found


def _missing(product_id: str) -> MediaNotFound:
    return MediaNotFound(
        f"The original image of product {product_id!r} is kept nowhere, so it cannot be encoded again: put the product "
        "again with its image."
    )
