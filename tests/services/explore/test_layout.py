"""Places on a plane: what is alike stands together, whatever the vectors are."""

import numpy as np
import numpy.typing as npt
import pytest

from services.explore.layout import PERPLEXITY, ROUNDS, framed, laid_out, placed
from services.records import Vectors


def blobs(count: int, of: int, spread: float = 0.25, seed: int = 0) -> tuple[Vectors, npt.NDArray[np.int64]]:
    """Vectors around so many middles, far from each other, and of which one each is."""
    random = np.random.default_rng(seed)
    middles, labels = np.random.default_rng(1).normal(size=(of, 24)), np.arange(count) % of
    vectors = middles[labels] + spread * random.normal(size=(count, 24))
    return unit(vectors), labels


def unit(vectors: npt.NDArray[np.float64]) -> Vectors:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def nearest(places: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
    apart = np.square(places[:, None].astype(np.float64) - places).sum(axis=-1)
    np.fill_diagonal(apart, np.inf)
    return apart.argmin(axis=1)


def test_what_is_alike_stands_together_whether_it_is_a_landmark_or_placed_among_them() -> None:
    vectors, labels = blobs(160, 4)
    landmarks, others = vectors[:100], vectors[100:]
    places = laid_out(landmarks)
    every = np.concatenate([places, placed(others, landmarks, places)])
    assert (labels[nearest(every)] == labels).all()
    assert np.array_equal(laid_out(landmarks), places)


def test_a_vector_is_placed_alone_and_within_its_landmarks() -> None:
    vectors, _ = blobs(90, 3)
    landmarks = vectors[:60]
    places = framed(laid_out(landmarks), 65535, 0.04)
    together = placed(vectors, landmarks, places)
    order = np.random.default_rng(0).permutation(len(vectors))
    # Matrix products differ in the last digit with the number of rows.
    assert np.abs(placed(vectors[order], landmarks, places) - together[order]).max() < 1
    assert np.abs(placed(vectors[60:61], landmarks, places) - together[60]).max() < 1
    assert np.abs(together[:60] - places).max() < 1
    assert together.min() >= places.min() - 1 and together.max() <= places.max() + 1


@pytest.mark.parametrize("count", [1, 2, 3, 4, 10])
def test_few_vectors_have_places_of_their_own(count: int) -> None:
    vectors, _ = blobs(count, count)
    places = framed(laid_out(vectors), 100, 0.1)
    assert np.isfinite(places).all() and places.min() >= 9.9 and places.max() <= 90.1
    if count == 1:
        assert places.tolist() == [[50, 50]]
    else:
        assert np.ptp(places, axis=0).max() == pytest.approx(80, abs=0.1)
        assert len(np.unique(places.round(1), axis=0)) == count


def test_equal_vectors_and_vectors_equally_far_apart_have_places_that_are_numbers() -> None:
    same = np.repeat(blobs(1, 1)[0], 40, axis=0)
    assert np.array_equal(framed(laid_out(same), 100, 0.1), np.full((40, 2), 50, np.float32))
    assert np.isfinite(placed(same, same, laid_out(same))).all()
    simplex = np.eye(30, dtype=np.float32)
    assert np.isfinite(laid_out(simplex)).all()
    vectors, _ = blobs(60, 3)
    twice = laid_out(np.concatenate([vectors, vectors[:1]]))
    assert np.abs(twice[0] - twice[-1]).max() < 0.001 * np.ptp(twice, axis=0).max()
    many = np.concatenate([np.repeat(vectors[:1], 2 * int(PERPLEXITY), axis=0), -vectors[:1]])
    assert np.isfinite(laid_out(many)).all()


def test_each_round_may_be_the_last() -> None:
    seen: list[int] = []

    def watch(done: int, rounds: int) -> None:
        assert rounds == ROUNDS
        seen.append(done)
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        laid_out(blobs(20, 2)[0], watch)
    assert sorted(set(seen)) == [0, 1, 2, 3]
