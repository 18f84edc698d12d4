"""The encoder that runs on TensorFlow."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from services.descriptions import Features, Resample
from services.encoders import recipes, specs
from services.encoders.keras import weights as network_weights
from services.encoders.keras.starting import starting
from services.encoders.network import Network, Patience
from services.encoders.pace import Pace, of_gpu, of_processors
from services.errors import PrecisionUnavailable
from services.records import Pixels, Vectors
from services.settings import Precision

_BFLOAT16 = "auto_mixed_precision_onednn_bfloat16"
_NOT_BFLOAT16 = "TF_AUTO_MIXED_PRECISION_GRAPH_REWRITE_ALLOWLIST_REMOVE"
_DEPTHWISE = "DepthwiseConv2dNative,_FusedDepthwiseConv2dNative"


class TensorFlowEncoder:
    """A network on TensorFlow, compiled once, on the first GPU visible to the process, or else on the CPU.

    With `tuned` features it gives the numbers of several layers, the last one at the end, of which
    `services.encoders.tuned` makes a vector. `pace` sets threads and batch sizes; None chooses them for the device.
    bfloat16 is a setting of the whole process.

    Raises:
        WeightsError: The weights cannot be loaded; a subclass says why.
        PrecisionUnavailable: The process already computes in another precision, the CPU lacks bfloat16, or the weights
            do not fit into float16.
    """

    def __init__(
        self,
        network: Network,
        weights: str,
        *,
        resample: Resample = "nearest",
        features: Features = "head",
        precision: Precision = "auto",
        patience: Patience = Patience(),  # noqa: B008  frozen
        pace: Pace | None = None,
    ) -> None:
        self.name = network.name
        self.size = recipes.form(network, resample, features).size
        self.dim = sum(recipes.layer_dims(network)) if features == "tuned" else network.dim
        self.trained = specs.trained(weights)
        specs.checked_spec(weights)
        on_gpu = _grow_on_gpus()
        self.precision = resolved(precision, on_gpu)
        start_tensorflow(self.precision)
        if self.precision == "bfloat16" and features == "tuned":
            # In depthwise convolutions, bfloat16 changes what some pictures show in the middle (docs/decisions.md).
            # TensorFlow reads this whenever it compiles, so it stays set.
            os.environ.setdefault(_NOT_BFLOAT16, _DEPTHWISE)
        model = network_weights.load(network, weights, patience)
        self.fingerprint = fingerprint(network, network_weights.digest(model), resample, features)
        self._compiled = compiled(network, model, self.precision, features)
        self._pace = pace or (of_gpu() if on_gpu else of_processors(len(os.sched_getaffinity(0))))
        self.lanes, self.turn = self._pace.lanes, self._pace.turn
        # Compile each batch size now, so that no request waits for the first call of a size.
        for shape in self._pace.shapes or (1,):
            self._encoded(np.zeros((shape, self.size, self.size, 3), np.uint8))

    def encode(self, pixels: Pixels) -> Vectors:
        """Returns raw features, float32 (n, dim), of RGB pixels, uint8 (n, size, size, 3); n may be 0."""
        if not len(pixels):
            return np.empty((0, self.dim), np.float32)
        return np.concatenate([self._encoded(call)[:count] for call, count in self._pace.calls(pixels)])

    def close(self) -> None:
        """Does nothing: TensorFlow keeps its memory until the process ends."""

    def _encoded(self, pixels: Pixels) -> Vectors:
        import tensorflow as tf

        features: Vectors = self._compiled(tf.constant(pixels)).numpy()
        return features


def fingerprint(network: Network, weights_digest: str, resample: Resample, features: Features = "head") -> str:
    """Identifies network, weights, preprocessing and layers: vectors are comparable if their fingerprints are equal."""
    if features == "head":
        return f"{network.name}/{weights_digest}/{network.size}-{resample}"
    size, _, fit = recipes.form(network, resample, features)
    taken = recipes.digest(*((tap.layer, tap.dim, tap.pooling) for tap in network.taps))
    return f"{network.name}/{weights_digest}/{size}-{resample}-{fit}/{features}-{taken}"


def resolved(precision: Precision, on_gpu: bool) -> Literal["float32", "bfloat16", "float16"]:
    """Resolves `auto` to the precision for this device; returns any other as it is."""
    if precision != "auto":
        return precision
    if on_gpu:
        return "float16"
    return "bfloat16" if has_bfloat16() else "float32"


def has_bfloat16() -> bool:
    """Whether the CPU has instructions for bfloat16 (AVX512_BF16 or AMX)."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def _grow_on_gpus() -> bool:
    """Makes TensorFlow allocate GPU memory as needed, not all at once at the start; returns whether there are GPUs."""
    with starting():
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
    return bool(gpus)


def start_tensorflow(precision: str) -> None:
    """Configures TensorFlow for one precision. Raises `PrecisionUnavailable`."""
    with starting():
        import tensorflow as tf

        tf.constant(0)
    if precision == "bfloat16" and not has_bfloat16():
        raise PrecisionUnavailable("This processor has neither AVX512_BF16 nor AMX: take precision float32 or auto.")
    options = tf.config.optimizer.get_experimental_options()
    if options.get(_BFLOAT16, precision == "bfloat16") != (precision == "bfloat16"):
        raise PrecisionUnavailable(
            f"This process already encodes in another precision than {precision}: start another."
        )
    # graph.py folds constants; TensorFlow's own pass would copy all weights several times at start-up.
    tf.config.optimizer.set_experimental_options({_BFLOAT16: precision == "bfloat16", "constant_folding": False})


def compiled(network: Network, model: Any, precision: str, features: Features = "head") -> Callable[[Any], Any]:
    """Returns a function from pixels (a tensor) to features, which is compiled at the first call of each batch size."""
    from services.encoders.keras.graph import compile

    half = precision == "float16"
    if features == "head":
        return compile(network, model, half=half)
    larger = network.build(False, recipes.TUNED_SIZE)
    larger.set_weights(model.get_weights())
    return compile(network, larger, half=half, taps=network.taps)
