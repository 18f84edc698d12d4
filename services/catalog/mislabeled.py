"""Products of a catalog that are unlike their own label, looked for among all of them.

Products are read twice, a page at a time, so memory is that of the labels and of what is kept. Who changes meanwhile is
in neither reading, and is not judged.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from heapq import nsmallest
from typing import TypedDict

import numpy as np

from services.catalog.labels import values_at
from services.errors import LabelUnusable
from services.explore.outliers import FEWEST, MOST_LABELS, Judge, Sums
from services.index.vector_index import VectorIndex
from services.query.geometry import places
from services.records import Point, Vector

MOST = 1000
"""Outliers that are kept, those with the highest scores."""
NEIGHBORS = 10
"""Nearest products of an outlier that are asked for their labels."""
NAMED = 20
"""Labels with too few products that are named."""
_PAGE = 256

Watch = Callable[[int, int], object]
"""Called with how much is done, and of how much. What it raises ends the search."""


class KeptOutlier(TypedDict):
    """A product that looks like another label: see `services.explore.outliers.Verdict`. `disagreeing` is the share of
    its nearest products with a label that have another one; None: none has one. `image` is the hash of its picture."""

    product_id: str
    image: str | None
    label: str
    looks_like: str
    score: float
    disagreeing: float | None


class Mislabeled(TypedDict):
    """What was found of a label. Products without a value, with several values (`several_labels`), and with a value
    that fewer than `FEWEST` products have (`rare_labels`, the rarest of which are named) are not judged. `found` of
    the products look like another label."""

    products: int
    judged: int
    unlabeled: int
    several_labels: int
    rare_labels: int
    rare: list[str]
    found: int
    outliers: list[KeptOutlier]


def mislabeled(
    index: VectorIndex,
    key: str,
    mean: Vector | None,
    version: int,
    what: str,
    watch: Watch,
    check: Callable[[], object],
) -> Mislabeled:
    """Looks for products that are unlike their own label, the most unlike first.

    Args:
        index: Where the products are.
        key: That of the label, as filters write it.
        mean: That of the vectors; None: they are stored centered.
        version: The highest that the catalog had before this began.
        what: What the catalog is called in messages.
        watch: See `Watch`.
        check: Called often; what it raises ends the search.

    Raises `LabelUnusable`, `IndexUnavailable`.
    """
    total = 2 * index.count() + MOST
    sums, left_out, products = Sums(index.dim), Counter[int](), 0
    for page in _pages(index, version):
        check()
        labeled, others = _labeled(page, key)
        left_out += others
        sums.add([label for label, _ in labeled], places(_vectors(labeled, index.dim), mean))
        products += len(page)
        watch(products, total)
        if len(sums.counts) > MOST_LABELS:
            raise LabelUnusable(
                f"{key} has more than {MOST_LABELS:,} values in {what}, so it names products rather than kinds of "
                "them: take another label."
            )
    judge = sums.judge()
    if judge is None:
        raise LabelUnusable(
            f"Fewer than two values of {key} are those of {FEWEST} or more products of {what}: take another label."
        )
    rare = {label: count for label, count in sums.counts.items() if count < FEWEST}
    found: Mislabeled = {
        "products": products,
        "judged": sum(sums.counts.values()) - sum(rare.values()),
        "unlabeled": left_out[0],
        "several_labels": sum(count for values, count in left_out.items() if values > 1),
        "rare_labels": sum(rare.values()),
        "rare": sorted(rare, key=lambda label: (rare[label], label))[:NAMED],
        "found": 0,
        "outliers": [],
    }
    done = 0
    for page in _pages(index, version):
        check()
        done += len(page)
        _judge(_labeled(page, key)[0], judge, index.dim, mean, found)
        watch(products + min(done, products), total)
    total = 2 * products + len(found["outliers"])
    _ask_neighbors(index, key, found["outliers"], lambda at: watch(2 * products + at, total), check)
    return found


def _pages(index: VectorIndex, version: int) -> Iterator[list[Point]]:
    """Products that have not changed since the catalog had this version, with their vectors."""
    cursor: str | None = None
    while True:
        points, cursor = index.scroll(after=cursor, limit=_PAGE, vectors=True)
        yield [each for each in points if each.version <= version and each.vector is not None]
        if cursor is None:
            return


def _labeled(page: list[Point], key: str) -> tuple[list[tuple[str, Point]], Counter[int]]:
    """The products with one label, and of the others how many there are of each number of labels."""
    found = [(values_at(each.attributes, key), each) for each in page]
    others = Counter(len(values) for values, _ in found if len(values) != 1)
    return [(next(iter(values)), each) for values, each in found if len(values) == 1], others


def _vectors(labeled: list[tuple[str, Point]], dim: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.array([each.vector for _, each in labeled], np.float32).reshape(-1, dim)


def _judge(labeled: list[tuple[str, Point]], judge: Judge, dim: int, mean: Vector | None, found: Mislabeled) -> None:
    verdicts = judge.verdicts([label for label, _ in labeled], places(_vectors(labeled, dim), mean))
    more: list[KeptOutlier] = [
        {
            "product_id": each.product_id,
            "image": each.image,
            "label": label,
            "looks_like": verdict.looks_like,
            "score": verdict.score,
            "disagreeing": None,
        }
        for (label, each), verdict in zip(labeled, verdicts, strict=True)
        if verdict and verdict.score > 0
    ]
    found["found"] += len(more)
    found["outliers"] = nsmallest(
        MOST, [*found["outliers"], *more], key=lambda each: (-each["score"], each["product_id"])
    )


def _ask_neighbors(
    index: VectorIndex,
    key: str,
    outliers: list[KeptOutlier],
    watch: Callable[[int], object],
    check: Callable[[], object],
) -> None:
    """Says of each which share of its nearest products has another label."""
    for start in range(0, len(outliers), _PAGE):
        some = outliers[start : start + _PAGE]
        points = index.get([each["product_id"] for each in some], vectors=True)
        for at, (each, point) in enumerate(zip(some, points, strict=True), start + 1):
            check()
            if point is not None and point.vector is not None:
                near = index.search(point.vector, limit=NEIGHBORS, exclude=[each["product_id"]])
                labels = [values for neighbor in near if (values := values_at(neighbor.attributes, key))]
                others = sum(each["label"] not in values for values in labels)
                each["disagreeing"] = round(others / len(labels), 2) if labels else None
            watch(at)
