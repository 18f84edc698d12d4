"""The encoder on TensorFlow gives what the network gives, whatever its speed needed."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.encoders.keras import applications, efficientnet_lite0, graph, weights
from services.encoders.keras import encoder as tensorflow
from services.encoders.keras.encoder import TensorFlowEncoder
from services.encoders.network import Network, Patience
from services.encoders.pace import Pace, of_gpu
from services.errors import PrecisionUnavailable
from services.records import Pixels, Vectors

needs_bfloat16 = pytest.mark.skipif(not tensorflow.has_bfloat16(), reason="this processor has no bfloat16")


@pytest.fixture(scope="module")
def network() -> Network:
    return efficientnet_lite0.network()


@pytest.fixture(scope="module")
def encoder(network: Network) -> Any:
    encoder = TensorFlowEncoder(network, "imagenet", precision="float32")
    yield encoder
    encoder.close()


@pytest.fixture(scope="module")
def pixels() -> Pixels:
    """Smooth random pictures, 37 of them: no multiple of any slice."""
    coarse = np.random.default_rng(3).integers(0, 256, (37, 14, 14, 3), dtype=np.uint8)
    return coarse.repeat(16, axis=1).repeat(16, axis=2)


@pytest.fixture(scope="module")
def together(encoder: TensorFlowEncoder, pixels: Pixels) -> Vectors:
    """The features of all of them, encoded at once."""
    return encoder.encode(pixels)


def test_features_are_those_of_the_network_layer_by_layer(network: Network, together: Vectors, pixels: Pixels) -> None:
    """Folding batch normalization into convolutions changes nothing beyond float32."""
    model = weights.load(network, "imagenet", Patience())
    expected = model.predict(network.preprocess(pixels.astype(np.float32)), verbose=0)
    assert together.shape == (37, 1280)
    assert together.dtype == np.float32
    assert np.abs(together - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("count", [0, 1, 2, 3, 8, 9, 16, 17, 37])
def test_a_picture_has_the_same_features_in_every_batch(
    encoder: TensorFlowEncoder, pixels: Pixels, together: Vectors, count: int
) -> None:
    features, expected = encoder.encode(pixels[:count]), together[:count]
    assert features.shape == (count, 1280)
    np.testing.assert_allclose(features, expected, rtol=0, atol=1e-4 * np.abs(expected).max(initial=0))


class Watched:
    """A network that tells how often it is traced, and the sizes of the batches that reach it, as they do."""

    def __init__(self, network: Network) -> None:
        self.traces = 0
        self.sizes: list[int] = []
        self.network = replace(network, preprocess=lambda pixels: self._preprocessed(network, pixels))

    def _preprocessed(self, network: Network, pixels: Any) -> Any:
        import tensorflow as tf

        self.traces += 1
        tf.py_function(lambda n: self.sizes.append(int(n)), [tf.shape(pixels)[0]], [])
        return network.preprocess(pixels)


def test_filled_up_batches_give_the_same_features_for_every_count(
    network: Network, encoder: TensorFlowEncoder, pixels: Pixels
) -> None:
    watched = Watched(network)
    filled = TensorFlowEncoder(watched.network, "imagenet", precision="float32", pace=Pace(1, 5, (1, 3, 5)))
    assert watched.sizes == [1, 3, 5], "each size was seen before anybody waits for it"
    for count in range(13):
        expected = encoder.encode(pixels[:count])
        features = filled.encode(pixels[:count])
        assert features.shape == (count, 1280) and features.dtype == np.float32
        assert np.abs(features - expected).max(initial=0) <= 1e-5 * np.abs(expected).max(initial=0)
    assert set(watched.sizes) == {1, 3, 5}
    assert watched.traces == 1


@pytest.mark.long
def test_the_sizes_of_a_gpu_give_the_same_features_for_every_count(
    network: Network, pixels: Pixels, scale: Callable[[list[int], list[int]], list[int]]
) -> None:
    watched = Watched(network)
    pixels = np.concatenate([pixels, 255 - pixels])[:68]
    plain = TensorFlowEncoder(network, "imagenet", precision="float32").encode(pixels)
    filled = TensorFlowEncoder(watched.network, "imagenet", precision="float32", pace=of_gpu())
    # Around each of the sizes.
    some = [0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 68]
    for count in scale([*range(69)], some):
        features = filled.encode(pixels[:count])
        assert features.shape == (count, 1280)
        assert np.abs(features - plain[:count]).max(initial=0) <= 1e-5 * np.abs(plain).max()
    assert set(watched.sizes) == {1, 8, 16, 32, 64}
    assert watched.traces == 1


def test_without_shapes_batches_go_as_they_are(network: Network, pixels: Pixels) -> None:
    watched = Watched(network)
    encoder = TensorFlowEncoder(watched.network, "imagenet", precision="float32", pace=Pace(2, 8))
    assert (encoder.lanes, encoder.turn) == (2, 8)
    encoder.encode(pixels)
    encoder.encode(pixels[:3])
    assert (watched.sizes, watched.traces) == ([1, 16, 16, 5, 3], 1)


@pytest.mark.parametrize("half", [False, True])
def test_pixels_reach_the_device_as_bytes_and_features_leave_it_as_float32(network: Network, half: bool) -> None:
    compiled: Any = graph.compile(network, weights.load(network, "imagenet", Patience()), half=half)
    [taken], [given] = compiled.inputs, compiled.outputs
    assert (taken.dtype.name, taken.shape.as_list()) == ("uint8", [None, 224, 224, 3])
    assert (given.dtype.name, given.shape.as_list()) == ("float32", [None, 1280])


def test_a_half_is_what_every_layer_takes_but_the_sum_over_the_picture(network: Network) -> None:
    compiled: Any = graph.compile(network, weights.load(network, "imagenet", Patience()), half=True)
    types: dict[str, set[str]] = {}
    for operation in compiled.graph.get_operations():
        for tensor in operation.outputs:
            types.setdefault(tensor.dtype.name, set()).add(operation.type)
    assert types.pop("float16") == {"Cast", "Const", "Conv2D", "DepthwiseConv2dNative", "BiasAdd", "Relu6", "AddV2"}
    # Scaling before the first layer, and the mean after the last.
    assert types.pop("float32") == {"Cast", "Const", "Sub", "RealDiv", "Mean", "Identity"}


def cosines(first: Vectors, second: Vectors) -> Vectors:
    """Of each picture's features with those of the same picture."""
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return np.asarray((first * second).sum(axis=1) / lengths)


def extremes(size: int) -> Pixels:
    """Black, white, noise and smooth pictures."""
    random = np.random.default_rng(5)
    coarse = random.integers(0, 256, (6, 20, 20, 3), dtype=np.uint8).repeat(16, axis=1).repeat(16, axis=2)
    noise = random.integers(0, 256, (4, size, size, 3), dtype=np.uint8)
    flat = np.stack([np.full((size, size, 3), value, np.uint8) for value in (0, 255)])
    return np.concatenate([flat, noise, coarse[:, :size, :size]])


def test_float16_gives_the_same_directions(network: Network, encoder: TensorFlowEncoder) -> None:
    half = TensorFlowEncoder(network, "imagenet", precision="float16")
    assert (half.precision, half.fingerprint) == ("float16", encoder.fingerprint)
    first, second = encoder.encode(extremes(224)), half.encode(extremes(224))
    assert second.dtype == np.float32
    assert cosines(first, second).min() >= 0.999
    assert not np.array_equal(first, second), "the other precision was not used"
    assert not np.array_equal(second, second.astype(np.float16)), "the mean over a picture was rounded, too"


@pytest.mark.long
def test_float16_gives_the_same_directions_in_inception_v3() -> None:
    network = applications.inception_v3()
    first, second = (
        TensorFlowEncoder(network, "random:7", precision=precision).encode(extremes(299))
        for precision in ("float32", "float16")
    )
    assert cosines(first, second).min() >= 0.999
    assert not np.array_equal(first, second), "the other precision was not used"


def test_weights_beyond_float16_are_refused(network: Network) -> None:
    model = weights.load(network, "imagenet", Patience())
    norm = model.get_layer("bn0")
    norm.gamma.assign(norm.gamma * 1e6)
    with pytest.raises(PrecisionUnavailable, match="out of the range of float16: take precision float32"):
        graph.compile(network, model, half=True)


GPUS = (
    "import os, sys\n"
    "import tensorflow as tf\n"
    "from tensorflow.python.eager import context\n"
    "from services.encoders.keras import efficientnet_lite0\n"
    "from services.encoders.keras.encoder import TensorFlowEncoder\n"
    "gpus = ['gpu 0', 'gpu 1'][:int(sys.argv[1])]\n"
    "tf.config.list_physical_devices = lambda kind: gpus\n"
    "grown = []\n"
    "def grow(gpu, enable): grown.append((gpu, enable, context.context()._initialized))\n"
    "tf.config.experimental.set_memory_growth = grow\n"
    "encoder = TensorFlowEncoder(efficientnet_lite0.network(), 'imagenet', precision=sys.argv[2])\n"
    "print([encoder.precision, encoder.lanes == 1, encoder.turn, grown])\n"
)
"""What an encoder is where TensorFlow says that there are so many GPUs; whether it had begun when they were set."""


@pytest.mark.parametrize(
    ("gpus", "precision", "expected"),
    [
        ("2", "auto", ["float16", True, 64, [("gpu 0", True, False), ("gpu 1", True, False)]]),
        pytest.param("1", "float32", ["float32", True, 64, [("gpu 0", True, False)]], marks=pytest.mark.long),
        pytest.param("0", "float32", ["float32", len(os.sched_getaffinity(0)) == 1, 8, []], marks=pytest.mark.long),
    ],
)
def test_on_a_gpu_memory_grows_from_the_start_and_auto_is_float16(
    gpus: str, precision: str, expected: list[Any]
) -> None:
    ran = subprocess.run([sys.executable, "-c", GPUS, gpus, precision], capture_output=True, text=True, check=True)
    assert ran.stdout == f"{expected}\n"


def test_auto_is_the_fastest_that_the_device_has() -> None:
    assert tensorflow.resolved("auto", True) == "float16"
    assert tensorflow.resolved("auto", False) == ("bfloat16" if tensorflow.has_bfloat16() else "float32")
    for precision in ("float32", "bfloat16", "float16"):
        assert tensorflow.resolved(precision, True) == tensorflow.resolved(precision, False) == precision


def test_a_process_has_one_precision(network: Network, encoder: TensorFlowEncoder) -> None:
    if not tensorflow.has_bfloat16():
        pytest.skip("this processor has no bfloat16, which is refused for another reason")
    with pytest.raises(PrecisionUnavailable, match="another precision"):
        TensorFlowEncoder(network, "imagenet", precision="bfloat16")


@pytest.mark.parametrize("spec", ["random:x", "nothing.h5", "imagnet"])
def test_bad_weights_are_refused_before_tensorflow_starts(spec: str) -> None:
    code = (
        "import sys\n"
        "from services.encoders.keras import applications\n"
        "from services.encoders.keras.encoder import TensorFlowEncoder\n"
        "from services.errors import WeightsError\n"
        f"try: TensorFlowEncoder(applications.inception_v3(), {spec!r})\n"
        "except WeightsError: print('tensorflow' in sys.modules)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"


def test_fingerprints_name_network_weights_and_preprocessing(network: Network) -> None:
    prints = {
        tensorflow.fingerprint(each, digest, resample)
        for each in (network, efficientnet_lite0.network())
        for digest in ("a", "b")
        for resample in ("nearest", "bicubic")
    }
    assert len(prints) == 4
    assert tensorflow.fingerprint(network, "ab12", "nearest") == "efficientnet_lite0/ab12/224-nearest"


def test_stderr_stays_clean_and_shows_what_failed(tmp_path: Path) -> None:
    code = (
        "from services.encoders.keras import efficientnet_lite0\n"
        "from services.encoders.keras.encoder import TensorFlowEncoder\n"
        "TensorFlowEncoder(efficientnet_lite0.network(), 'imagenet').close()\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (ran.stdout, ran.stderr) == ("", "")


@needs_bfloat16
@pytest.mark.long
def test_bfloat16_gives_the_same_directions(encoder: TensorFlowEncoder, pixels: Pixels, tmp_path: Path) -> None:
    np.save(tmp_path / "pixels.npy", pixels)
    code = (
        "import numpy as np, sys\n"
        "from services.encoders.keras import efficientnet_lite0\n"
        "from services.encoders.keras.encoder import TensorFlowEncoder\n"
        "encoder = TensorFlowEncoder(efficientnet_lite0.network(), 'imagenet', precision='bfloat16')\n"
        f"np.save({str(tmp_path / 'features.npy')!r}, encoder.encode(np.load({str(tmp_path / 'pixels.npy')!r})))\n"
        "print(encoder.fingerprint)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == encoder.fingerprint
    first, second = encoder.encode(pixels), np.load(tmp_path / "features.npy")
    assert cosines(first, second).min() >= 0.999
    assert not np.array_equal(first, second), "the other precision was not used"
