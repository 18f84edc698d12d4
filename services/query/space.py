"""The space of a generation: where the middle of its vectors is, and how alike two of its products are by chance.

A percentile says how many random pairs of products are less alike than a product and the query, in percent: 99.4 means
more alike than 99.4% of them. Unlike a cosine, it means the same with every encoder.
"""

from functools import lru_cache
from io import BytesIO
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from services.errors import DataCorrupt
from services.query.geometry import places, sent
from services.records import Vector, Vectors

REFERENCES = 256
"""Products whose pairs, 32,640, stand for random ones: one in ten thousand can be told."""
_KEPT = 16
"""Ways to compare whose pairs are kept in memory."""


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
        self._pairs = lru_cache(_KEPT)(self._sorted_pairs)

    def percentile(self, score: float, *, centered: bool, color_weight: float) -> float:
        """How many random pairs have a lower score, 0..100, to two digits.

        Args:
            score: A cosine.
            centered: Whether the query was a place, seen from the middle, rather than a vector as it is stored.
            color_weight: That of the query.
        """
        pairs = self._pairs(centered, color_weight)
        # Less than what float32 rounds is no difference: a pair that is as alike does not count.
        below = int(np.searchsorted(pairs, score - 1e-6))
        return _rounded(100 * below / len(pairs))

    def min_score(self, percentile: float, *, centered: bool, color_weight: float) -> float:
        """The lowest score that has such a percentile, -1..1; more than 1 where none has."""
        pairs = self._pairs(centered, color_weight)
        # The first place from which on the share, to two digits, is enough.
        shares = np.floor(1e4 * np.arange(len(pairs) + 1) / len(pairs) + 1e-9) / 100
        first = int(np.searchsorted(shares, percentile))
        if first == 0:
            return -1.0
        return float(pairs[first - 1]) + 2e-6 if first <= len(pairs) else 2.0

    def to_bytes(self) -> bytes:
        """As a file: the same bytes for the same values."""
        out = BytesIO()
        products = np.array(self.products, np.int64)
        np.savez(out, allow_pickle=False, products=products, mean=self.mean, references=self.references)
        return out.getvalue()

    def _sorted_pairs(self, centered: bool, color_weight: float) -> npt.NDArray[np.float64]:
        """The scores that the references have as answers to each other, ascending."""
        asked = places(self.references, self.mean if centered else None, color_weight)
        queries = np.stack([sent(each, color_weight) for each in asked]).astype(np.float64)
        queries /= np.maximum(np.linalg.norm(queries, axis=1, keepdims=True), 1e-12)
        scores = queries @ self.references.T.astype(np.float64)
        return np.sort(scores[~np.eye(len(scores), dtype=bool)])


def from_bytes(data: bytes, dim: int) -> Space:
    """The space out of its file. Raises `DataCorrupt` where it is none, or of vectors with another `dim`."""
    try:
        with np.load(BytesIO(data), allow_pickle=False) as file:
            products, mean, references = file["products"], file["mean"], file["references"]
    except (ValueError, KeyError, OSError, EOFError, BadZipFile) as error:
        raise DataCorrupt("What is known of a catalog's space is damaged.") from error
    sound = products.shape == () and mean.shape == (dim,) and references.ndim == 2 and references.shape[1] == dim
    if not sound or len(references) < 2 or not {mean.dtype, references.dtype} <= {np.dtype(np.float32)}:
        raise DataCorrupt("What is known of a catalog's space is of another kind.")
    return Space(int(products), mean, references)


def _rounded(percentile: float) -> float:
    """Down to two digits, so that 100 is only what no pair reaches."""
    return float(np.floor(100 * percentile + 1e-9) / 100)
