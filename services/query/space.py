"""The space of a generation: where the middle of its vectors is, and how alike a query and a product are by chance.

A percentile says how many random pairs, of a query of the same form and a product, are less alike than the two at hand,
in percent: 99.4 means more alike than 99.4% of them. Unlike a cosine, it means the same with every encoder, and for a
sum of many terms the same as for one.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.arrays import packed, unpacked
from services.errors import DataCorrupt
from services.query.geometry import places, sent
from services.records import Vector, Vectors

REFERENCES = 256
"""Products whose pairs stand for random ones. Of one term there are 65,280 of them: one in ten thousand can be told."""
SUMS = 64
"""Random queries of several terms, each compared with all references that are no terms of it."""
_KEPT = 16
"""Forms whose pairs are kept in memory."""
_SEED = 0

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Form:
    """What queries have in common that differ only in their examples.

    Attributes:
        weights: Those of the examples. Empty: there are none, and `ahead` is all there is.
        color_weight: That of the query.
        centered: Whether examples were places, seen from the middle, rather than one vector as it is stored.
        ahead: What directions add to a place of length one, as it is sent: the bytes of float32 (dim,). Empty: nothing.
    """

    weights: tuple[float, ...]
    color_weight: float = 1.0
    centered: bool = True
    ahead: bytes = b""


class Space:
    """What is known of the vectors of a generation. Thread-safe.

    Args:
        products: How many products there were.
        mean: Of their vectors, as far as these are not centered: float32 (dim,). Zeros: they are.
        references: Vectors of some of them, taken at random: float32 (n, dim), n >= 2, of length one.
    """

    def __init__(self, products: int, mean: Vector, references: Vectors) -> None:
        self.products = products
        self.mean = mean
        self.references = references
        self._lock = threading.Lock()
        self._known: dict[Form, Floats] = {}

    def percentile(self, score: float, form: Form) -> float:
        """How many random pairs have a lower score than this one of a query of a form, 0..100, to two digits."""
        return self.percentiles([score], form)[0]

    def percentiles(self, scores: Sequence[float], form: Form) -> list[float]:
        """The same of several scores."""
        pairs = self._pairs(form)
        # Less than what float32 rounds is no difference: a pair that is as alike does not count.
        below = np.searchsorted(pairs, np.array(scores, np.float64) - 1e-6)
        # Down to two digits, so that 100 is only what no pair reaches.
        found: list[float] = (np.floor(1e4 * below / len(pairs) + 1e-9) / 100).tolist()
        return found

    def min_score(self, percentile: float, form: Form) -> float:
        """The lowest score that has such a percentile, -1..1; more than 1 where none has."""
        pairs = self._pairs(form)
        # The first place from which on the share, to two digits, is enough.
        shares = np.floor(1e4 * np.arange(len(pairs) + 1) / len(pairs) + 1e-9) / 100
        first = int(np.searchsorted(shares, percentile))
        if first == 0:
            return -1.0
        return float(pairs[first - 1]) + 2e-6 if first <= len(pairs) else 2.0

    def to_bytes(self) -> bytes:
        """As a file: the same bytes for the same values."""
        return packed(products=np.array(self.products, np.int64), mean=self.mean, references=self.references)

    def _pairs(self, form: Form) -> Floats:
        """The scores of random pairs, ascending; those of the last forms are kept."""
        with self._lock:
            found = self._known.pop(form, None)
        if found is None:
            found = self._sorted_pairs(form)
        with self._lock:
            self._known[form] = found
            if len(self._known) > _KEPT:
                del self._known[next(iter(self._known))]
        return found

    def _sorted_pairs(self, form: Form) -> Floats:
        ahead = np.frombuffer(form.ahead, np.float32) if form.ahead else np.zeros(self.references.shape[1], np.float32)
        if not form.weights:
            return np.sort(self._scores(ahead[np.newaxis])[0])
        terms = self._terms(len(form.weights))
        at = places(self.references, self.mean if form.centered else None, form.color_weight)
        whole = sum(np.float32(weight) * at[terms[:, column]] for column, weight in enumerate(form.weights))
        queries = sent(_unit(np.asarray(whole)), form.color_weight) + ahead
        scores = self._scores(np.asarray(queries, np.float32))
        others = np.ones(scores.shape, bool)
        np.put_along_axis(others, terms, False, axis=1)
        return np.sort(scores[others])

    def _terms(self, count: int) -> npt.NDArray[np.int64]:
        """Which references are the terms of random queries: (queries, count)."""
        there = len(self.references)
        if count == 1:
            return np.arange(there)[:, np.newaxis]
        random = np.random.default_rng(_SEED)
        # A reference is left to compare with, also where there are as many terms as references.
        return np.stack([random.choice(there, count, replace=count >= there) for _ in range(SUMS)])

    def _scores(self, queries: Vectors) -> Floats:
        return np.asarray(_unit(queries) @ self.references.T, np.float64)


def from_bytes(data: bytes, dim: int) -> Space:
    """The space out of its file. Raises `DataCorrupt` where it is none, or of vectors with another `dim`."""
    try:
        products, mean, references = unpacked(data, ("products", "mean", "references")).values()
    except ValueError as error:
        raise DataCorrupt("What is known of a catalog's space is damaged.") from error
    sound = products.shape == () and mean.shape == (dim,) and references.ndim == 2 and references.shape[1] == dim
    if not sound or len(references) < 2 or not {mean.dtype, references.dtype} <= {np.dtype(np.float32)}:
        raise DataCorrupt("What is known of a catalog's space is of another kind.")
    return Space(int(products), mean, references)


def _unit(rows: Vectors) -> Vectors:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, np.float32(1e-9)), np.float32)
