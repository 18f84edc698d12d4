"""Outliers: products that are unlike their own label, by how likely each label is where they lie.

Labels are taken to lie around their middles, all with the same spread, which is shrunk (J. Friedman, "Regularized
Discriminant Analysis", 1989): a difference counts for less where products of one label differ anyhow. Distances to
middles alone find as many planted mistakes where labels are what products look like most, such as their category, and
far fewer elsewhere: docs/navigation.md has the figures.

A product is left out of the middle and of the spread that it is judged by, so that its own weight does not save it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.query.likeness import ALIKE
from services.records import Vectors

FEWEST = 5
"""Products of a label without which its middle says nothing: none looks like it, and its own are not judged."""
MOST_LABELS = 2000
"""Labels of an attribute. One with more names products rather than kinds of them, and their sums would fill memory."""
SHRUNK = 0.3
"""How much of the spread is taken to be alike in all directions; 0.1 and 0.6 found as many planted mistakes."""

RARE = 20.0
"""The nearest of n products is within a share of 1/n of the pairs by chance; one farther than so many times that is
isolated. With 5, 66 of the 432 products of the demo catalog were, which has 24 of each kind; so, none is."""

Floats = npt.NDArray[np.float64]


def isolated_below(products: int) -> float:
    """The percentile of the nearest one below which a product is isolated, 0..100: where that is no good match, and in
    a catalog of few products, where even the nearest seldom is one, where it would be rare by chance, too."""
    return max(0.0, min(ALIKE, 100 * (1 - RARE / max(products - 1, 1))))


@dataclass(frozen=True, slots=True)
class Verdict:
    """The other label that a product looks like most, and by how much more than its own: half the difference of the
    squared distances, which is the logarithm of how many times likelier it is. Negative: it looks like its own."""

    looks_like: str
    score: float


class Sums:
    """What is added up over all products before any is judged: memory is that of labels, not of products."""

    def __init__(self, dim: int) -> None:
        self._sums: dict[str, Floats] = {}
        self._counts: dict[str, int] = {}
        self._products: Floats = np.zeros((dim, dim))

    @property
    def counts(self) -> dict[str, int]:
        """How many products each label has."""
        return dict(self._counts)

    def add(self, labels: Sequence[str], places: Vectors) -> None:
        """Adds products: their labels, and their places float32 (n, dim) of length one (`services.query.geometry`)."""
        if not labels:
            return
        names, rows = np.unique(np.array(labels, object), return_inverse=True)
        for row, label in enumerate(names):
            own = places[rows == row]
            total = own.sum(axis=0, dtype=np.float64)
            self._sums[label] = self._sums[label] + total if label in self._sums else total
            self._counts[label] = self._counts.get(label, 0) + len(own)
        self._products += places.T @ places

    def judge(self) -> "Judge | None":
        """What judges the products that were added; None where fewer than two labels have `FEWEST` of them."""
        labels = sorted(label for label, count in self._counts.items() if count >= FEWEST)
        if len(labels) < 2:
            return None
        every = np.stack([each / np.sqrt(self._counts[label]) for label, each in self._sums.items()])
        within = self._products - every.T @ every
        freedom = sum(self._counts.values()) - len(self._counts)
        return Judge(
            labels,
            np.array([self._counts[each] for each in labels], np.int64),
            np.stack([self._sums[each] for each in labels]),
            within / freedom,
            freedom,
        )


class Judge:
    """Judges products by the middles of labels and the spread around them.

    Args:
        labels: The labels, k of them.
        counts: How many products each has, int64 (k,).
        sums: Of their places, float64 (k, dim).
        spread: The covariance of places around the middles of their labels, float64 (dim, dim).
        freedom: Of how many differences it is the mean.
    """

    def __init__(
        self, labels: Sequence[str], counts: npt.NDArray[np.int64], sums: Floats, spread: Floats, freedom: int
    ) -> None:
        self._labels = [*labels]
        self._rows = {label: row for row, label in enumerate(labels)}
        self._counts = counts
        self._removal = (1 - SHRUNK) / freedom * counts / (counts - 1)
        # Where all products of each label are the same, there is no spread, and any will do.
        even = max(float(np.trace(spread)) / len(spread), 1e-12)
        shrunk = (1 - SHRUNK) * spread + SHRUNK * even * np.eye(len(spread))
        # Distances between rows times this are those that the spread weighs.
        self._white = np.linalg.inv(np.linalg.cholesky(shrunk)).T.astype(np.float32)
        self._middles = (sums / counts[:, np.newaxis]).astype(np.float32) @ self._white

    def verdicts(self, labels: Sequence[str], places: Vectors) -> list[Verdict | None]:
        """What each product looks like: of those that were added, with the same labels and places; None where its label
        has too few products."""
        known = [at for at, label in enumerate(labels) if label in self._rows]
        found: list[Verdict | None] = [None] * len(labels)
        if not known:
            return found
        own = np.array([self._rows[labels[at]] for at in known])
        scores = self._scores(places[known] @ self._white, own)
        scores[np.arange(len(own)), own] = -np.inf
        for at, row, theirs in zip(known, scores.argmax(axis=1), scores, strict=True):
            found[at] = Verdict(self._labels[row], float(theirs[row]))
        return found

    def _scores(self, white: Vectors, own: npt.NDArray[np.int64]) -> Floats:
        """Of each label, by how much more products look like it than like their own: (n, k), to six digits."""
        at, middles = white.astype(np.float64), self._middles.astype(np.float64)
        away = at - middles[own]
        # Distances and what the removal below needs, of all labels at once: (at - middle)^2 and away . (at - middle).
        squared = (at**2).sum(axis=1)[:, np.newaxis] - 2 * at @ middles.T + (middles**2).sum(axis=1)
        along = (away * at).sum(axis=1)[:, np.newaxis] - away @ middles.T
        # The product leaves the middle of its own label, from which it is then farther away...
        counts, itself = self._counts[own], (away**2).sum(axis=1)
        rows, factor = np.arange(len(own)), counts / (counts - 1)
        squared[rows, own], along[rows, own] = factor**2 * itself, factor * itself
        # ...and the spread, by the formula of Sherman and Morrison.
        removal = self._removal[own]
        squared += (removal / (1 - removal * itself))[:, np.newaxis] * along**2
        return np.asarray(np.round((squared[rows, own][:, np.newaxis] - squared) / 2, 6))
