"""Weights: where they come from, what is refused, and the hash that tells them apart."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from services.encoders import networks
from services.encoders.keras import efficientnet_lite0, weights
from services.encoders.keras.keras_applications import application
from services.encoders.network import Network, Patience
from services.errors import WeightsError, WeightsInvalid, WeightsNotFound

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def small(top: bool, size: int | None = None, filters: int = 8) -> Any:
    """A network of every kind of layer that has weights, which takes a hundredth of the time of a usual one."""
    from keras import Input, Model, layers

    x = inputs = Input((size or 32, size or 32, 3))
    for number in range(2):
        x = layers.Conv2D(filters, 3, use_bias=False, name=f"conv{number}")(x)
        x = layers.BatchNormalization(name=f"bn{number}")(x)
        x = layers.DepthwiseConv2D(3, name=f"deep{number}")(x)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    return Model(inputs, layers.Dense(10, name="top")(x) if top else x)


def untrained(_: Patience) -> Any:
    raise WeightsNotFound("It has none.")


@pytest.fixture(scope="module", params=["small", pytest.param("mobilenet_v2", marks=pytest.mark.nightly)])
def network(request: pytest.FixtureRequest) -> Network:
    """A small network, and one of keras.applications, by the same entry that InceptionV3 has; InceptionV3's own file is
    in the tests of those."""
    if request.param == "small":
        return Network(
            "small", 32, 8, small, lambda pixels: pixels / 255, untrained, lambda: False, lambda seconds: None
        )
    return application(
        name="mobilenet_v2",
        module="mobilenet_v2",
        function="MobileNetV2",
        size=96,
        dim=1280,
        headless="mobilenet_v2_test_notop.h5",
        whole="mobilenet_v2_test.h5",
        folder="mobilenet_v2",
    )


@pytest.fixture(scope="module")
def whole(network: Network) -> Any:
    """The network with its classifier, its weights random."""
    model = network.build(True)
    weights.randomize(model, 5)
    return model


@pytest.fixture(scope="module")
def other(network: Network) -> Any:
    """Another network."""
    return small(False, filters=9) if network.name == "small" else efficientnet_lite0.build()


@pytest.fixture(scope="module")
def headless(network: Network, whole: Any) -> Any:
    import keras

    return keras.Model(whole.inputs, whole.layers[-2].output)


def digest_of(network: Network, spec: Path | str) -> str:
    return weights.digest(weights.load(network, str(spec), Patience()))


@pytest.mark.parametrize("name", ["w.h5", "w.weights.h5", "w.keras"])
@pytest.mark.parametrize("top", [True, False])
def test_the_same_weights_have_one_hash_in_every_kind_of_file(
    network: Network, whole: Any, headless: Any, tmp_path: Path, name: str, top: bool
) -> None:
    model = whole if top else headless
    path = tmp_path / name
    model.save_weights(path) if name == "w.weights.h5" else model.save(path)
    assert digest_of(network, path) == weights.digest(headless)


@pytest.mark.long
@pytest.mark.parametrize("name", ["w.h5", "w.weights.h5", "w.keras"])
def test_a_network_of_sequences_and_layers_of_its_own_comes_back_from_a_file_with_classifier(
    tmp_path: Path, name: str
) -> None:
    """ConvNeXt, whose headless form is no mere beginning of the whole one: names of layers differ."""
    network = networks.network("convnext_tiny")
    whole = network.build(True)
    weights.randomize(whole, 5)
    path = tmp_path / name
    whole.save_weights(path) if name == "w.weights.h5" else whole.save(path)
    assert digest_of(network, path) == digest_of(network, "random:5")


def test_other_weights_have_another_hash(network: Network) -> None:
    first, again, other = (
        weights.digest(weights.load(network, spec, Patience())) for spec in ("random:1", "random:1", "random:2")
    )
    assert first == again != other


def test_one_changed_number_changes_the_hash(network: Network) -> None:
    model = weights.load(network, "random:1", Patience())
    before = weights.digest(model)
    kernel = model.weights[0]
    kernel.assign(np.nextafter(np.asarray(kernel), np.float32(9)))
    assert weights.digest(model) != before


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("name", ["w.h5", "w.weights.h5", "w.keras"])
def test_a_file_that_is_cut_off_is_refused(network: Network, headless: Any, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    headless.save_weights(path) if name == "w.weights.h5" else headless.save(path)
    cut_off(path)
    with pytest.raises(WeightsInvalid, match=str(path)):
        weights.load(network, str(path), Patience())


@pytest.mark.parametrize("name", ["w.h5", "w.weights.h5", "w.keras"])
def test_a_file_of_another_network_is_refused(network: Network, other: Any, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    other.save_weights(path) if name == "w.weights.h5" else other.save(path)
    with pytest.raises(WeightsInvalid, match=f"another network than {network.name}"):
        weights.load(network, str(path), Patience())


def test_a_file_that_is_something_else_is_refused(network: Network, tmp_path: Path) -> None:
    text = tmp_path / "w.h5"
    text.write_text("hello")
    empty = tmp_path / "w.weights.h5"
    with h5py.File(empty, "w"):
        pass
    for path in (text, empty):
        with pytest.raises(WeightsInvalid):
            weights.load(network, str(path), Patience())


@pytest.mark.parametrize("spec", ["random:", "random:x", "random:-1", "imagnet", "w.txt", ""])
def test_a_spec_that_is_none_is_refused(spec: str) -> None:
    with pytest.raises(WeightsError):
        weights.checked_spec(spec)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsNotFound, match=r"nowhere\.h5"):
        weights.checked_spec(str(tmp_path / "nowhere.h5"))


def test_a_keras_archive_cannot_run_code(network: Network, headless: Any, tmp_path: Path) -> None:
    """Given a .keras file whose model description holds a Lambda, loading takes its numbers and never the code."""
    import keras

    path = tmp_path / "hostile.keras"
    witness = tmp_path / "ran"
    code = f"__import__('pathlib').Path({str(witness)!r}).touch()"
    layer = keras.layers.Lambda(eval(f"lambda x: ({code}, x)[1]"))
    hostile = keras.Model(headless.inputs, layer(headless.output))
    hostile.save(path)
    witness.unlink(missing_ok=True)
    assert digest_of(network, path) == weights.digest(headless)
    assert not witness.exists()
