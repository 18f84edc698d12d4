"""Which attributes an index has field indexes for: those with which every filter matches what it matches without.

Qdrant's field indexes hold values of one kind, and judge by what they hold. `except` on a keyword index leaves out
numbers, an integer index takes 1.0 for 1, and ranges on it leave out 1.5 and compare integers beyond 2**53 exactly,
where otherwise numbers are compared as floats.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Protocol

from services.descriptions import AttributeKind
from services.kinds import Kinds, shown
from services.paging import paginate
from services.query.filters import Steps, is_key, steps
from services.records import Attributes, OtherKinds, Point

_PAGE = 1000
EXAMPLES = 10
"""Products that are named of those that have a value of another kind."""

FACETED = (AttributeKind.KEYWORD, AttributeKind.INTEGER, AttributeKind.BOOL)


@dataclass(frozen=True, slots=True)
class FieldIndex:
    """A field index of an attribute.

    `checked`: no product has a value of another kind; False while that is found out, and for indexes that an older
    version made. `ranges`: range filters use it, too.
    """

    kind: AttributeKind
    checked: bool = True
    ranges: bool = True


class Scroll(Protocol):
    """`VectorIndex.scroll`."""

    def __call__(self, *, after: str | None = None, limit: int = 100) -> tuple[list[Point], str | None]: ...


class FieldIndexes(Protocol):
    """The field indexes of one vector index, by the keys of attributes."""

    def read(self) -> Mapping[str, FieldIndex]:
        """All that there are."""

    def create(self, attribute: str, index: FieldIndex) -> None:
        """Makes one, in place of one that is there."""

    def delete(self, attribute: str) -> None:
        """Removes one."""


def declare(
    fields: FieldIndexes,
    attributes: Mapping[str, AttributeKind],
    scroll: Scroll,
    writing: AbstractContextManager[object] | None = None,
) -> dict[str, OtherKinds]:
    """See `VectorIndex.declare`.

    Args:
        fields: The field indexes that there are.
        attributes: What is declared.
        scroll: Reads the products; it is called only where an attribute has no checked index yet.
        writing: Keeps other threads from `admit`.
    """
    there = _by_path(fields.read())
    new = {name: kind for name, kind in attributes.items() if not _is_done(there.get(steps(name)), kind)}
    if not new:
        return {}
    # First, so that whoever writes from now on looks at its values (`admit`); those written before are read below.
    for name, kind in new.items():
        fields.create(name, FieldIndex(kind, checked=False))
    others, large = _survey(Kinds(new), paginate(lambda cursor: scroll(after=cursor, limit=_PAGE)))
    with writing or nullcontext():
        there = _by_path(fields.read())
        for name, kind in new.items():
            if name in others:
                fields.delete(name)
            elif begun := there.get(steps(name)):
                fields.create(name, FieldIndex(kind, ranges=begun.ranges and name not in large))
    return others


def admit(fields: FieldIndexes, written: Sequence[Attributes]) -> None:
    """Before a write: ends the field indexes with which filters would not match these attributes as without."""
    if not any(written):
        return
    there = fields.read()
    kinds = Kinds({name: index.kind for name, index in there.items()})
    others = {name for attributes in written for name in kinds.others(attributes)}
    large = {name for attributes in written for name in kinds.large(attributes)}
    for name in others:
        fields.delete(name)
    for name in large - others:
        if there[name].ranges:
            fields.create(name, replace(there[name], ranges=False))


def faceted(indexes: Mapping[str, FieldIndex], attribute: str) -> bool:
    """Whether an attribute has an index that counts its values."""
    index = _by_path(indexes).get(steps(attribute)) if is_key(attribute) else None
    return index is not None and index.kind in FACETED


def numeric(indexes: Mapping[str, FieldIndex], attribute: str) -> bool:
    """Whether an attribute has an index by which its numbers can be read in their order."""
    index = _by_path(indexes).get(steps(attribute)) if is_key(attribute) else None
    return index is not None and index.kind.is_number and index.checked and index.ranges


def spelled(indexes: Mapping[str, FieldIndex], attribute: str) -> str:
    """The key of an attribute as its index has it."""
    return next((name for name in indexes if steps(name) == steps(attribute)), attribute)


def _is_done(index: FieldIndex | None, kind: AttributeKind) -> bool:
    return index is not None and index.kind is kind and index.checked


def _by_path(indexes: Mapping[str, FieldIndex]) -> dict[Steps, FieldIndex]:
    """By what the keys mean: `"color"` is color."""
    return {steps(name): index for name, index in indexes.items()}


def _survey(kinds: Kinds, points: Iterable[Point]) -> tuple[dict[str, OtherKinds], set[str]]:
    """The attributes of which products have values of another kind, and those with integers beyond 2**53."""
    counts: Counter[str] = Counter()
    examples: dict[str, dict[str, str]] = {}
    large: set[str] = set()
    for point in points:
        large |= kinds.large(point.attributes)
        for name, value in kinds.others(point.attributes).items():
            counts[name] += 1
            if counts[name] <= EXAMPLES:
                examples.setdefault(name, {})[point.product_id] = shown(value)
    return {name: OtherKinds(kinds.declared[name], count, examples[name]) for name, count in counts.items()}, large
