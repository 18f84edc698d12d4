"""Places on a plane for vectors, so that what is alike stands together: t-SNE of landmarks, and others among them.

A layout of n vectors is computed with n x n numbers, so of a large catalog only a sample, the landmarks, is laid out.
Every other vector is placed among them, alone: whatever comes later moves nothing.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from services.records import Vectors

Places = npt.NDArray[np.float32]
"""float32, shape (n, 2): x and y."""

LANDMARKS = 1500
"""Vectors that are laid out at most: a round takes their number squared."""
PERPLEXITY = 30.0
"""About how many neighbors count as near (van der Maaten & Hinton 2008 take 5 to 50)."""
EXAGGERATION, EARLY = 12.0, 250
"""By how much, and for how many rounds, near ones attract each other more at first (Linderman & Steinerberger 2019)."""
ROUNDS = 750
NEAREST = 5
"""Landmarks among which a vector is placed."""

_MOMENTUM = (0.5, 0.8)
"""While neighbors are exaggerated, and after."""
_LEAST_RATE = 50.0
_BISECTIONS = 40
_FIRST_WIDTH = 1e-4
_SMALLEST = 1e-6
"""Added to a squared distance (0..4): a vector that is a landmark's stands where that does, but for rounding."""
_BLOCK = 1024


def laid_out(landmarks: Vectors, watch: Callable[[int, int], object] = lambda done, rounds: None) -> Places:
    """Lays vectors out by exact t-SNE (van der Maaten & Hinton 2008), around 0.

    It begins with the first two principal components (Kobak & Berens 2019) and has no chance in it: the same vectors in
    the same order get the same places on one machine. Equal vectors get the same place but for rounding, since nothing
    pushes them apart; nothing is ever NaN.

    Args:
        landmarks: float32 (n, dim), of length one, n >= 1.
        watch: Called with the rounds that are done and all, before each: what it raises ends this. A round is some 15
            ms at 1,500 landmarks, in numpy's loops, which let other threads work.
    """
    count = len(landmarks)
    watch(0, ROUNDS)
    places = _principal(landmarks)
    if count < 3:
        return places
    watch(0, ROUNDS)
    return _descended(_affinities(landmarks, watch), places, watch)


def placed(vectors: Vectors, landmarks: Vectors, places: Places) -> Places:
    """Places vectors among landmarks: each at the mean of those of its `NEAREST` nearest ones, which is weighted by the
    inverse squared distance (Shepard 1968). So it is never outside of what they span.

    Args:
        vectors: float32 (n, dim), of length one.
        landmarks: float32 (m, dim), of length one, m >= 1.
        places: float32 (m, 2), theirs.
    """
    found = np.empty((len(vectors), 2), np.float32)
    nearest = min(NEAREST, len(landmarks))
    for at in range(0, len(vectors), _BLOCK):
        cosines = vectors[at : at + _BLOCK] @ landmarks.T
        rows = np.argpartition(-cosines, nearest - 1, axis=1)[:, :nearest]
        apart = np.maximum(2 - 2 * np.take_along_axis(cosines, rows, axis=1), 0) + np.float32(_SMALLEST)
        weights = 1 / apart
        weights /= weights.sum(axis=1, keepdims=True)
        found[at : at + _BLOCK] = (places[rows] * weights[..., None]).sum(axis=1)
    return found


def framed(places: Places, side: int, margin: float) -> Places:
    """Moves and scales places into a square from 0 to `side`, with a margin that is that share of it on each side.

    Both axes get the same scale. Places that are all the same get its middle.
    """
    low, high = places.min(axis=0), places.max(axis=0)
    width = float((high - low).max())
    scale = side * (1 - 2 * margin) / width if width > 0 else 0.0
    return np.asarray((places - (low + high) / 2) * scale + side / 2, np.float32)


def _principal(vectors: Vectors) -> Places:
    """The first two principal components, the first one `_FIRST_WIDTH` wide in standard deviations."""
    count = len(vectors)
    centered = vectors.astype(np.float64)
    centered -= centered.mean(axis=0)
    # Of n x n, whatever the dimension.
    values, components = np.linalg.eigh(centered @ centered.T)
    found = np.zeros((count, 2))
    for axis, at in enumerate(range(count - 1, max(count - 3, -1), -1)):
        # What is nothing but rounding would pull equal vectors apart.
        if values[at] > 1e-9 * count:
            component = components[:, at] * np.sqrt(values[at])
            found[:, axis] = component * np.sign(component[np.abs(component).argmax()])
    width = found[:, 0].std()
    return np.asarray(found / width * _FIRST_WIDTH if width > 0 else found, np.float32)


def _descended(near: npt.NDArray[np.float32], places: Places, watch: Callable[[int, int], object]) -> Places:
    """The places that gradient descent with momentum leads to from these. It changes `near`."""
    count = len(places)
    # By Belkina et al. 2019, for a gradient with its factor 4.
    rate = max(count / EXAGGERATION / 4, _LEAST_RATE)
    step, gains = np.zeros_like(places), np.ones_like(places)
    near *= np.float32(EXAGGERATION)
    for done in range(ROUNDS):
        watch(done, ROUNDS)
        if done == EARLY:
            near /= np.float32(EXAGGERATION)
        slope = _slope(near, places)
        # Jacobs 1988, as in van der Maaten's own program.
        gains = np.where(np.sign(slope) == np.sign(step), gains * np.float32(0.8), gains + np.float32(0.2))
        np.maximum(gains, np.float32(0.01), out=gains)
        step = np.float32(_MOMENTUM[done >= EARLY]) * step - np.float32(rate) * gains * slope
        places = places + step
        places -= places.mean(axis=0)
    watch(ROUNDS, ROUNDS)
    return np.asarray(places, np.float32)


def _affinities(vectors: Vectors, watch: Callable[[int, int], object]) -> npt.NDArray[np.float32]:
    """How near each is to each, as t-SNE sees it: float32 (n, n), symmetric, 0 to itself, with the sum 1.

    Each has a bell of its own width around it, within which are about `PERPLEXITY` others, fewer where there are few.
    """
    count = len(vectors)
    apart = np.maximum(2 - 2 * (vectors @ vectors.T), 0)
    np.fill_diagonal(apart, np.inf)
    # Equal to what is subtracted from every distance, so that no bell is 0 everywhere.
    apart -= apart.min(axis=1, keepdims=True)
    wanted = np.log(min(PERPLEXITY, max(2.0, (count - 1) / 3)))
    low, high = np.full((count, 1), np.float32(0)), np.full((count, 1), np.float32(np.inf))
    sharpness = np.ones((count, 1), np.float32)
    finite = np.where(np.isinf(apart), np.float32(0), apart)
    for _ in range(_BISECTIONS):
        watch(0, ROUNDS)
        bells = np.exp(-apart * sharpness)
        sums = bells.sum(axis=1, keepdims=True)
        entropy = np.log(sums) + sharpness * (finite * bells).sum(axis=1, keepdims=True) / sums
        is_wide = entropy > wanted
        low, high = np.where(is_wide, sharpness, low), np.where(is_wide, high, sharpness)
        # Where many are equally near no bell is narrow enough: it ends before it overflows.
        sharpness = np.where(np.isinf(high), np.minimum(sharpness * 2, np.float32(1e9)), (low + high) / 2)
    bells = np.exp(-apart * sharpness)
    bells /= bells.sum(axis=1, keepdims=True)
    return np.asarray((bells + bells.T) / (2 * count), np.float32)


def _slope(near: npt.NDArray[np.float32], places: Places) -> Places:
    """The gradient of the divergence of the places from `near`: float32 (n, 2)."""
    squares = np.einsum("ij,ij->i", places, places)
    bells = places @ (np.float32(-2) * places.T)
    bells += squares
    bells += squares[:, None]
    # Rounding may have made a distance less than nothing.
    np.maximum(bells, 0, out=bells)
    bells += 1
    np.reciprocal(bells, out=bells)
    np.fill_diagonal(bells, 0)
    forces = bells * (np.float32(-1) / bells.sum())
    forces += near
    forces *= bells
    return np.asarray(4 * (forces.sum(axis=1, keepdims=True) * places - forces @ places), np.float32)
