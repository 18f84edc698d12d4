"""Groups of duplicates as people see them: their products, and which of them to keep."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from services.explore.decisions import Decision
from services.explore.kinds import KINDS, Kind
from services.records import Attributes

SHOWN = 100
"""Products of a group that are shown."""

Place = tuple[int, int, int, str]
"""Where a group is among others, ascending."""


@dataclass(frozen=True, slots=True)
class Member:
    """A product of a group. `image` is the SHA-256 of its original, `version` tells older from newer, and `width` and
    `height` are those of the original in pixels, both None where it was not kept, or not looked at."""

    product_id: str
    attributes: Attributes
    image: str | None
    version: int
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Products that are duplicates, or were decided not to be.

    `id` is made of its products, `kind` the weakest kind by which they hang together. It is a placeholder where one
    picture is on `duplicates.PLACEHOLDER` products or more. `products` is how many there are; `members` are the first
    `SHOWN` of them, by ID, those that `keep` names first. `keep` are the ones suggested, or decided, to stay where the
    others go, and `why` says why in words; both are empty where it was decided that all stay. `to_remove` are the
    others where that was decided. `decided_at` is RFC 3339 in UTC.
    """

    id: str
    kind: Kind
    placeholder: bool
    products: int
    members: tuple[Member, ...]
    keep: tuple[str, ...]
    why: str
    decision: Decision | None = None
    to_remove: tuple[str, ...] = ()
    decided_at: str | None = None


@dataclass(frozen=True, slots=True)
class Groups:
    """A page of groups. `total` is how many there are on all pages, `next` the cursor of the next one.

    The other fields tell of the scan; all are None where there was none. `products` were looked at, `found_at` is RFC
    3339 in UTC. While it is not `complete` there is more to be found. It is `stale` where the catalog has changed since
    it began: a new scan looks for what is new.
    """

    groups: tuple[Group, ...]
    total: int
    next: str | None
    products: int | None = None
    found_at: str | None = None
    complete: bool | None = None
    stale: bool | None = None


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A product that is a duplicate of one at hand. `percentile` says how many random pairs are less alike, 0..100,
    None where the catalog has too few products to know; `decision` is what was decided about both, if anything."""

    product_id: str
    kind: Kind
    score: float
    percentile: float | None
    attributes: Attributes
    image: str | None
    decision: Decision | None


def place(kind: Kind, products: int, id: str, *, placeholder: bool) -> Place:
    """Where a group is in the list: placeholders first, then from the surest kind to the weakest, large ones first."""
    return (0 if placeholder else 1, KINDS.index(kind), -products, id)


def suggested(members: Sequence[Member]) -> tuple[str, str]:
    """Which product to keep, and why, in words.

    The one with the largest picture, of these the one with most attributes, of these the oldest. Age comes last because
    it always decides. Pictures are compared only where the sizes of all are known.

    Args:
        members: At least one.
    """
    left, reasons = list(members), list[str]()
    sizes = [(each.width or 0) * (each.height or 0) for each in members]
    if all(sizes):
        left, differ = _best(left, [*sizes])
        if differ:
            reasons.append(f"the largest picture ({left[0].width} x {left[0].height})")
    left, differ = _best(left, [filled(each.attributes) for each in left])
    if differ:
        reasons.append(f"the most attributes ({filled(left[0].attributes)})")
    if len(left) > 1:
        left, differ = _best(left, [-each.version for each in left])
        if differ:
            reasons.append("the oldest")
    kept = min(left, key=lambda each: each.product_id)
    return kept.product_id, ", ".join(reasons) or "all are alike, and it is the first by ID"


def filled(attributes: Attributes) -> int:
    """How many attributes say something."""
    return sum(value not in (None, "", [], {}) for value in attributes.values())


def told(found: Group | Duplicate) -> dict[str, Any]:
    """As JSON."""
    plain: dict[str, Any] = asdict(found)
    if isinstance(found, Group):
        for each in plain["members"]:
            each["attributes"] = dict(each["attributes"])
    return {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}


def to_group(told: Mapping[str, Any]) -> Group:
    """A group out of its JSON."""
    members = tuple(Member(**each) for each in told["members"])
    return Group(**{**told, "members": members, "keep": tuple(told["keep"]), "to_remove": tuple(told["to_remove"])})


def _best(members: list[Member], values: list[int]) -> tuple[list[Member], bool]:
    """Those with the highest value, and whether others have a lower one."""
    highest = max(values)
    best = [each for each, value in zip(members, values, strict=True) if value == highest]
    return best, len(best) < len(members)
