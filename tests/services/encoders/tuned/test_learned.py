"""What is learned from pictures: a vector of 128 numbers, of layers and colors, whatever it is made of."""

import io

import numpy as np
import pytest

from services.descriptions import COLOR_DIM, LAYERS_DIM
from services.encoders.recipes import TUNED_DIM
from services.encoders.tuned.color import DIM as COLORS
from services.encoders.tuned.learned import Learned, digest, from_bytes, learned, weighted
from services.errors import DataCorrupt
from services.records import Vectors

DIMS = (40, 100, 60)


def layers(count: int, seed: int = 0) -> Vectors:
    """Numbers of three layers, of very different size, as those of networks are: all of them not negative."""
    random = np.random.default_rng(seed)
    common = random.random(sum(DIMS)) * np.repeat((100.0, 1.0, 0.01), DIMS)
    return np.asarray(common * (1 + 0.5 * random.random((count, sum(DIMS)))), np.float32)


def colors(count: int, seed: int = 1) -> Vectors:
    counts = np.random.default_rng(seed).random((count, COLORS)) ** 8
    return np.asarray(np.sqrt(counts / counts.sum(axis=1, keepdims=True)), np.float32)


@pytest.fixture(scope="module")
def found() -> Learned:
    return learned(layers(300), DIMS, colors(300))


def test_a_vector_has_two_parts_of_fixed_lengths(found: Learned) -> None:
    vectors = found.apply(layers(50, seed=7), colors(50, seed=8))
    assert (vectors.shape, vectors.dtype) == ((50, TUNED_DIM), np.float32)
    np.testing.assert_allclose(np.linalg.norm(vectors[:, :LAYERS_DIM], axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(vectors[:, LAYERS_DIM:], axis=1), np.sqrt(0.1), atol=1e-6)


def test_it_is_what_a_plain_analysis_of_principal_components_gives(found: Learned) -> None:
    """The slow way: each layer to length one, the mean taken away, a singular value decomposition."""
    asked, known = layers(20, seed=5), layers(300)

    def joined(rows: Vectors) -> Vectors:
        ends = np.cumsum(DIMS)
        parts = [rows[:, end - dim : end] for end, dim in zip(ends, DIMS, strict=True)]
        return np.hstack([part / np.linalg.norm(part, axis=1, keepdims=True) for part in parts]).astype(np.float64)

    mean = joined(known).mean(axis=0)
    _, _, components = np.linalg.svd(joined(known) - mean, full_matrices=False)
    expected = (joined(asked) - mean) @ components[:LAYERS_DIM].T
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    vectors = found.apply(asked, colors(20, seed=6))[:, :LAYERS_DIM]
    # Components may point either way, so it is the angles between pictures that have to be the same.
    np.testing.assert_allclose(vectors @ vectors.T, expected @ expected.T, atol=1e-4)


def test_every_layer_counts_the_same_however_large_its_numbers_are(found: Learned) -> None:
    larger = layers(50, seed=7)
    larger[:, : DIMS[0]] *= 1000
    one, other = (found.apply(each, colors(50, seed=8)) for each in (layers(50, seed=7), larger))
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_with_more_numbers_than_pictures_it_is_the_same() -> None:
    """Both ways of decomposition, which one is taken depends on how many pictures there are."""
    few = learned(layers(150), DIMS, colors(150))
    twice = learned(np.tile(layers(150), (2, 1)), DIMS, np.tile(colors(150), (2, 1)))
    one, other = (each.apply(layers(30, seed=3), colors(30, seed=4)) for each in (few, twice))
    np.testing.assert_allclose(one @ one.T, other @ other.T, atol=1e-3)


def test_fewer_pictures_than_numbers_leave_the_rest_zero() -> None:
    few = learned(layers(10), DIMS, colors(10))
    vectors = few.apply(layers(5, seed=2), colors(5, seed=3))
    assert not vectors[:, 9:LAYERS_DIM].any() and not vectors[:, LAYERS_DIM + 9 :].any()
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), np.sqrt(1.1), atol=1e-6)


def test_the_order_of_pictures_does_not_matter_and_the_same_pictures_give_the_same_file() -> None:
    one, same = (learned(layers(200), DIMS, colors(200)) for _ in range(2))
    assert digest(one.to_bytes()) == digest(same.to_bytes())
    turned = learned(layers(200)[::-1], DIMS, colors(200)[::-1])
    asked = layers(30, seed=3), colors(30, seed=4)
    np.testing.assert_allclose(one.apply(*asked), turned.apply(*asked), atol=1e-3)


def test_a_picture_without_features_in_the_layers_has_none(found: Learned) -> None:
    some, seen = layers(4, seed=7), colors(4, seed=8)
    some[1], some[2] = np.nan, 0
    seen[3] = found.colors_mean
    vectors = found.apply(some, seen)
    assert vectors[0].any() and not vectors[1].any() and not vectors[2].any()
    # Colors that are those of all tell nothing, and cost nobody the picture.
    assert vectors[3, :LAYERS_DIM].any() and not vectors[3, LAYERS_DIM:].any()
    assert found.apply(some[:0], seen[:0]).shape == (0, TUNED_DIM)


def test_a_file_gives_back_what_was_learned(found: Learned) -> None:
    again = from_bytes(found.to_bytes())
    asked = layers(9, seed=3), colors(9, seed=4)
    np.testing.assert_array_equal(again.apply(*asked), found.apply(*asked))
    assert again.to_bytes() == found.to_bytes()


def saved(**arrays: object) -> bytes:
    out = io.BytesIO()
    np.savez(out, **arrays)  # type: ignore[arg-type]
    return out.getvalue()


def test_what_is_no_such_file_is_refused(found: Learned) -> None:
    fine = {name: getattr(found, name) for name in ("dims", "layers_mean", "layers", "colors_mean", "colors")}
    damaged = bytearray(found.to_bytes())
    damaged[len(damaged) // 2] ^= 255
    broken = {
        "nothing": b"",
        "text": b"no file of arrays",
        "cut off": found.to_bytes()[:-100],
        "a bit turned": bytes(damaged),
        "an array missing": saved(**{name: fine[name] for name in fine if name != "colors"}),
        "of another size": saved(**fine | {"layers": found.layers[:, :50]}),
        "of another kind": saved(**fine | {"colors_mean": np.array(["a"] * COLORS)}),
        "objects": saved(**fine | {"dims": np.array([object()] * 3)}),
    }
    for name, data in broken.items():
        with pytest.raises(DataCorrupt, match="build them again"):
            from_bytes(data)
            pytest.fail(name)


def test_a_color_weight_multiplies_the_last_numbers_alone(found: Learned) -> None:
    [vector] = found.apply(layers(1, seed=3), colors(1, seed=4))
    heavier = weighted(vector, 5)
    np.testing.assert_array_equal(heavier[:LAYERS_DIM], vector[:LAYERS_DIM])
    np.testing.assert_allclose(heavier[-COLOR_DIM:], 5 * vector[-COLOR_DIM:])
    np.testing.assert_array_equal(weighted(vector, 1), vector)
    assert not weighted(vector, 0)[-COLOR_DIM:].any()
