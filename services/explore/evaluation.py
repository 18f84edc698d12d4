"""How well vectors find what shares a label: precision at a rank and average precision, query by query."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.explore.queries import Marks, Queries, Rows, ranked
from services.records import Vectors

RANKS = (1, 5, 10)
"""The ranks up to which precision is measured. At rank 1 it is the accuracy of 1-NN, which gives a product the label of
its nearest neighbor."""
METRICS = (*(f"precision@{rank}" for rank in RANKS), "map")
"""The names of the columns of `scores`, in their order."""
JUDGED = "precision@5"
"""What is told of each value of a label."""

Scores = npt.NDArray[np.float64]
"""float64, shape (queries, len(METRICS)), 0..1."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A product that was found, its cosine, and whether it shares a value with the query."""

    product_id: str
    score: float
    relevant: bool


def nothing() -> None:
    """Goes on."""


def scores(queries: Queries, vectors: Vectors, check: Callable[[], object] = nothing) -> Scores:
    """What each query's whole ranking is worth, in the order of `queries.asked`.

    Precision at rank k is the share of relevant products among the first k; k divides, also where there are fewer
    candidates. Average precision is the mean, over all relevant products, of the precision at the rank of each; its
    mean over queries is mAP (Manning, Raghavan, Schütze: Introduction to Information Retrieval, 2008, section 8.4).

    Args:
        queries: Who is asked, and what is right.
        vectors: Of the products in `queries.product_ids`, in this order: float32 (n, dim), each of length one.
        check: Called between parts of the work; what it raises ends it.
    """
    found = [np.zeros((0, len(METRICS)))]
    for some in queries.chunks:
        check()
        order = ranked(queries.cosines(vectors, some))
        found.append(_scores(np.take_along_axis(queries.relevant(some), order, axis=1)))
    return np.concatenate(found)


def answers(queries: Queries, vectors: Vectors, some: Rows, limit: int) -> list[list[Answer]]:
    """The first `limit` answers to some of the products; the other arguments are those of `scores`."""
    cosines = queries.cosines(vectors, some)
    order = ranked(cosines)[:, :limit]
    scores = np.take_along_axis(cosines, order, axis=1)
    marks = np.take_along_axis(queries.relevant(some), order, axis=1)
    return [
        [
            Answer(queries.product_ids[row], float(cosine), bool(mark))
            for row, cosine, mark in zip(rows, theirs, right, strict=True)
            if np.isfinite(cosine)
        ]
        for rows, theirs, right in zip(order, scores, marks, strict=True)
    ]


def _scores(hits: Marks) -> Scores:
    """Of rankings, of which each row says where the relevant ones are."""
    precisions = [hits[:, :rank].sum(axis=1) / rank for rank in RANKS]
    at_rank = hits.cumsum(axis=1) / np.arange(1, hits.shape[1] + 1)
    average = (at_rank * hits).sum(axis=1) / hits.sum(axis=1)
    return np.stack([*precisions, average], axis=1)


def column(metric: str) -> int:
    """Where a metric is in `Scores`."""
    return METRICS.index(metric)


def means(found: Scores) -> Sequence[float]:
    """The mean of each metric over the queries."""
    return [float(each) for each in found.mean(axis=0)]
