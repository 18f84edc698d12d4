"""What is left of removed products, so that an older change cannot bring them back."""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from services.index.vector_index import VectorIndex
from services.records import Tombstone

PAGE = 1000
"""Tombstones that are purged at a time."""


def read_tombstones(index: VectorIndex) -> Iterator[Tombstone]:
    """Every removed product that has not been purged."""
    return iter(index.tombstones(before=math.inf))


def purge(
    index: VectorIndex,
    before: float,
    below: int | None,
    going: Callable[[Sequence[str]], None] = lambda product_ids: None,
) -> int:
    """See `Catalog.purge`; `going` is called with products before their tombstones go."""
    old = (each for each in index.tombstones(before=before) if below is None or each.version < below)
    count = 0
    while page := list(islice(old, PAGE)):
        going([each.product_id for each in page])
        index.purge(page)
        count += len(page)
    index.flush()
    return count
