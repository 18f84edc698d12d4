"""What is told of an evaluation, as JSON: figures of each generation, paired differences, values, and what got worse.

The first column is what answers now; every other one is compared with it, query by query. It is bounded: what is long
is shortened, what is many is counted. Floats are rounded to 6 digits.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypedDict

import numpy as np

from services.explore.bootstrap import Estimate, Verdict, estimates, verdict
from services.explore.evaluation import JUDGED, METRICS, Answer, Scores, answers, column, nothing, scores
from services.explore.queries import Queries, Rows
from services.records import Vectors

VALUES = 100
"""Values of a label that are told of at most."""
WORST = 20
"""Queries that got worse that are shown at most."""
ANSWERS = 8
"""Answers of each that are shown."""
LONGEST = 80
"""Characters of a value that are shown."""
DIGITS = 6


class Figure(TypedDict):
    """A mean over queries, 0..1, and its 95% interval."""

    mean: float
    low: float
    high: float


class Difference(Figure):
    """The mean of other - live over the same queries, -1..1, with its interval: better or worse where that excludes
    0."""

    verdict: Verdict


class ValueDifference(Difference):
    """precision@5 of the queries that have a value: `live` and `other` are the means."""

    value: str
    queries: int
    live: float
    other: float


class ShownAnswer(TypedDict):
    product_id: str
    score: float
    relevant: bool


class Worse(TypedDict):
    """A query whose average precision dropped, and what both found first."""

    product_id: str
    values: list[str]
    live_map: float
    other_map: float
    live: list[ShownAnswer]
    other: list[ShownAnswer]


class Compared(TypedDict):
    """Another column against the first one. `values` are ordered: what got worse first; `lost` and `gained` count the
    queries whose average precision dropped and rose."""

    column: int
    differences: dict[str, Difference]
    values: list[ValueDifference]
    lost: int
    gained: int
    worst: list[Worse]


class LabelReport(TypedDict):
    """One label. `observations` are the groups of its queries, or the queries where there are no groups; `figures` has
    an entry for each column; `values` counts those that queries have."""

    label: str
    queries: int
    observations: int
    unlabeled: int
    alone: int
    values: int
    figures: list[dict[str, Figure]]
    compared: list[Compared]


def reported(
    label: str, queries: Queries, columns: Sequence[Vectors], check: Callable[[], object] = nothing
) -> LabelReport:
    """Evaluates a label.

    Args:
        label: Its name.
        queries: Who is asked; at least one.
        columns: The vectors of the queries' products, in the order of `queries.product_ids`: float32 (n, dim of each
            column), each of length one.
        check: Called between parts of the work; what it raises ends it.
    """
    found = [scores(queries, each, check) for each in columns]
    groups = queries.groups[queries.asked]
    return {
        "label": label,
        "queries": len(queries.asked),
        "observations": len(set(groups.tolist())),
        "unlabeled": queries.unlabeled,
        "alone": queries.alone,
        "values": len(_values(queries)),
        "figures": [
            {metric: _figure(each) for metric, each in zip(METRICS, estimates(those, groups), strict=True)}
            for those in found
        ],
        "compared": [
            _compared(at, queries, (columns[0], columns[at]), (found[0], found[at]), check)
            for at in range(1, len(columns))
        ],
    }


def _compared(
    at: int,
    queries: Queries,
    vectors: tuple[Vectors, Vectors],
    found: tuple[Scores, Scores],
    check: Callable[[], object],
) -> Compared:
    live, other = found
    groups = queries.groups[queries.asked]
    many = len(set(groups.tolist()))
    drop = (live - other)[:, column("map")]
    differences = estimates(other - live, groups)
    return {
        "column": at,
        "differences": {metric: _difference(each, many) for metric, each in zip(METRICS, differences, strict=True)},
        "values": _by_value(queries, live, other, check),
        "lost": int((drop > 0).sum()),
        "gained": int((drop < 0).sum()),
        "worst": _worst(queries, vectors, found, drop),
    }


def _by_value(queries: Queries, live: Scores, other: Scores, check: Callable[[], object]) -> list[ValueDifference]:
    """The most frequent values, those that got worse first, then by difference."""
    judged = column(JUDGED)
    groups = queries.groups[queries.asked]
    found: list[ValueDifference] = []
    for value, rows in _values(queries)[:VALUES]:
        check()
        [estimate] = estimates((other - live)[rows][:, [judged]], groups[rows])
        found.append(
            {
                "value": value if len(value) <= LONGEST else value[: LONGEST - 3] + "...",
                "queries": len(rows),
                "live": _rounded(live[rows, judged].mean()),
                "other": _rounded(other[rows, judged].mean()),
                **_difference(estimate, len(set(groups[rows].tolist()))),
            }
        )
    return sorted(found, key=lambda each: (each["verdict"] != "worse", each["mean"], each["value"]))


def _values(queries: Queries) -> list[tuple[str, Rows]]:
    """The values of queries, the most frequent first, each with the places of its queries among those asked."""
    counts: Counter[str] = Counter(value for row in queries.asked for value in queries.values[row])
    order = sorted(counts, key=lambda value: (-counts[value], value))
    places: dict[str, list[int]] = {value: [] for value in order}
    for at, row in enumerate(queries.asked):
        for value in queries.values[row]:
            places[value].append(at)
    return [(value, np.array(places[value], np.int64)) for value in order]


def _worst(
    queries: Queries, vectors: tuple[Vectors, Vectors], found: tuple[Scores, Scores], drop: np.ndarray
) -> list[Worse]:
    places = [at for at in np.argsort(-drop, kind="stable")[:WORST] if drop[at] > 0]
    if not places:
        return []
    rows = queries.asked[places]
    live, other = (answers(queries, each, rows, ANSWERS) for each in vectors)
    average = column("map")
    return [
        {
            "product_id": queries.product_ids[row],
            "values": [value[:LONGEST] for value in sorted(queries.values[row])[:ANSWERS]],
            "live_map": _rounded(found[0][at, average]),
            "other_map": _rounded(found[1][at, average]),
            "live": [_shown(each) for each in before],
            "other": [_shown(each) for each in after],
        }
        for at, row, before, after in zip(places, rows, live, other, strict=True)
    ]


def _figure(estimate: Estimate) -> Figure:
    return {"mean": _rounded(estimate.mean), "low": _rounded(estimate.low), "high": _rounded(estimate.high)}


def _difference(estimate: Estimate, observations: int) -> Difference:
    return {**_figure(estimate), "verdict": verdict(estimate, observations)}


def _shown(answer: Answer) -> ShownAnswer:
    return {"product_id": answer.product_id, "score": _rounded(answer.score), "relevant": answer.relevant}


def _rounded(value: float) -> float:
    return round(float(value), DIGITS) + 0.0  # no -0.0
