"""A search asks the index with a vector of length one, whatever it starts from."""

from typing import Any

import numpy as np
import pytest

from services.catalog.search import Searcher
from services.errors import ImageCorrupt, ImageFeatureless, InvalidInput, InvalidVector
from services.images.intake import Picture
from services.records import Neighbor, Pixels, Point, Vector
from services.testing import MemoryIndex

FEATURES = np.array([3.0, 0.0, 4.0], np.float32)
UNIT = FEATURES / np.float32(5)
PIXELS = np.zeros((8, 8, 3), np.uint8)


class Watched(MemoryIndex):
    """Keeps the vectors it was asked with."""

    def __init__(self) -> None:
        super().__init__(3)
        self.asked: list[Vector] = []

    def search(self, vector: Vector, **options: Any) -> list[Neighbor]:
        self.asked.append(vector)
        return super().search(vector, **options)


@pytest.fixture
def index() -> Watched:
    index = Watched()
    index.upsert([Point("a", 1, UNIT, 5.0), Point("b", 2, np.array([1, 0, 0], np.float32))])
    return index


def searcher(index: Watched, features: Vector = FEATURES, done: list[str] | None = None) -> Searcher:
    done = [] if done is None else done

    def take(image: bytes) -> Picture:
        done.append("decode")
        if not image:
            raise ImageCorrupt("The image is empty.")
        return Picture(image.hex(), PIXELS, "")

    def encode(pixels: Pixels) -> Vector:
        done.append(f"encode {pixels.shape}")
        return features[np.newaxis]

    return Searcher(index, "shoes", take=take, load_encoder=lambda: done.append("load"), encode=encode)


def test_a_vector_an_image_and_a_product_of_the_same_features_find_the_same(index: Watched) -> None:
    search = searcher(index)
    found = [search.by_vector(FEATURES), search.by_vector(FEATURES * 1000), search.by_image(b"a picture")]
    assert [each.product_id for each in found[0]] == ["a", "b"]
    assert [each.score for each in found[0]] == pytest.approx([1.0, 0.6])
    found.append([found[0][0], *search.by_product("a")])  # which leaves out the product itself
    for other in found[1:]:
        assert [each.product_id for each in other] == ["a", "b"]
    for vector in index.asked:
        assert vector.dtype == np.float32
        np.testing.assert_allclose(vector, UNIT, rtol=0, atol=np.finfo(np.float32).eps)


def test_no_encoder_is_loaded_for_an_image_that_cannot_be_decoded(index: Watched) -> None:
    done: list[str] = []
    searcher(index, done=done).by_image(b"a picture")
    assert done == ["decode", "load", "encode (1, 8, 8, 3)"]
    done.clear()
    with pytest.raises(ImageCorrupt):
        searcher(index, done=done).by_image(b"")
    assert done == ["decode"]


@pytest.mark.parametrize("features", [np.zeros(3, np.float32), np.array([1, np.nan, 0], np.float32)])
def test_what_has_no_direction_is_refused_in_the_words_of_where_it_is_from(index: Watched, features: Vector) -> None:
    with pytest.raises(ImageFeatureless):
        searcher(index, features).by_image(b"a picture")
    with pytest.raises(InvalidVector, match="points nowhere"):
        searcher(index).by_vector(features)
    with pytest.raises(InvalidVector, match="has 2 numbers; catalog shoes has 3"):
        searcher(index).by_vector(features[:2])
    assert not index.asked


@pytest.mark.parametrize(
    "options", [{"limit": 0}, {"limit": 1001}, {"offset": -1}, {"min_score": 1.01}, {"min_score": float("nan")}]
)
def test_options_out_of_range_are_refused(index: Watched, options: Any) -> None:
    with pytest.raises(InvalidInput):
        searcher(index).by_vector(FEATURES, **options)
    assert not index.asked
