"""The encoder that runs on TensorFlow."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from math import ceil
from pathlib import Path
from typing import Any, Literal

import numpy as np

from services.encoders import weights as network_weights
from services.encoders.network import Network, Patience
from services.errors import PrecisionUnavailable
from services.records import Pixels, Resample, Vectors
from services.settings import Precision

SLICE = 8
"""Images that one thread encodes at a time: the smallest count that runs at the full rate (docs/decisions.md)."""

_BFLOAT16 = "auto_mixed_precision_onednn_bfloat16"


class TensorFlowEncoder:
    """A network on TensorFlow, compiled once. Its precision is the whole process's.

    Raises `WeightsError`s, and `PrecisionUnavailable` where the process already computes in the other precision or
    the processor lacks bfloat16.
    """

    def __init__(
        self,
        network: Network,
        weights: str,
        *,
        resample: Resample = "nearest",
        precision: Precision = "auto",
        patience: Patience = Patience(),  # noqa: B008  frozen
    ) -> None:
        self.name = network.name
        self.size = network.size
        self.dim = network.dim
        self.trained = network_weights.trained(weights)
        self.precision = resolved(precision)
        network_weights.checked_spec(weights)
        _start_tensorflow(self.precision)
        model = network_weights.load(network, weights, patience)
        self.fingerprint = fingerprint(network, network_weights.digest(model), resample)
        self._compiled = _compiled(network, model)
        self._encode_slice(np.zeros((1, network.size, network.size, 3), np.uint8))
        self._threads = len(os.sched_getaffinity(0))
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="encode")

    def encode(self, pixels: Pixels) -> Vectors:
        """Raw features, float32 (n, dim), of uint8 RGB pixels (n, size, size, 3). Any n, zero included."""
        if not len(pixels):
            return np.empty((0, self.dim), np.float32)
        slices = np.array_split(pixels, _slices(len(pixels), self._threads))
        return np.concatenate(list(self._pool.map(self._encode_slice, slices)))

    def close(self) -> None:
        """Lets go of the threads."""
        self._pool.shutdown()

    def _encode_slice(self, pixels: Pixels) -> Vectors:
        import tensorflow as tf

        features: Vectors = self._compiled(tf.constant(pixels)).numpy()
        return features


def fingerprint(network: Network, weights_digest: str, resample: Resample) -> str:
    """Names network, weights and preprocessing: vectors may be compared where it is the same."""
    return f"{network.name}/{weights_digest}/{network.size}-{resample}"


def resolved(precision: Precision) -> Literal["float32", "bfloat16"]:
    """What `auto` means on this processor."""
    if precision == "auto":
        return "bfloat16" if has_bfloat16() else "float32"
    return precision


def has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 (AVX512_BF16 or AMX)."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def gpus() -> list[str]:
    """The names of the GPUs that TensorFlow can use."""
    with _native_messages_held():
        import tensorflow as tf

        found = tf.config.list_physical_devices("GPU")
    return [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in found]


def _start_tensorflow(precision: str) -> None:
    with _native_messages_held():
        import tensorflow as tf

        tf.constant(0)
    if precision == "bfloat16" and not has_bfloat16():
        raise PrecisionUnavailable("This processor has neither AVX512_BF16 nor AMX: take precision float32 or auto.")
    options = tf.config.optimizer.get_experimental_options()
    if options.get(_BFLOAT16, precision == "bfloat16") != (precision == "bfloat16"):
        raise PrecisionUnavailable(
            f"This process already encodes in another precision than {precision}: start another."
        )
    # Constants are folded in graph.py; TensorFlow's own pass would copy all weights several times at start-up.
    tf.config.optimizer.set_experimental_options({_BFLOAT16: precision == "bfloat16", "constant_folding": False})


def _compiled(network: Network, model: Any) -> Callable[[Any], Any]:
    from services.encoders.graph import compile

    return compile(network, model)


def _slices(count: int, threads: int) -> int:
    """How many parts to encode at a time: of SLICE images at most, and as many for each thread."""
    rounds = ceil(ceil(count / SLICE) / threads)
    return min(count, rounds * threads)


@contextlib.contextmanager
def _native_messages_held() -> Iterator[None]:
    """Keeps what TensorFlow's native code prints at start-up off stderr, and shows it if the start fails.

    It writes to descriptor 2 whatever it is told; what Python prints meanwhile still comes through.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    with os.fdopen(os.dup(2), "w") as stderr, tempfile.TemporaryFile() as held, contextlib.ExitStack() as stack:
        os.dup2(held.fileno(), 2)
        stack.callback(os.dup2, stderr.fileno(), 2)
        if sys.stderr is sys.__stderr__:
            stack.enter_context(contextlib.redirect_stderr(stderr))
        try:
            yield
        except Exception:
            held.seek(0)
            os.write(stderr.fileno(), held.read())
            raise
