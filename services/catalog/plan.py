"""What becomes of one change, decided from the change and from what is stored. Nothing here reads, writes or waits."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from services.attributes import checked_attributes, merged
from services.errors import InvalidChange, LookalikeError, ProductNotFound
from services.kinds import NO_KINDS, Kinds
from services.names import checked_new_product_id, checked_product_id
from services.records import (
    Attributes,
    AttributeUpdate,
    Change,
    ChangeKind,
    ImageSource,
    Outcome,
    Point,
    RemoteImage,
    State,
    Tombstone,
    Vector,
    failed,
)


@dataclass(frozen=True, slots=True)
class Stored:
    """What the index has of a product: its point if it is there, and its version.

    A removed product has no point, and the version of its tombstone; one that never was has version 0.
    """

    point: Point | None = None
    version: int = 0


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """The vector of a new image, of length one, the length its features had, and the image's two hashes."""

    vector: Vector = field(compare=False)
    norm: float
    hash: str
    perceptual: str


@dataclass(frozen=True, slots=True)
class Write:
    """What is to be written for a change, and how the change ends when that is written."""

    record: Point | Tombstone | AttributeUpdate
    state: State

    @property
    def product_id(self) -> str:
        return self.record.product_id


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """A change that what is stored does not already answer. `attributes` are those the product will have."""

    change: Change
    stored: Stored
    attributes: Attributes

    @property
    def product_id(self) -> str:
        return self.change.product_id

    @property
    def image(self) -> ImageSource | None:
        """The image to look at: it is encoded unless its hash is `stored_image`."""
        return None if self.change.kind is ChangeKind.DELETE else self.change.image

    @property
    def stored_image(self) -> str | None:
        """The hash of the image that the product has now."""
        return self.stored.point.image if self.stored.point else None

    @property
    def url(self) -> str | None:
        """The URL that the change names for its image."""
        return self.image.url if isinstance(self.image, RemoteImage) else None

    @property
    def state(self) -> State:
        """How the change ends if it brings no new image."""
        point = self.stored.point
        if self.change.kind is ChangeKind.DELETE:
            return State.APPLIED if point else State.UNCHANGED
        changes = point is None or not _same(self.attributes, point.attributes)
        return State.APPLIED if changes else State.UNCHANGED

    @property
    def writes(self) -> bool:
        """Whether something is to be written if it brings no new image.

        A version is recorded even where nothing else changes, and so is another URL of the same image. For a product
        that is not there, too: an older put may still be on its way.
        """
        is_moved = self.stored.point is not None and self.url not in (None, self.stored.point.url)
        return self.change.version is not None or self.state is not State.UNCHANGED or is_moved

    def write(self, version: int, now: float, encoded: EncodedImage | None = None) -> Write:
        """What to write.

        Args:
            version: The change's own version, or the next one where it has none.
            now: Unix epoch seconds, for a tombstone.
            encoded: The new image; None where there is none, or it is the stored one.
        """
        if encoded:
            point = Point(
                *(self.product_id, version, encoded.vector, encoded.norm, self.attributes),
                *(encoded.hash, encoded.perceptual, self.url),
            )
            return Write(point, State.APPLIED)
        if self.change.kind is ChangeKind.DELETE:
            return Write(Tombstone(self.product_id, version, now), self.state)
        # With an image given, only while that one is stored: another writer may replace it meanwhile.
        image = self.stored_image if self.image is not None else None
        return Write(AttributeUpdate(self.product_id, version, self.attributes, image, self.url), self.state)


def check_change(change: Change) -> Outcome | None:
    """The failure of a change that is wrong whatever is stored; None for a sound one."""
    try:
        # A change with a version was judged when it was accepted, perhaps by a service that took more.
        is_new = change.kind is ChangeKind.PUT and change.version is None
        (checked_new_product_id if is_new else checked_product_id)(change.product_id)
        if change.kind is ChangeKind.PUT and change.image is None:
            raise InvalidChange(f"A put of product {change.product_id!r} has no image; give one, or send a patch.")
    except LookalikeError as error:
        return failed(change.product_id, error)
    return None


def plan(change: Change, stored: Stored, catalog: str, kinds: Kinds = NO_KINDS) -> PlannedChange | Outcome:
    """What is to be done for a sound change, or how it has ended already because of what is stored.

    A change with the stored version has been applied before, one with a lower version is superseded.

    Args:
        change: One that `check_change` finds nothing wrong with.
        stored: What the index has of its product.
        catalog: The catalog's name, for error messages.
        kinds: Those that the values the change sets have to be of; others that are stored stay.
    """
    if change.version is not None and change.version <= stored.version:
        is_same = change.version == stored.version
        return Outcome(change.product_id, State.APPLIED if is_same else State.SUPERSEDED)
    try:
        return PlannedChange(change, stored, _attributes(change, stored.point, catalog, kinds))
    except LookalikeError as error:
        return failed(change.product_id, error)


def image_failed(change: Change, error: LookalikeError) -> Outcome:
    """The failure of a change because of its image, with the name of the file, which the decoder does not know."""
    path = change.image
    if isinstance(path, Path) and not str(error).startswith(str(path)):
        error = type(error)(f"{path}: {error}")
    return failed(change.product_id, error)


def not_found(product_id: str, catalog: str) -> ProductNotFound:
    return ProductNotFound(
        f"There is no product {product_id!r} in catalog {catalog}; list its products to see what there is."
    )


def _attributes(change: Change, point: Point | None, catalog: str, kinds: Kinds) -> Attributes:
    """Those the product will have."""
    if change.kind is ChangeKind.PATCH:
        if point is None:
            raise not_found(change.product_id, catalog)
        return merged(point.attributes, kinds.checked(checked_attributes(change.attributes or {})))
    if change.attributes is None:
        return point.attributes if point else {}
    return kinds.checked(checked_attributes(change.attributes))


def _same(one: Attributes, other: Attributes) -> bool:
    """As JSON: for Python true is 1 and 1 is 1.0."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
