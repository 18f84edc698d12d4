"""The arithmetic of queries, on vectors of length one.

A place is where something lies in the space of a catalog, seen from the middle of it: the vector minus the mean of the
catalog's vectors, brought to length one. Adding up places, and going along directions, gives a query, which is compared
with the vectors as they are stored.

With a color weight c the space is another one: in it the color part of each vector is multiplied by the square root of
c. As that is done on both sides, its cosines weigh colors by c. Stored vectors stay as they are, so the query has it
twice.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from services.descriptions import LAYERS_DIM
from services.records import Vector, Vectors

UNLIKE = 0.25
"""How much the mean of what is unliked counts, beside the mean of what is liked: less finds less, more leads astray."""
STEP = 2.0
"""How far an amount of 1 goes along a direction, where the place that it begins at has length one."""
NOWHERE = 1e-4
"""A sum of places of length one that is shorter than this points nowhere: its direction would be rounding."""


def places(vectors: Vectors, mean: Vector | None, color_weight: float = 1.0) -> Vectors:
    """Where vectors (n, dim) lie, float32 (n, dim), of length one; zeros where one lies in the middle."""
    seen = vectors if mean is None else vectors - mean
    return _unit(_colored(seen, color_weight))


def sent(place: npt.NDArray[np.float32], color_weight: float = 1.0) -> npt.NDArray[np.float32]:
    """What is compared with stored vectors to find what is near a place, or places: float32 (..., dim). Its length is
    not one."""
    return np.asarray(_colored(place, color_weight), np.float32)


def slerp(first: Vector, last: Vector, share: float) -> Vector:
    """A place on the shortest arc between two of length one: `first` at a share of 0, `last` at 1.

    K. Shoemake, "Animating Rotation with Quaternion Curves", SIGGRAPH 1985. Opposite places have no shortest arc: then
    it is the line.
    """
    angle = float(np.arccos(np.clip(first.astype(np.float64) @ last, -1, 1)))
    if np.sin(angle) < 1e-6:
        return np.asarray((1 - share) * first + share * last, np.float32)
    parts = np.sin([(1 - share) * angle, share * angle]) / np.sin(angle)
    return np.asarray(parts[0] * first + parts[1] * last, np.float32)


def diverse(query: Vector, vectors: Vectors, diversity: float, count: int) -> list[int]:
    """The rows of vectors (n, dim) that are near the query and unlike each other, best first, `count` at most.

    Maximal marginal relevance (J. Carbonell and J. Goldstein, "The Use of MMR", SIGIR 1998): each next one has the
    largest (1 - diversity) * cosine with the query - diversity * largest cosine with those before it. All have length
    one. Of equal ones the first is taken.
    """
    near = (vectors @ query).astype(np.float64)
    alike = np.full(len(vectors), -1.0)
    chosen: list[int] = []
    left = np.ones(len(vectors), bool)
    while len(chosen) < min(count, len(vectors)):
        worth = (1 - diversity) * near - (diversity * alike if chosen else 0.0)
        # What the last digits would decide, the order does.
        best = int(np.where(left, np.round(worth, 6), -np.inf).argmax())
        chosen.append(best)
        left[best] = False
        alike = np.maximum(alike, vectors @ vectors[best])
    return chosen


def combined(parts: Sequence[Vector]) -> Vector | None:
    """The sum of parts (dim,), or None where it points nowhere."""
    total = np.sum(np.asarray(parts, np.float64), axis=0)
    longest = max(float(np.linalg.norm(part)) for part in parts)
    if np.linalg.norm(total) <= NOWHERE * longest:
        return None
    return np.asarray(total, np.float32)


def _colored(vectors: npt.NDArray[np.float32], color_weight: float) -> npt.NDArray[np.float32]:
    if color_weight == 1:
        return vectors
    scaled = vectors.copy()
    scaled[..., LAYERS_DIM:] *= np.float32(np.sqrt(color_weight))
    return scaled


def _unit(vectors: Vectors) -> Vectors:
    lengths: npt.NDArray[np.float64] = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    return np.asarray(np.where(lengths > NOWHERE, vectors / np.maximum(lengths, NOWHERE), 0), np.float32)
