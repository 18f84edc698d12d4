"""The encoder on TensorFlow gives what the network gives, whatever its speed needed."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.encoders import efficientnet_lite0, tensorflow, weights
from services.encoders.network import Network, Patience
from services.encoders.tensorflow import TensorFlowEncoder
from services.errors import PrecisionUnavailable
from services.records import Pixels

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


def test_features_are_those_of_the_network_layer_by_layer(
    network: Network, encoder: TensorFlowEncoder, pixels: Pixels
) -> None:
    """Folding batch normalization into convolutions changes nothing beyond float32."""
    model = weights.load(network, "imagenet", Patience())
    expected = model.predict(network.preprocess(pixels.astype(np.float32)), verbose=0)
    features = encoder.encode(pixels)
    assert features.shape == (37, 1280)
    assert features.dtype == np.float32
    assert np.abs(features - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("count", [0, 1, 2, 3, 8, 9, 16, 17, 37])
def test_a_picture_has_the_same_features_in_every_batch(encoder: TensorFlowEncoder, pixels: Pixels, count: int) -> None:
    together = encoder.encode(pixels)[:count]
    assert encoder.encode(pixels[:count]).shape == (count, 1280)
    np.testing.assert_allclose(
        encoder.encode(pixels[:count]), together, rtol=0, atol=1e-4 * np.abs(together).max(initial=0)
    )


def test_a_process_has_one_precision(network: Network, encoder: TensorFlowEncoder) -> None:
    if not tensorflow.has_bfloat16():
        pytest.skip("this processor has no bfloat16, which is refused for another reason")
    with pytest.raises(PrecisionUnavailable, match="another precision"):
        TensorFlowEncoder(network, "imagenet", precision="bfloat16")


@pytest.mark.parametrize("spec", ["random:x", "nothing.h5", "imagnet"])
def test_bad_weights_are_refused_before_tensorflow_starts(spec: str) -> None:
    code = (
        "import sys\n"
        "from services.encoders import inception_v3\n"
        "from services.encoders.tensorflow import TensorFlowEncoder\n"
        "from services.errors import WeightsError\n"
        f"try: TensorFlowEncoder(inception_v3.network(), {spec!r})\n"
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
        "from services.encoders import efficientnet_lite0\n"
        "from services.encoders.tensorflow import TensorFlowEncoder\n"
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
        "from services.encoders import efficientnet_lite0\n"
        "from services.encoders.tensorflow import TensorFlowEncoder\n"
        "encoder = TensorFlowEncoder(efficientnet_lite0.network(), 'imagenet', precision='bfloat16')\n"
        f"np.save({str(tmp_path / 'features.npy')!r}, encoder.encode(np.load({str(tmp_path / 'pixels.npy')!r})))\n"
        "print(encoder.fingerprint)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == encoder.fingerprint
    first, second = encoder.encode(pixels), np.load(tmp_path / "features.npy")
    cosines = (first * second).sum(1) / np.linalg.norm(first, axis=1) / np.linalg.norm(second, axis=1)
    assert cosines.min() >= 0.999
    assert not np.array_equal(first, second), "the other precision was not used"
