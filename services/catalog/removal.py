"""Products that are removed together: those that a feed does not name any more, or that match a filter.

Versions say which: only products whose stored version is lower than that of the removal. It was reserved when the feed
began, so whatever came after stays, in whatever order things are applied.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from services.errors import InvalidFilter, InvalidInput
from services.index.vector_index import VectorIndex
from services.names import digest
from services.query.filters import Filter

MAX_REMOVED = 0.3
"""The share of a catalog's products that a feed removes at most, unless another one is given."""
TOO_MANY = "too_many_removed"
LINES_WITHOUT_ID = "lines_without_id"
NAMES_LOST = "names_lost"
PAGE = 256
_DIGEST = "S16"


@dataclass(frozen=True, slots=True)
class Since:
    """When a feed began: a version above all changes until then, and how many products the catalog had."""

    version: int
    products: int

    def most(self, max_removed: float) -> int | None:
        """How many products may go where their share is limited; None: any number. Raises `InvalidInput`."""
        if not 0 <= max_removed <= 1:
            raise InvalidInput(f"max_removed {max_removed} is refused: it is a share, from 0 to 1.")
        # 0.29 * 100 is a little less than 29.
        return None if max_removed == 1 else int(self.products * max_removed + 1e-6)


@dataclass(frozen=True, slots=True)
class Removed:
    """How many products went; `not_removed` says why none did."""

    removed: int
    not_removed: str | None = None


class Names:
    """Which products are named, by their digests: 16 bytes of memory each.

    Args:
        digests: Of `services.names.digest`, one or many in each.
    """

    def __init__(self, digests: Iterable[bytes]) -> None:
        self._sorted = np.unique(np.frombuffer(b"".join(digests), _DIGEST))

    @classmethod
    def of(cls, product_ids: Iterable[str]) -> "Names":
        return cls(map(digest, product_ids))

    def __len__(self) -> int:
        return len(self._sorted)

    def without(self, product_ids: Sequence[str]) -> list[str]:
        """Those that are not named."""
        if not len(self._sorted) or not product_ids:
            return [*product_ids]
        asked = np.frombuffer(b"".join(map(digest, product_ids)), _DIGEST)
        places = np.minimum(np.searchsorted(self._sorted, asked), len(self._sorted) - 1)
        named = self._sorted[places] == asked
        return [product_id for product_id, is_named in zip(product_ids, named, strict=True) if not is_named]


def removable(index: VectorIndex, version: int, names: Names | None, filter: Filter | None) -> Iterator[list[str]]:
    """The IDs of the products with a lower version that match the filter and are not named, page by page of all."""
    cursor = None
    while True:
        points, cursor = index.scroll(after=cursor, limit=PAGE, filter=filter)
        old = [point.product_id for point in points if point.version < version]
        yield old if names is None else names.without(old)
        if cursor is None:
            return


def too_many(pages: Iterable[Sequence[str]], most: int | None) -> bool:
    """Whether there are more products than may go; it looks no further than it must."""
    if most is None:
        return False
    count = 0
    return any((count := count + len(page)) > most for page in pages)


def checked_filter(filter: Filter) -> Filter:
    """The filter of a removal. Raises `InvalidFilter` where it has no condition and so matches every product."""
    if not _has_condition(filter):
        raise InvalidFilter(
            "filter: it has no condition, so every product would be removed: give one, or remove the catalog instead."
        )
    return filter


def _has_condition(filter: Filter) -> bool:
    return any(not isinstance(each, Filter) or _has_condition(each) for each in filter.conditions)
