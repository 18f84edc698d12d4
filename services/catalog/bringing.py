"""Bringing products to another generation: its index becomes what that of the one they come from is.

Whatever is behind there is found by comparing versions, so this may be repeated, cut off anywhere, and done by several
at once; what is newer there stays.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from services.catalog.behind import Behind, behind
from services.catalog.features import normalized
from services.catalog.open_generation import OpenGeneration
from services.catalog.pictures import Wanted, kept_nowhere, taken
from services.errors import ImageCorrupt, ImageFeatureless, IndexUnavailable, LookalikeError, MediaNotFound
from services.failpoints import hit
from services.images.intake import Intake, Picture
from services.records import ImageSource, Outcome, Point, RemoteImage, Revision, StoredImage, Tombstone, failed

ROUNDS = 10
"""How often products are tried that others change at the same time."""

Pictures = Mapping[str, Picture]
"""Images that are in memory, by the SHA-256 of their bytes."""


@dataclass(frozen=True, slots=True)
class Brought:
    """What became of products: how many were behind and are not any more, why others still are, and which have another
    image now, because their URL gives another one than the product had."""

    count: int = 0
    faults: Sequence[Outcome] = ()
    changed: Sequence[str] = ()


@dataclass(slots=True)
class Run:
    """One call of `bring`: the images at hand, by hash, and what is known of products so far."""

    pictures: dict[str, Picture]
    faults: dict[str, Outcome] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)

    def fail(self, product_id: str, error: LookalikeError) -> None:
        self.faults[product_id] = failed(product_id, error)


@dataclass(frozen=True, slots=True)
class Bringing:
    """Brings products from one generation to another, whose vectors it makes with the encoder of that.

    Attributes:
        source: Where products are taken from.
        target: What gets them.
        intake: Where images come from.
        check_space: Raises `DataFull` where so many bytes should not be written.
        fetches: Whether an image whose original is kept nowhere is fetched from the product's URL.
    """

    source: OpenGeneration
    target: OpenGeneration
    intake: Intake
    check_space: Callable[[int], None]
    fetches: bool = True

    def bring(self, product_ids: Sequence[str], pictures: Pictures | None = None) -> Brought:
        """Makes the target have what the source has of these products: versions, attributes, image hashes, removals.

        A product whose image the target has keeps its vector there. Other images are taken out of `pictures`, from
        where originals are kept, or from the product's URL, and encoded. Where the URL gives another image than it did,
        both get that one, unless the product has changed meanwhile. What cannot be had or encoded is a fault, and stays
        as it was.

        Raises what is no product's fault: `IndexUnavailable`, `EncoderError`s, `EncoderMismatch`, `DataFull`,
        `DecodingUnavailable`, `Closed`.
        """
        run = Run(dict(pictures or {}))
        left: Sequence[str] = list(dict.fromkeys(product_ids))
        first: int | None = None
        for _ in range(ROUNDS):
            lacking = behind(self.source.index, self.target.index, [each for each in left if each not in run.faults])
            left = lacking.product_ids
            first = len(left) if first is None else first
            if not left:
                return Brought(max(first - len(run.faults), 0), [*run.faults.values()], run.changed)
            self._write(lacking, run)
        raise IndexUnavailable(f"Product {left[0]!r} changes faster than it can be brought to {self.target.id}.")

    def _write(self, lacking: Behind, run: Run) -> None:
        """Writes what is behind. It is to be compared again: others may have changed it meanwhile."""
        self.check_space(0)
        wanted = [each.point for each in lacking.lacks]
        encoded = self._encoded(wanted, self._pictures(wanted, run), self.target, run)
        points: list[Point | Tombstone] = [*lacking.tombstones]
        revisions = []
        for each in lacking.lacks:
            if point := encoded.get(each.point.product_id):
                if each.here and each.here.version == point.version:
                    revisions.append(Revision(point, each.here.image))
                else:
                    points.append(point)
        hit("bring")
        index = self.target.index
        if points:
            index.upsert(points)
        if revisions:
            index.revise(revisions)
        if lacking.updates:
            index.update_attributes(lacking.updates)
        index.flush()
        hit("brought")

    def _encoded(
        self, points: Sequence[Point], pictures: Mapping[str, Picture], generation: OpenGeneration, run: Run
    ) -> dict[str, Point]:
        """The points with the vectors that a generation makes of their pictures, those of which it can."""
        ready = [each for each in points if each.product_id in pictures]
        if not ready:
            return {}
        pixels = [pictures[each.product_id].forms[generation.form] for each in ready]
        made = {}
        for each, raw in zip(ready, generation.encode(np.stack(pixels)), strict=True):
            picture = pictures[each.product_id]
            try:
                vector, norm = normalized(raw)
            except ImageFeatureless as error:
                run.fail(each.product_id, error)
                continue
            # Of the same image the perceptual hash stays what it was, also where it is not known.
            hash = each.perceptual if each.image == picture.hash else picture.perceptual
            made[each.product_id] = replace(each, vector=vector, norm=norm, image=picture.hash, perceptual=hash)
        return made

    def _pictures(self, points: Sequence[Point], run: Run) -> dict[str, Picture]:
        """The pictures of products, those that can be had."""
        found: dict[str, Picture] = {}
        for each in points:
            picture = run.pictures.get(each.image or "")
            if picture and self.target.form in picture.forms:
                found[each.product_id] = picture
        wanted = [each for each in points if each.product_id not in found]
        kept = taken([(each, StoredImage(each.image)) for each in wanted if each.image], self.intake, self.target.form)
        elsewhere: list[tuple[Point, ImageSource]] = []
        for each in wanted:
            picture_or_fault = kept.get(each.product_id)
            if isinstance(picture_or_fault, Picture):
                found[each.product_id] = picture_or_fault
            elif picture_or_fault is not None and not isinstance(picture_or_fault, MediaNotFound):
                run.fail(each.product_id, picture_or_fault)
            elif each.url and self.fetches:
                elsewhere.append((each, RemoteImage(each.url)))
            else:
                run.fail(each.product_id, _missing(each))
        return found | self._fetched(elsewhere, run)

    def _fetched(self, wanted: Wanted, run: Run) -> dict[str, Picture]:
        """The pictures at the URLs of products that are still those of the products.

        One that is another becomes the product's in the source, and is at hand when the products are compared again.
        """
        found: dict[str, Picture] = {}
        others: dict[str, Picture] = {}
        fetched = taken(wanted, self.intake, self.target.form, [self.source.form])
        for product_id, picture in fetched.items():
            if not isinstance(picture, Picture):
                run.fail(product_id, picture)
            elif self.source.form not in picture.forms:
                run.fail(product_id, ImageCorrupt("The image decodes for one encoder only; take another image."))
            else:
                run.pictures[picture.hash] = picture
                others[product_id] = picture
        for each, _ in wanted:
            if each.product_id in others and others[each.product_id].hash == each.image:
                found[each.product_id] = others.pop(each.product_id)
        encoded = self._encoded([each for each, _ in wanted], others, self.source, run)
        revisions = [Revision(encoded[each.product_id], each.image) for each, _ in wanted if each.product_id in encoded]
        if revisions:
            done = self.source.index.revise(revisions)
            self.source.index.flush()
            run.changed += [each.point.product_id for each, is_done in zip(revisions, done, strict=True) if is_done]
        return found


def _missing(point: Point) -> MediaNotFound:
    if point.url:
        return MediaNotFound(f"The original of product {point.product_id!r} is to be fetched from its URL by a build.")
    return kept_nowhere(point)
