"""Directions: what tells one set of products from another one of the same categories, and a step along it.

A direction is a linear discriminant (R. A. Fisher, The use of multiple measurements in taxonomic problems, Annals of
Eugenics 7, 1936) on what is left of vectors when the mean of their category is taken away, with the covariance shrunk
towards a multiple of the identity (J. H. Friedman, Regularized discriminant analysis, Journal of the American
Statistical Association 84, 1989). So a direction learned from red mugs and blue sofas says nothing of mugs and sofas.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from services.errors import DirectionWeak, TooFewExamples
from services.query.geometry import places
from services.records import Vector, Vectors

FEWEST = 10
"""Examples that each side needs in categories that both sides have."""
SHRINKAGE = 0.8
"""The share of the multiple of the identity in the covariance, 0 to 1. At 1 a direction is the difference of means."""
USABLE = 0.65
"""The least `auc` of a direction that is used without being forced."""
GAIN = 0.05
"""So much more `auc` must a color weight give than an earlier one to be taken instead of it. With 0.02, some directions
to a pattern got a color weight, which leads them astray."""

FOLDS = 5
HELD_OUT = 1000
"""Examples are held out again, with other folds, until they are so many in all: few give a quality that is chance."""
SEED = 0

_Rows = npt.NDArray[np.int64]
_Marks = npt.NDArray[np.bool_]
_Floats = npt.NDArray[np.float64]
_Number = TypeVar("_Number", np.float32, np.float64)


@dataclass(frozen=True, eq=False)
class Examples:
    """Products of two sets.

    Attributes:
        positives: float32 (p, dim), centered and of length one.
        negatives: float32 (n, dim), likewise.
        positive_categories: Of each positive; None is a category, too, so that without categories all are of one.
        negative_categories: Of each negative.
    """

    positives: Vectors
    negatives: Vectors
    positive_categories: Sequence[str | None]
    negative_categories: Sequence[str | None]


@dataclass(frozen=True, eq=False)
class Learned:
    """A direction from negatives to positives.

    Attributes:
        vector: float32 (dim,), of length one, in the space with the color weight: see `services.query.geometry`.
        color_weight: With which it was learned.
        auc: How well it tells examples that were held out apart: the share of pairs, a positive and a negative of one
            category, in which the positive is farther along, 0 to 1; 0.5 is chance.
        positives: How many were used; those of categories that only one side has are not.
        negatives: Likewise.
        categories: In how many categories.
    """

    vector: Vector
    color_weight: float
    auc: float
    positives: int
    negatives: int
    categories: int


def learned(examples: Examples, color_weights: Sequence[float] = (1.0,), what: str = "The direction") -> Learned:
    """The direction from negatives to positives, with the first color weight that does about as well as any.

    The same examples in the same order give the same direction.

    Args:
        examples: Two sets.
        color_weights: To choose from, each above 0, the one that disturbs other likenesses least first; of features
            without a color part, 1 alone.
        what: Names the direction in errors.

    Raises:
        TooFewExamples: One side has fewer than `FEWEST` in categories that both sides have.
        DirectionWeak: Nothing tells the sides apart.
    """
    positive, category, vectors = _comparable(examples)
    sides = int(positive.sum()), int((~positive).sum())
    if min(sides) < FEWEST:
        raise TooFewExamples(
            f"{what} needs {FEWEST} examples on each side, in categories that both sides have; there are {sides[0]} "
            f"for it and {sides[1]} against: name more of them, or nothing that they are compared within."
        )
    found = [(weight, _auc(places(vectors, None, weight), positive, category)) for weight in color_weights]
    enough = max(auc for _, auc in found) - GAIN
    weight, auc = next(each for each in found if each[1] >= enough)
    vector = _discriminant(places(vectors, None, weight), positive, category)
    if not vector.any():
        raise DirectionWeak(f"{what} leads nowhere, since its two sides look the same: name others.")
    return Learned(vector.astype(np.float32), weight, auc, *sides, len(np.unique(category)))


def usable(direction: Learned, what: str) -> Learned:
    """The direction itself. Raises `DirectionWeak` where it is so weak that it is used only if that is forced; `what`
    names it."""
    if direction.auc < USABLE:
        raise DirectionWeak(
            f"The quality of {what} is {direction.auc:.3f}, and chance is 0.5: name examples that differ in one thing, "
            f"or more of them, or force it; {USABLE} is needed."
        )
    return direction


def _comparable(examples: Examples) -> tuple[_Marks, _Rows, Vectors]:
    """Which examples of categories that both sides have are positive, their categories as numbers, their vectors."""
    both = {*examples.positive_categories} & {*examples.negative_categories}
    names = [*examples.positive_categories, *examples.negative_categories]
    numbers: dict[str | None, int] = {}
    category = np.array([numbers.setdefault(each, len(numbers)) for each in names], np.int64)
    positive = np.arange(len(names)) < len(examples.positives)
    used = np.array([each in both for each in names], bool)
    return positive[used], category[used], np.concatenate([examples.positives, examples.negatives])[used]


def _discriminant(vectors: Vectors, positive: _Marks, category: _Rows) -> _Floats:
    """The direction, float64 (dim,), of length one; zeros where nothing tells the sides apart."""
    residuals = _residuals(vectors.astype(np.float64), category)
    # In each category that is the difference of its means, as certain as it is: p n / (p + n) times.
    apart = residuals[positive].sum(axis=0)
    count, dim = residuals.shape
    ridge = SHRINKAGE * float(np.square(residuals).sum()) / count / dim
    share = (1 - SHRINKAGE) / count
    if count < dim:
        # Woodbury's identity: the system has the smaller side.
        inner = residuals @ residuals.T * share + ridge * np.eye(count)
        solved = apart - residuals.T @ _solved(inner, residuals @ apart * share)
    else:
        solved = _solved(residuals.T @ residuals * share + ridge * np.eye(dim), apart)
    return _unit(solved)


def _solved(matrix: _Floats, right: _Floats) -> _Floats:
    """Zeros where the matrix is: all vectors of each category are the same."""
    if not matrix.any():
        return np.zeros_like(right)
    return np.asarray(np.linalg.solve(matrix, right), np.float64)


def _residuals(vectors: _Floats, category: _Rows) -> _Floats:
    """What is left of vectors without the mean of their category."""
    _, which, sizes = np.unique(category, return_inverse=True, return_counts=True)
    starts = np.cumsum(sizes) - sizes
    sums = np.add.reduceat(vectors[np.argsort(which, kind="stable")], starts)
    return vectors - (sums / sizes[:, None])[which]


def _auc(vectors: Vectors, positive: _Marks, category: _Rows) -> float:
    """`Direction.auc`, over pairs that are held out together."""
    random = np.random.default_rng(SEED)
    won = pairs = 0.0
    for _ in range(max(1, HELD_OUT // len(vectors))):
        folds = _folds(positive, category, random)
        for fold in range(FOLDS):
            out = folds == fold
            along = vectors[out] @ _discriminant(vectors[~out], positive[~out], category[~out])
            for each in np.unique(category[out]):
                there = category[out] == each
                ahead, behind = along[there & positive[out]], along[there & ~positive[out]]
                won += _won(ahead, behind)
                pairs += len(ahead) * len(behind)
    return won / pairs


def _folds(positive: _Marks, category: _Rows, random: np.random.Generator) -> _Rows:
    """In which fold each example is held out. In each category both sides begin with the same fold, so that also where
    there are few of them there are pairs in one fold."""
    folds = np.empty(len(positive), np.int64)
    for each in np.unique(category):
        first = random.integers(FOLDS)
        for side in (positive, ~positive):
            rows = random.permutation(np.flatnonzero((category == each) & side))
            folds[rows] = (first + np.arange(len(rows))) % FOLDS
    return folds


def _won(ahead: _Floats, behind: _Floats) -> float:
    """In how many pairs the first is greater; where both are equal, that is half a pair (Mann, Whitney 1947)."""
    ordered = np.sort(behind)
    below, up_to = (np.searchsorted(ordered, ahead, side) for side in ("left", "right"))
    return float((below + up_to).sum()) / 2


def _unit(rows: npt.NDArray[_Number]) -> npt.NDArray[_Number]:
    """Rows brought to length one; those of zeros stay zeros."""
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1), rows.dtype)
