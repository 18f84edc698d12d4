"""What becomes of a batch of changes."""

import json
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from services.errors import LookalikeError
from services.images.intake import Taken
from services.records import (
    Attributes,
    AttributeUpdate,
    Change,
    ChangeKind,
    ImageSource,
    Outcome,
    Point,
    State,
    Tombstone,
    failed,
)


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """A change that is to be done. `attributes` are those the product will have, `stored` is its version now."""

    change: Change
    point: Point | None
    stored: int
    attributes: Attributes

    @property
    def product_id(self) -> str:
        return self.change.product_id

    @property
    def image(self) -> ImageSource | None:
        return None if self.change.kind is ChangeKind.DELETE else self.change.image

    @property
    def known(self) -> str | None:
        """The hash of the image that the product has now."""
        return self.point.image if self.point else None

    @property
    def has_new_attributes(self) -> bool:
        return self.point is None or not same(self.attributes, self.point.attributes)


@dataclass(frozen=True, slots=True)
class LateImage:
    """An image that was late when its batch went on, and the hash of the image that its product had then."""

    known: str | None
    taken: Future[Taken]


@dataclass(slots=True)
class Plan:
    """What becomes of a batch: how changes have ended, what is to be written, and how the others end when it is.

    Whose image is late has no part in it.
    """

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    points: list[Point | Tombstone] = field(default_factory=list)
    updates: list[AttributeUpdate] = field(default_factory=list)
    ends: dict[str, State] = field(default_factory=dict)
    late: dict[str, LateImage] = field(default_factory=dict)

    def end(self, product_id: str, state: State) -> None:
        self.outcomes[product_id] = Outcome(product_id, state)

    def fail(self, change: Change, error: LookalikeError) -> None:
        self.outcomes[change.product_id] = failed(change.product_id, error)

    def fail_image(self, change: Change, error: LookalikeError) -> None:
        """Names the file, which whoever decoded the bytes did not know."""
        path = change.image
        if isinstance(path, Path) and not str(error).startswith(str(path)):
            error = type(error)(f"{path}: {error}")
        self.fail(change, error)


def same(one: Attributes, other: Attributes) -> bool:
    """As JSON: for Python true is 1 and 1 is 1.0."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
