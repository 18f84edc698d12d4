"""Facets of declared attributes, also while an index is left out because of values of other kinds."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.catalog.number_facets import Numbers, numbers
from services.descriptions import AttributeKind
from services.errors import AttributeNotIndexed, InvalidInput
from services.index.vector_index import VectorIndex
from services.kinds import leaves
from services.paging import paginate
from services.query.filters import Filter, is_key, steps
from services.records import Facet

PAGE = 1000
MAX_FACETED = 20
"""Attributes of one question."""
_COUNTED: Mapping[AttributeKind, type] = {
    AttributeKind.KEYWORD: str,
    AttributeKind.INTEGER: int,
    AttributeKind.BOOL: bool,
}


@dataclass(frozen=True, slots=True)
class AttributeFacets:
    """What products have for one attribute, `key` as it was asked for.

    `values` are the most frequent ones with their counts (keyword, integer, bool; None for float), and `numbers` where
    the numbers lie (integer, float; None for the others).
    """

    key: str
    kind: AttributeKind
    values: tuple[Facet, ...] | None
    numbers: Numbers | None

    @property
    def is_empty(self) -> bool:
        """Whether no product has a value."""
        return not self.values and not (self.numbers and self.numbers.count)


def attribute_facets(
    index: VectorIndex,
    declared: Mapping[str, AttributeKind],
    attributes: Sequence[str],
    *,
    limit: int,
    filter: Filter | None = None,
) -> list[AttributeFacets]:
    """See `Catalog.attribute_facets`."""
    if len(attributes) > MAX_FACETED:
        raise InvalidInput(f"These are {len(attributes)} attributes; ask for the facets of {MAX_FACETED} at most.")
    kinds = [_declared(declared, attribute) for attribute in attributes]
    return [
        AttributeFacets(
            attribute,
            kind,
            tuple(facets(index, declared, name, limit=limit, filter=filter)) if kind in _COUNTED else None,
            numbers(index, name, kind, filter) if kind.is_number else None,
        )
        for attribute, (name, kind) in zip(attributes, kinds, strict=True)
    ]


def _declared(declared: Mapping[str, AttributeKind], attribute: str) -> tuple[str, AttributeKind]:
    """An attribute's key as it was declared, and its kind. Raises `AttributeNotIndexed`."""
    for name, kind in declared.items():
        if is_key(attribute) and steps(name) == steps(attribute):
            return name, kind
    there = f"there are {', '.join(declared)}" if declared else "the catalog has none yet"
    raise AttributeNotIndexed(
        f"{attribute[:80]!r} has no facets, which declared attributes have, and {there}; declare it in the catalog's "
        "indexed attributes."
    )


def facets(
    index: VectorIndex,
    declared: Mapping[str, AttributeKind],
    attribute: str,
    *,
    limit: int,
    filter: Filter | None = None,
) -> list[Facet]:
    """See `Catalog.facets`."""
    try:
        return index.facets(attribute, limit=limit, filter=filter)
    except AttributeNotIndexed:
        kinds = [kind for name, kind in declared.items() if is_key(attribute) and steps(name) == steps(attribute)]
        if not kinds or kinds[0] not in _COUNTED:
            raise
    counts: Counter[Any] = Counter()
    for point in paginate(lambda cursor: index.scroll(after=cursor, limit=PAGE, filter=filter)):
        counts.update({leaf for leaf in leaves(point.attributes, attribute) if type(leaf) is _COUNTED[kinds[0]]})
    ranked = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    return [Facet(value, count) for value, count in ranked[:limit]]
