"""The recipes by which a network's layers become a vector: what pictures they take, and how many numbers they give."""

import hashlib

from services.descriptions import COLOR_DIM, LAYERS_DIM, Features, Form, Resample
from services.encoders.network import Network

TUNED_SIZE = 320
"""The side of the square of `tuned` features, in pixels. It is padded: stretching, and 224 pixels, find less."""
TUNED_DIM = LAYERS_DIM + COLOR_DIM


def form(network: Network, resample: Resample, features: Features) -> Form:
    """What pixels a recipe takes."""
    if features == "tuned":
        return Form(TUNED_SIZE, resample, "pad")
    return Form(network.size, resample)


def dim(network: Network, features: Features) -> int:
    """How many numbers the vectors of a recipe have."""
    return TUNED_DIM if features == "tuned" else network.dim


def digest(*parts: object) -> str:
    """What tells a recipe from another one: 8 hex digits of the SHA-256 of its constants as text."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:8]


def layer_dims(network: Network) -> tuple[int, ...]:
    """How many numbers `tuned` features take of each layer, the last layer at the end."""
    return (*(tap.dim for tap in network.taps), network.dim)
