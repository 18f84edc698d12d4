"""How certain a mean over queries is: 95% percentile intervals of the bootstrap.

Efron, Tibshirani: An Introduction to the Bootstrap, 1993, sections 6.2 and 13.3. Queries are drawn with replacement;
where several are of one group they are no independent observations, so whole groups are drawn (Davison, Hinkley:
Bootstrap Methods and their Application, 1997, section 3.8).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from services.explore.queries import Rows

RESAMPLES = 2000
LEVEL = 0.95
SEED = 0
FEWEST = 6
"""Of fewer independent observations nothing is concluded: if all of five favored one side, a sign test would still give
that a probability of 2 * 0.5**5 = 0.0625 by chance, above 0.05. Intervals of so few are too narrow."""

DRAWS = 1 << 21
"""Draws that are in memory at a time."""

Verdict = Literal["better", "worse", "not_told_apart"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean, and the ends of its interval."""

    mean: float
    low: float
    high: float


def estimates(values: npt.NDArray[np.float64], groups: Rows) -> list[Estimate]:
    """The mean of each column with its interval. The same input gives the same intervals.

    Args:
        values: float64 (q, m), q > 0: a row for each query.
        groups: int64 (q,): equal numbers where queries are of one group.
    """
    _, unit = np.unique(groups, return_inverse=True)
    sizes = np.bincount(unit).astype(np.float64)
    sums = np.stack([np.bincount(unit, each) for each in values.T], axis=1)
    drawn = [counts @ sums / (counts @ sizes)[:, None] for counts in _resamples(len(sizes))]
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(np.concatenate(drawn), [tail, 1 - tail], axis=0)
    means = sums.sum(axis=0) / sizes.sum()
    return [Estimate(*map(float, each)) for each in zip(means, low, high, strict=True)]


def verdict(difference: Estimate, observations: int) -> Verdict:
    """Whether an interval of paired differences, new - old, excludes 0. `observations` are the independent ones."""
    if observations < FEWEST or difference.low <= 0 <= difference.high:
        return "not_told_apart"
    return "better" if difference.low > 0 else "worse"


def _resamples(units: int) -> Iterator[npt.NDArray[np.float64]]:
    """How often each of the units is drawn in each resample, some resamples at a time: float64 (some, units)."""
    random = np.random.default_rng(SEED)
    size = max(1, DRAWS // units)
    for at in range(0, RESAMPLES, size):
        count = min(size, RESAMPLES - at)
        drawn = random.integers(0, units, (count, units)) + np.arange(count)[:, None] * units
        yield np.bincount(drawn.ravel(), minlength=count * units).reshape(count, units).astype(np.float64)
