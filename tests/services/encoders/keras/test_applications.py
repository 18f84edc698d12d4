"""The networks of Keras: encoders give what Keras itself gives, of the last layer and of those in the middle."""

from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
import pytest

from services.encoders import networks
from services.encoders.keras import graph, weights
from services.encoders.network import Network, Patience
from services.records import Pixels, Vectors

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


class Known(NamedTuple):
    """What Keras documents of a network, and what its taps are: the side at 320 x 320 pixels, and the channels."""

    module: str
    size: int
    dim: int
    taps: tuple[tuple[int, int], ...]


KNOWN = {
    "mobilenet_v3_large": Known("mobilenet_v3", 224, 960, ((20, 672), (10, 960))),
    "resnet50_v2": Known("resnet_v2", 224, 2048, ((20, 1024), (10, 2048))),
    "efficientnet_v2_b0": Known("efficientnet_v2", 224, 1280, ((20, 672), (10, 1152))),
    "convnext_tiny": Known("convnext", 224, 768, ((20, 1536), (10, 3072))),
}


def model_of(network: Network) -> Any:
    """`random:1`, and numbers as a training leaves them: no zeros and ones, which hide mistakes, and normalizations
    that normalize, without which features explode and are alike for all pictures."""
    import keras

    model = weights.load(network, "random:1", Patience())
    random = np.random.default_rng(2)
    for weight in model.weights:
        if len(weight.shape) == 1:
            positive = weight.path.endswith(("gamma", "variance")) or "layer_scale" in weight.path
            weight.assign(random.uniform(0.7, 1.3, weight.shape) if positive else random.normal(0, 0.1, weight.shape))
    for dropout in (layer for layer in model.layers if isinstance(layer, keras.layers.Dropout)):
        dropout.rate = 0.0
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for norm in norms:
        norm.momentum = 0.0
    if norms:
        model(network.preprocess(pictures(network.size).astype(np.float32)), training=True)
    return model


def pictures(size: int) -> Pixels:
    """Two smooth random ones."""
    coarse = np.random.default_rng(3).integers(0, 256, (2, size // 16, size // 16, 3), dtype=np.uint8)
    return coarse.repeat(16, axis=1).repeat(16, axis=2)


def by_keras(network: Network, model: Any, pixels: Pixels) -> tuple[list[Vectors], Vectors]:
    """What Keras makes of pictures: the layers of the taps, not pooled, and the last one."""
    import keras

    preprocess = import_module(f"keras.applications.{KNOWN[network.name].module}").preprocess_input
    outputs = [*(model.get_layer(tap.layer).output for tap in network.taps), model.output]
    *layers, last = keras.Model(model.inputs, outputs).predict(preprocess(pixels.astype(np.float32)), verbose=0)
    return layers, last


def generalized_mean(layer: Vectors) -> Vectors:
    return np.asarray(np.cbrt((np.maximum(layer.astype(np.float64), 1e-6) ** 3).mean(axis=(1, 2))))


def error(given: Vectors, expected: Vectors) -> float:
    """The largest difference, as a part of the largest number."""
    return float(np.abs(given - expected).max() / np.abs(expected).max())


def cosine(given: Vectors, expected: Vectors) -> float:
    """Of each picture's numbers with those of the same picture; the least."""
    lengths = np.linalg.norm(given, axis=1) * np.linalg.norm(expected, axis=1)
    return float(((given * expected).sum(axis=1) / lengths).min())


@pytest.mark.long
@pytest.mark.parametrize("name", KNOWN)
def test_features_are_those_of_keras_and_those_of_halves_have_their_directions(name: str) -> None:
    network = networks.network(name)
    assert (network.size, network.dim) == (KNOWN[name].size, KNOWN[name].dim)
    model = model_of(network)
    _, last = by_keras(network, model, pictures(network.size))
    features = graph.compile(network, model)(pictures(network.size)).numpy()
    assert features.shape == (2, network.dim)
    assert error(features, last) <= 1e-4

    larger = network.build(False, 320)
    larger.set_weights(model.get_weights())
    layers, last = by_keras(network, larger, pictures(320))
    assert tuple((layer.shape[1], layer.shape[3]) for layer in layers) == KNOWN[name].taps
    expected = [*map(generalized_mean, layers), last]
    parts = np.cumsum([tap.dim for tap in network.taps])
    wholes, halves = (
        np.split(graph.compile(network, larger, half=half, taps=network.taps)(pictures(320)).numpy(), parts, axis=1)
        for half in (False, True)
    )
    for given, half, layer in zip(wholes, halves, expected, strict=True):
        assert error(given, layer) <= 1e-4
        assert cosine(half, layer) >= 0.999
        assert not np.array_equal(given, half), "the other precision was not used"
        assert cosine(layer[:1], layer[1:]) < 0.9995, "two pictures that are all alike would show nothing"
