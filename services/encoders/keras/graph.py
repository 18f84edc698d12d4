"""Conversion of a Keras model for inference: one TensorFlow graph with constant weights."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from typing import Any

import numpy as np

from services.encoders.network import Network, Tap
from services.errors import PrecisionUnavailable

Kernels = dict[str, tuple[Any, Any]]
"""Kernel and bias of each convolution, by the name of its layer. A depthwise kernel is (height, width, channels, 1),
any other (height, width, in, out)."""

GEM = 3.0
"""The power of the generalized mean: the value that Radenovic et al. begin with, and mostly end near."""
LEAST = 1e-6
"""What negative activations count as in it: a power of them is none."""


def compile(network: Network, model: Any, *, half: bool = False, taps: Sequence[Tap] = ()) -> Callable[[Any], Any]:
    """Returns a function from pixels, uint8 (n, size, size, 3), to features, float32 (n, dim), for any n.

    The size is that of the model. With `taps`, the numbers of these layers come before those of the last one.

    With `half`, weights and activations are float16. float32 are: what scales pixels, means over the image and what
    normalizes them, so that features keep its precision. This modifies the model, which must not be used afterwards.
    Raises `PrecisionUnavailable` if the weights are out of the range of float16.

    Batch normalization is folded into the convolution before it and kernels become constants, so that oneDNN reorders
    them only once: twice the images per second in bfloat16, and half the start-up time of having TensorFlow's
    optimizer do it (docs/decisions.md).
    """
    import tensorflow as tf

    kernels, absorbed = _fold(model)
    if half:
        kernels = {name: (_halved(kernel), _halved(bias)) for name, (kernel, bias) in kernels.items()}
        _take_halves(model)
    tapped = _tapped(model, taps)

    def encode(pixels: Any) -> Any:
        inputs = network.preprocess(tf.cast(pixels, tf.float32))
        *layers, last = tapped._run_through_graph([inputs], operation_fn=lambda op: _operation(op, kernels, absorbed))
        pooled = [_pooled(layer, tap) for layer, tap in zip(layers, taps, strict=True)]
        return tf.concat([*pooled, tf.cast(last, tf.float32)], axis=1) if pooled else tf.cast(last, tf.float32)

    signature = tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8)
    traced = tf.function(encode, input_signature=[signature], autograph=False)
    return traced.get_concrete_function()  # type: ignore[no-any-return]


def _operation(layer: Any, kernels: Kernels, absorbed: set[str]) -> Callable[..., Any]:
    """What computes a layer."""
    import keras

    if layer.name in kernels:
        return lambda x: _convolve(layer, x, *kernels[layer.name])
    if layer.name in absorbed:
        return lambda x, **_: x
    if isinstance(layer, keras.Sequential):
        return lambda x, **_: reduce(lambda y, inner: _operation(inner, kernels, absorbed)(y), layer.layers, x)
    return layer  # type: ignore[no-any-return]


def _layers(model: Any) -> Iterator[Any]:
    """The layers of a model, with those inside its sequences in place of these."""
    import keras

    for layer in model.layers:
        if isinstance(layer, keras.Sequential):
            yield from _layers(layer)
        else:
            yield layer


def _tapped(model: Any, taps: Sequence[Tap]) -> Any:
    """The model with the outputs of these layers before its own."""
    import keras

    return keras.Model(model.inputs, [*(model.get_layer(tap.layer).output for tap in taps), model.output])


def _pooled(layer: Any, tap: Tap) -> Any:
    """A layer's output (n, height, width, channels) as a number for each channel."""
    import tensorflow as tf

    values = tf.cast(layer, tf.float32)
    if tap.pooling == "average":
        return tf.reduce_mean(values, axis=(1, 2))
    powers = tf.pow(tf.maximum(values, LEAST), GEM)
    return tf.pow(tf.reduce_mean(powers, axis=(1, 2)), 1.0 / GEM)


def _halved(array: Any) -> Any:
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    if not np.isfinite(half).all():
        raise PrecisionUnavailable("These weights are out of the range of float16: take precision float32.")
    return half


def _take_halves(model: Any) -> None:
    """Switches the layers to float16, except those that scale pixels, pool over the whole image, or normalize."""
    import keras

    kept = (
        keras.layers.Rescaling,
        keras.layers.Normalization,
        keras.layers.GlobalAveragePooling2D,
        keras.layers.LayerNormalization,
    )
    for layer in _layers(model):
        if not isinstance(layer, kept):
            layer.dtype_policy = "mixed_float16"


def _fold(model: Any) -> tuple[Kernels, set[str]]:
    """The kernels, with each normalization folded into the convolution before it; and the names of the layers made
    redundant."""
    import keras

    kernels = {layer.name: _kernel(layer) for layer in _layers(model) if _is_convolution(layer)}
    absorbed = set()
    for norm in _layers(model):
        if not isinstance(norm, keras.layers.BatchNormalization):
            continue
        before = norm.input._keras_history.operation
        if before.name in kernels and _foldable(before):
            kernels[before.name] = _absorb(before, *kernels[before.name], norm)
            absorbed.add(norm.name)
    return kernels, absorbed


def _is_convolution(layer: Any) -> bool:
    """Whether `_convolve` can compute it."""
    import keras

    if type(layer) is keras.layers.Dense:
        return all(len(node.input_tensors[0].shape) == 4 for node in layer._inbound_nodes)
    return (
        type(layer) in (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
        and layer.data_format == "channels_last"
        and (getattr(layer, "groups", 1) == 1 or _depthwise(layer))
    )


def _foldable(layer: Any) -> bool:
    import keras

    linear = layer.activation is keras.activations.linear
    return linear and len(layer._inbound_nodes) == 1 and len(layer._outbound_nodes) == 1


def _kernel(layer: Any) -> tuple[Any, Any]:
    import keras

    kernel = layer.kernel.numpy()
    if isinstance(layer, keras.layers.Dense):
        kernel = kernel[np.newaxis, np.newaxis]
    elif _depthwise(layer) and not isinstance(layer, keras.layers.DepthwiseConv2D):
        # With a group for each channel it is (height, width, 1, channels).
        kernel = kernel.transpose(0, 1, 3, 2)
    outputs = math.prod(kernel.shape[2:]) if _depthwise(layer) else kernel.shape[3]
    return kernel, layer.bias.numpy() if layer.use_bias else np.zeros(outputs, np.float32)


def _absorb(convolution: Any, kernel: Any, bias: Any, norm: Any) -> tuple[Any, Any]:
    """gamma * (conv(x) + b - mean) / sqrt(var + eps) + beta, as one kernel and one bias."""
    scale = 1.0 / np.sqrt(norm.moving_variance.numpy() + norm.epsilon)
    if norm.scale:
        scale = scale * norm.gamma.numpy()
    bias = (bias - norm.moving_mean.numpy()) * scale
    if norm.center:
        bias = bias + norm.beta.numpy()
    shape = kernel.shape[2:] if _depthwise(convolution) else (1, kernel.shape[3])
    return (kernel * scale.reshape(shape)).astype(np.float32), bias.astype(np.float32)


def _convolve(layer: Any, x: Any, kernel: Any, bias: Any) -> Any:
    import keras
    import tensorflow as tf

    x = tf.cast(x, kernel.dtype)
    if isinstance(layer, keras.layers.Dense):
        y = tf.nn.conv2d(x, tf.constant(kernel), 1, "VALID")
    elif _depthwise(layer):
        strides = (1, *layer.strides, 1)
        y = tf.nn.depthwise_conv2d(
            x, tf.constant(kernel), strides, layer.padding.upper(), dilations=layer.dilation_rate
        )
    else:
        y = tf.nn.conv2d(x, tf.constant(kernel), layer.strides, layer.padding.upper(), dilations=layer.dilation_rate)
    return layer.activation(tf.nn.bias_add(y, tf.constant(bias)))


def _depthwise(layer: Any) -> bool:
    """Whether each channel of the output sees one channel of the input."""
    import keras

    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return True
    return isinstance(layer, keras.layers.Conv2D) and layer.groups == layer.filters and layer.kernel.shape[2] == 1
