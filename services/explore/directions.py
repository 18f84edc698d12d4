"""Directions: what tells one set of products from another one of the same categories, and a step along it.

A direction is a linear discriminant (R. A. Fisher, The use of multiple measurements in taxonomic problems, Annals of
Eugenics 7, 1936) on what is left of vectors when the mean of their category is taken away, with the covariance shrunk
towards a multiple of the identity (J. H. Friedman, Regularized discriminant analysis, Journal of the American
Statistical Association 84, 1989). So a direction learned from red mugs and blue sofas says nothing of mugs and sofas.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt

from services.errors import DirectionWeak, TooFewExamples
from services.records import Vector, Vectors

FEWEST = 10
"""Examples that each side needs in categories that both sides have."""
SHRINKAGE = 0.8
"""The share of the multiple of the identity in the covariance, 0 to 1. At 1 a direction is the difference of means."""
STEP = 2.0
"""The length of the step of amount 1, beside a query of length one."""
GOOD, USABLE = 0.85, 0.65
"""The least `auc` of a direction that is good, and of one that is used without being forced."""
GAIN = 0.02
"""A space must tell so much more apart than an earlier one to be taken instead of it."""

FOLDS = 5
HELD_OUT = 1000
"""Examples are held out again, with other folds, until they are so many in all: few give a quality that is chance."""
SEED = 0

Quality = Literal["good", "weak", "unusable"]
_Rows = npt.NDArray[np.int64]
_Marks = npt.NDArray[np.bool_]
_Floats = npt.NDArray[np.float64]
_Number = TypeVar("_Number", np.float32, np.float64)


@dataclass(frozen=True)
class Space:
    """Where arithmetic on vectors of length one is done: their color part counts `weight` times as much there.

    Attributes:
        colors: Where the color part begins; the length of the vectors where they have none.
        weight: As a search's `color_weight`, above 0. The color part is multiplied by its square root on both sides
            of a cosine, where a search multiplies that of the query alone by all of it.
    """

    colors: int
    weight: float = 1.0

    def scaled(self, vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Vectors, float32 (..., dim), brought into this space: of length one, those of zeros stay zeros."""
        if self.weight == 1:
            return _unit(vectors)
        scaled = vectors.copy()
        scaled[..., self.colors :] *= np.float32(np.sqrt(self.weight))
        return _unit(scaled)


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
class Direction:
    """A direction in a space, from negatives to positives.

    Attributes:
        vector: float32 (dim,), of length one, in `space`.
        space: Where it was learned and where steps are taken.
        auc: How well it tells examples that were held out apart: the share of pairs, a positive and a negative of one
            category, in which the positive is farther along, 0 to 1; 0.5 is chance.
        positives: How many were used; those of categories that only one side has are not.
        negatives: Likewise.
        categories: In how many categories.
    """

    vector: Vector
    space: Space
    auc: float
    positives: int
    negatives: int
    categories: int

    @property
    def quality(self) -> Quality:
        """What `auc` means for people."""
        return "good" if self.auc >= GOOD else "weak" if self.auc >= USABLE else "unusable"

    def stepped(self, query: Vector, amount: float) -> Vector:
        """The query, float32 (dim,), after a step, to be sent to an index of stored vectors: float32 (dim,), of length
        one. The index's score is its cosine with what is stored.

        Args:
            query: Centered, of length one.
            amount: How far, in steps of `STEP`; below 0 towards the negatives.
        """
        moved = self.space.scaled(query) + np.float32(STEP * amount) * self.vector
        # The other square root of the weight, which stored vectors do not have.
        return self.space.scaled(moved)


def learned(examples: Examples, spaces: Sequence[Space]) -> Direction:
    """The direction from negatives to positives, in the first space in which it is about as good as in any.

    The same examples in the same order give the same direction.

    Args:
        examples: Two sets.
        spaces: To choose from, at least one, the one that disturbs other likenesses least first.

    Raises:
        TooFewExamples: One side has fewer than `FEWEST` in categories that both sides have.
        DirectionWeak: Nothing tells the sides apart.
    """
    positive, category, vectors = _comparable(examples)
    sides = int(positive.sum()), int((~positive).sum())
    if min(sides) < FEWEST:
        raise TooFewExamples(
            f"A direction needs {FEWEST} examples on each side, in categories that both sides have; there are "
            f"{sides[0]} for it and {sides[1]} against: name more of them, or no category attribute."
        )
    found = [(space, _auc(space.scaled(vectors), positive, category)) for space in spaces]
    enough = max(auc for _, auc in found) - GAIN
    space, auc = next(each for each in found if each[1] >= enough)
    vector = _discriminant(space.scaled(vectors), positive, category)
    if not vector.any():
        raise DirectionWeak("The two sets look the same, so no direction leads from one to the other: name others.")
    return Direction(vector.astype(np.float32), space, auc, *sides, len(np.unique(category)))


def usable(direction: Direction, what: str) -> Direction:
    """The direction itself. Raises `DirectionWeak` where it is so weak that it is used only if that is forced; `what`
    names it."""
    if direction.quality == "unusable":
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
    solution: _Floats = np.asarray(np.linalg.solve(matrix, right), np.float64)
    return solution


def _residuals(vectors: _Floats, category: _Rows) -> _Floats:
    """What is left of vectors without the mean of their category."""
    _, which, sizes = np.unique(category, return_inverse=True, return_counts=True)
    sums = np.zeros((len(sizes), vectors.shape[1]))
    np.add.at(sums, which, vectors)
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
