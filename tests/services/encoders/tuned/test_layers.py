"""The layers of tuned features are those of the network, whatever its speed needed and in every precision."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services import demo
from services.encoders import networks
from services.encoders.keras import weights
from services.encoders.keras.encoder import TensorFlowEncoder, has_bfloat16
from services.encoders.network import Network, Patience
from services.encoders.recipes import TUNED_SIZE, layer_dims
from services.encoders.tuned.color import color_histograms
from services.encoders.tuned.learned import Learned, learned
from services.images.decoder import decode
from services.images.limits import Limits
from services.records import Pixels, Vectors

pytestmark = pytest.mark.long

COUNT = 48
ASKED = 12


@pytest.fixture(scope="module")
def pixels() -> Pixels:
    """Products of the demo, some of every category."""
    limits = Limits(1 << 24, 1 << 24)
    products = demo.products(seed=11, per_category=3)[:COUNT]
    return np.stack([decode(demo.draw(each, 11), TUNED_SIZE, "nearest", limits, "pad") for each in products])


def encoder(name: str, spec: str, precision: Any = "float32") -> TensorFlowEncoder:
    return TensorFlowEncoder(networks.network(name), spec, precision=precision, features="tuned")


@pytest.fixture(scope="module")
def layers(pixels: Pixels) -> Vectors:
    return encoder("efficientnet_lite0", "imagenet").encode(pixels)


@pytest.fixture(scope="module")
def found(pixels: Pixels, layers: Vectors) -> Learned:
    return learned(layers, layer_dims(networks.network("efficientnet_lite0")), color_histograms(pixels))


def by_keras(network: Network, spec: str, pixels: Pixels) -> list[Vectors]:
    """What Keras makes of pictures, layer by layer, pooled the slow way."""
    import keras

    model = network.build(False, TUNED_SIZE)
    model.set_weights(weights.load(network, spec, Patience()).get_weights())
    outputs = [*(model.get_layer(tap.layer).output for tap in network.taps), model.output]
    *found, last = keras.Model(model.inputs, outputs).predict(network.preprocess(pixels.astype(np.float32)), verbose=0)
    pooled = []
    for tap, layer in zip(network.taps, found, strict=True):
        assert layer.shape[-1] == tap.dim
        powers = np.maximum(layer.astype(np.float64), 0) ** 3
        pooled.append(layer.mean((1, 2)) if tap.pooling == "average" else np.cbrt(powers.mean((1, 2))))
    return [*pooled, last]


def assert_those_of_keras(name: str, spec: str, pixels: Pixels, given: Vectors) -> None:
    network = networks.network(name)
    expected = by_keras(network, spec, pixels)
    assert [part.shape[1] for part in expected] == [*layer_dims(network)]
    parts = np.split(given, np.cumsum(layer_dims(network))[:-1], axis=1)
    for part, other in zip(parts, expected, strict=True):
        np.testing.assert_allclose(part, other, rtol=0, atol=1e-4 * np.abs(other).max())


def test_they_are_those_of_the_network(pixels: Pixels, layers: Vectors) -> None:
    assert (layers.shape, layers.dtype) == ((COUNT, 672 + 192 + 1152 + 1280), np.float32)
    assert_those_of_keras("efficientnet_lite0", "imagenet", pixels[:ASKED], layers[:ASKED])


def test_they_are_those_of_inception_v3(pixels: Pixels) -> None:
    made = encoder("inception_v3", "random:7")
    assert made.dim == 768 + 2048 + 2048 and "/320-nearest-pad/tuned-" in made.fingerprint
    assert_those_of_keras("inception_v3", "random:7", pixels[:4], made.encode(pixels[:4]))


def cosines(first: Vectors, second: Vectors) -> Vectors:
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return np.asarray((first * second).sum(axis=1) / lengths)


def assert_same_directions(pixels: Pixels, layers: Vectors, others: Vectors, found: Learned) -> None:
    """After what was learned, with colors and without."""
    assert not np.array_equal(layers, others), "the other precision was not used"
    colors = color_histograms(pixels)
    first, second = found.apply(layers, colors), found.apply(others, colors)
    assert cosines(first, second).min() >= 0.999
    assert cosines(first[:, :96], second[:, :96]).min() >= 0.999


def test_float16_gives_the_same_directions(pixels: Pixels, layers: Vectors, found: Learned) -> None:
    half = encoder("efficientnet_lite0", "imagenet", "float16")
    assert half.fingerprint == encoder("efficientnet_lite0", "imagenet").fingerprint
    assert_same_directions(pixels[:ASKED], layers[:ASKED], half.encode(pixels[:ASKED]), found)


@pytest.mark.skipif(not has_bfloat16(), reason="this processor has no bfloat16")
def test_bfloat16_gives_the_same_directions(pixels: Pixels, layers: Vectors, found: Learned, tmp_path: Path) -> None:
    np.save(tmp_path / "pixels.npy", pixels)
    code = (
        "import numpy as np, sys\n"
        "from services.encoders.keras.encoder import TensorFlowEncoder\n"
        "from services.encoders.networks import network\n"
        "lite0 = network('efficientnet_lite0')\n"
        "encoder = TensorFlowEncoder(lite0, 'imagenet', precision='bfloat16', features='tuned')\n"
        "np.save(sys.argv[2], encoder.encode(np.load(sys.argv[1])))\n"
        "print(encoder.fingerprint)\n"
    )
    files = [str(tmp_path / name) for name in ("pixels.npy", "layers.npy")]
    ran = subprocess.run([sys.executable, "-c", code, *files], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == encoder("efficientnet_lite0", "imagenet").fingerprint
    assert_same_directions(pixels, layers, np.load(files[1]), found)
