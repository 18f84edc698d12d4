"""Whether the demo shows what it is meant to show: a trained network finds products of the same kind, and nothing
cheaper does."""

import io
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from services import demo
from services.encoders import efficientnet_lite0

pytestmark = pytest.mark.long

Array = np.ndarray[Any, Any]
Encode = Callable[[Any], Array]


def precision(features: Array, categories: list[str], k: int = 5) -> float:
    """The share of the k nearest neighbors (cosine, without the query itself) that are of the query's category."""
    directions = features / np.linalg.norm(features, axis=1, keepdims=True)
    scores = directions @ directions.T
    np.fill_diagonal(scores, -np.inf)
    nearest = np.argsort(-scores, axis=1)[:, :k]
    names = np.array(categories)
    return float((names[nearest] == names[:, None]).mean())


@pytest.fixture(scope="module")
def categories() -> list[str]:
    return [product.category for product in demo.products()]


@pytest.fixture(scope="module")
def pixels() -> Array:
    return np.stack([nearest(demo.draw(product)) for product in demo.products()])


def nearest(picture: bytes) -> Array:
    with Image.open(io.BytesIO(picture)) as image:
        return np.asarray(image.resize((224, 224), Image.Resampling.NEAREST))


@pytest.fixture
def encode(pixels: Array) -> Encode:
    """Features of all pictures by a model."""
    import tensorflow as tf

    def features(model: Any) -> Array:
        run = tf.function(lambda x: model(efficientnet_lite0.preprocess(tf.cast(x, tf.float32))))
        batches = [pixels[start : start + 32] for start in range(0, len(pixels), 32)]
        return np.concatenate([run(tf.constant(batch)).numpy() for batch in batches]).astype(np.float64)

    return features


@pytest.fixture
def model() -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    return efficientnet_lite0.build()


def randomize(model: Any, seed: int) -> None:
    """He-normal kernels; normalizations stay the identity that Keras starts them with."""
    random = np.random.default_rng(seed)
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            # A depthwise kernel is (height, width, channels, 1), and each output sees one channel only.
            seen = layer.kernel.shape[:2] if "depthwise" in layer.name else layer.kernel.shape[:3]
            spread = np.sqrt(2 / np.prod(seen))
            layer.kernel.assign(random.normal(0, spread, layer.kernel.shape))


def test_precision_counts_neighbors_of_the_same_category() -> None:
    features = np.array([[1, 0.0], [1, 0.1], [1, 0.2], [0, 1.0], [0.1, 1], [0.2, 1]])
    assert precision(features, list("aaabbb"), k=2) == 1.0
    assert precision(features, list("abcdef"), k=2) == 0.0
    assert precision(features, list("aaaaab"), k=5) == pytest.approx(4 / 5 * 5 / 6)


def test_trained_weights_find_products_of_the_same_category(encode: Encode, model: Any, categories: list[str]) -> None:
    efficientnet_lite0.load_bundled(model)
    assert precision(encode(model), categories) >= 0.80


@pytest.mark.parametrize("seed", [1, 2])
def test_random_weights_do_not(encode: Encode, model: Any, categories: list[str], seed: int) -> None:
    randomize(model, seed)
    assert precision(encode(model), categories) < 0.60


def test_colors_and_layout_alone_do_not_give_the_category_away(pixels: Array, categories: list[str]) -> None:
    tiny = pixels.reshape(len(pixels), 8, 28, 8, 28, 3).mean(axis=(2, 4)).reshape(len(pixels), -1)
    assert precision(tiny - tiny.mean(), categories) < 0.60
