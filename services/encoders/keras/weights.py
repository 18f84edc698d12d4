"""Loading the weights of a network (from a file, of ImageNet, or random), and the hash that identifies them."""

import hashlib
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from services.encoders.network import Network, Patience
from services.encoders.specs import IMAGENET, RANDOM, checked_spec, trained
from services.errors import WeightsInvalid


def load(network: Network, spec: str, patience: Patience) -> Any:
    """Returns the Keras model of a network without its classifier, with weights. Raises `WeightsError`."""
    spec = checked_spec(spec)
    if spec != IMAGENET and trained(spec):
        return load_file(network, Path(spec))
    if spec == IMAGENET:
        return network.imagenet(patience)
    model = network.build(False)
    randomize(model, int(spec.removeprefix(RANDOM)))
    return model


def load_file(network: Network, path: Path) -> Any:
    """Returns the model with the weights of a Keras file, which may include the classifier.

    The graph is built in code and only numbers are read from the file: nothing in it is unpickled or executed.

    Raises:
        WeightsInvalid: The file is damaged or made for another network.
    """
    headless = network.build(False)
    reasons = []
    for top in (False, True):
        model = network.build(True) if top else headless
        try:
            model.load_weights(path)
        # What h5py, zipfile and Keras raise for invalid files has no common base class.
        except (ValueError, OSError, KeyError, RuntimeError, TypeError, AttributeError, EOFError, BadZipFile) as error:
            reasons.append(error)
            continue
        if top:
            # The weights of the classifier come last.
            headless.set_weights(model.get_weights()[: len(headless.weights)])
        return headless
    raise WeightsInvalid(
        f"The weights file {path} is damaged or holds the weights of another network than {network.name}; give "
        f"one that {network.name} was saved to ({type(reasons[0]).__name__})."
    ) from reasons[0]


def digest(model: Any) -> str:
    """SHA-256 in hex over shapes and values, in the order of the model.

    It is computed over arrays, not over a file, so the same weights have the same digest in any file format, with or
    without the classifier.
    """
    sha = hashlib.sha256()
    for weight in model.weights:
        array = weight.numpy().astype("<f4")
        sha.update(str(array.shape).encode())
        sha.update(array.tobytes())
    return sha.hexdigest()


def randomize(model: Any, seed: int) -> None:
    """Sets He-normal kernels (He et al., 2015: standard deviation sqrt(2 / fan in)); the rest stays as initialized.

    Except the scales of residual branches in ConvNeXt, which become 1: they begin at 1e-6, which no branch survives.
    """
    random = np.random.default_rng(seed)
    for weight in model.weights:
        if "layer_scale" in weight.path:
            weight.assign(np.ones(weight.shape, np.float32))
        if len(weight.shape) >= 2:
            # A depthwise kernel is (height, width, channels, 1), and each of its outputs sees one channel.
            fan_in = float(np.prod(weight.shape[:2] if weight.shape[-1] == 1 else weight.shape[:-1]))
            kernel = random.standard_normal(weight.shape, dtype=np.float32)
            weight.assign(kernel * np.float32(np.sqrt(2.0 / fan_in)))
