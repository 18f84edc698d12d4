"""Products of a catalog that nothing in it is alike, looked for with one search for each product."""

import time
from collections.abc import Callable
from heapq import nsmallest
from typing import TypedDict

from services.catalog.matches import FORM
from services.catalog.mislabeled import MOST, Watch
from services.explore.outliers import isolated_below
from services.index.vector_index import VectorIndex
from services.query.space import Space

KEEP_SECONDS, SHARE = 5.0, 0.1
"""Between two times that what was found so far is kept, for whoever goes on: so many seconds, or such a share of what
the search has taken by then, if that is more."""
_PAGE = 64


class KeptIsolated(TypedDict):
    """A product whose nearest one is far: the score of that, and its percentile among random pairs. `image` is the hash
    of the product's picture."""

    product_id: str
    image: str | None
    nearest: str
    score: float
    percentile: float


class Isolated(TypedDict):
    """What was found so far: `products` were looked at, and `found` of them are isolated."""

    products: int
    found: int
    outliers: list[KeptIsolated]


def isolated(
    index: VectorIndex,
    space: Space,
    found: Isolated,
    cursor: str | None,
    keep: Callable[[Isolated, str], object],
    watch: Watch,
    check: Callable[[], object],
) -> Isolated:
    """Looks for products whose nearest one is below `services.explore.outliers.isolated_below`, those that are farthest
    from theirs first.

    Args:
        index: Where the products are.
        space: Theirs.
        found: What was found before the cursor; it is added to.
        cursor: Where to go on in the order of the index; None: at the beginning.
        keep: Called now and then with what was found so far, and the cursor that goes on from there.
        watch: See `Watch`.
        check: Called often; what it raises ends the search.

    Raises `IndexUnavailable`.
    """
    began = kept_at = time.monotonic()
    below = isolated_below(index.count())
    while True:
        points, cursor = index.scroll(after=cursor, limit=_PAGE, vectors=True)
        more: list[KeptIsolated] = []
        for each in points:
            check()
            near = [] if each.vector is None else index.search(each.vector, limit=1, exclude=[each.product_id])
            for neighbor in near:
                percentile = space.percentile(neighbor.score, FORM)
                if percentile < below:
                    more.append(
                        {
                            "product_id": each.product_id,
                            "image": each.image,
                            "nearest": neighbor.product_id,
                            "score": round(neighbor.score, 6),
                            "percentile": percentile,
                        }
                    )
        found["products"] += len(points)
        found["found"] += len(more)
        both = [*found["outliers"], *more]
        found["outliers"] = nsmallest(MOST, both, key=lambda each: (each["score"], each["product_id"]))
        if cursor is None:
            return found
        now = time.monotonic()
        if now - kept_at >= max(KEEP_SECONDS, SHARE * (now - began)):
            keep(found, cursor)
            kept_at = time.monotonic()
        watch(found["products"], max(index.count(), found["products"]))
