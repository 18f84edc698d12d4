"""Conversion of a Keras model for inference: one TensorFlow graph with constant weights."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from services.encoders.network import Network, Tap
from services.errors import PrecisionUnavailable

Folded = dict[str, tuple[Any, Any]]
"""Kernel and bias of each convolution, by the name of its layer."""


GEM = 3.0
"""The power of the generalized mean: the value that Radenovic et al. begin with, and mostly end near."""
LEAST = 1e-6
"""What negative activations count as in it: a power of them is none."""


def compile(network: Network, model: Any, *, half: bool = False, taps: Sequence[Tap] = ()) -> Callable[[Any], Any]:
    """Returns a function from pixels, uint8 (n, size, size, 3), to features, float32 (n, dim), for any n.

    The size is that of the model. With `taps`, the numbers of these layers come before those of the last one.

    With `half`, weights and activations are float16; only means over the image are float32, so that features keep
    its precision. This modifies the model, which must not be used afterwards. Raises `PrecisionUnavailable` if the
    weights are out of the range of float16.

    Batch normalization is folded into the convolution before it and weights become constants, so that oneDNN reorders
    them only once: twice the images per second in bfloat16, and half the start-up time of having TensorFlow's
    optimizer do it (docs/decisions.md).
    """
    import tensorflow as tf

    folded, absorbed = _fold(model)
    dtype = "float16" if half else "float32"
    if half:
        folded = {name: (_halved(kernel), _halved(bias)) for name, (kernel, bias) in folded.items()}
        _take_halves(model)

    def layer_call(layer: Any) -> Callable[..., Any]:
        if layer.name in folded:
            return lambda x: _convolve(layer, x, *folded[layer.name])
        if layer.name in absorbed:
            return lambda x, **_: x
        return layer  # type: ignore[no-any-return]

    tapped = _tapped(model, taps)

    def encode(pixels: Any) -> Any:
        inputs = tf.cast(network.preprocess(tf.cast(pixels, tf.float32)), dtype)
        *layers, last = tapped._run_through_graph([inputs], operation_fn=layer_call)
        pooled = [_pooled(layer, tap) for layer, tap in zip(layers, taps, strict=True)]
        return tf.concat([*pooled, tf.cast(last, tf.float32)], axis=1) if pooled else tf.cast(last, tf.float32)

    signature = tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8)
    traced = tf.function(encode, input_signature=[signature], autograph=False)
    return traced.get_concrete_function()  # type: ignore[no-any-return]


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
    """Switches all layers to float16, except those that pool over the whole image."""
    import keras

    for layer in model.layers:
        if not isinstance(layer, keras.layers.GlobalAveragePooling2D):
            layer.dtype_policy = "mixed_float16"


def _fold(model: Any) -> tuple[Folded, set[str]]:
    """Folds each normalization into the convolution before it; also returns the names of the layers made redundant."""
    import keras

    folded: Folded = {}
    absorbed = set()
    for norm in model.layers:
        if not isinstance(norm, keras.layers.BatchNormalization):
            continue
        before = norm.input._keras_history.operation
        if _foldable(before):
            folded[before.name] = _absorb(before, norm)
            absorbed.add(norm.name)
    return folded, absorbed


def _foldable(layer: Any) -> bool:
    import keras

    return (
        type(layer) in (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
        and layer.activation is keras.activations.linear
        and layer.data_format == "channels_last"
        and getattr(layer, "groups", 1) == 1
        and len(layer._inbound_nodes) == 1
        and len(layer._outbound_nodes) == 1
    )


def _absorb(convolution: Any, norm: Any) -> tuple[Any, Any]:
    """gamma * (conv(x) + b - mean) / sqrt(var + eps) + beta, as one kernel and one bias."""
    kernel = convolution.kernel.numpy()
    scale = 1.0 / np.sqrt(norm.moving_variance.numpy() + norm.epsilon)
    if norm.scale:
        scale = scale * norm.gamma.numpy()
    bias = -norm.moving_mean.numpy() * scale
    if convolution.use_bias:
        bias = bias + convolution.bias.numpy() * scale
    if norm.center:
        bias = bias + norm.beta.numpy()
    # A depthwise kernel is (height, width, channels, 1), any other (height, width, in, out).
    shape = (*kernel.shape[2:],) if _depthwise(convolution) else (1, kernel.shape[3])
    return (kernel * scale.reshape(shape)).astype(np.float32), bias.astype(np.float32)


def _convolve(layer: Any, x: Any, kernel: Any, bias: Any) -> Any:
    import tensorflow as tf

    padding = layer.padding.upper()
    if _depthwise(layer):
        strides = (1, *layer.strides, 1)
        y = tf.nn.depthwise_conv2d(x, tf.constant(kernel), strides, padding, dilations=layer.dilation_rate)
    else:
        y = tf.nn.conv2d(x, tf.constant(kernel), layer.strides, padding, dilations=layer.dilation_rate)
    return tf.nn.bias_add(y, tf.constant(bias))


def _depthwise(layer: Any) -> bool:
    import keras

    return isinstance(layer, keras.layers.DepthwiseConv2D)
