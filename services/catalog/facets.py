"""Facets of a declared attribute, also while its index is left out because of values of other kinds."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from services.descriptions import AttributeKind
from services.errors import AttributeNotIndexed
from services.index.vector_index import VectorIndex
from services.kinds import leaves
from services.paging import paginate
from services.query.filters import Filter, is_key, steps
from services.records import Facet

PAGE = 1000
_COUNTED: Mapping[AttributeKind, type] = {
    AttributeKind.KEYWORD: str,
    AttributeKind.INTEGER: int,
    AttributeKind.BOOL: bool,
}


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
