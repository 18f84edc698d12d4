"""The description of a network that an encoder runs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Patience:
    """Seconds: how long a server may keep silent, and how long a download may take altogether."""

    silence: float = 5.0
    total: float = 900.0


@dataclass(frozen=True)
class Network:
    """A network up to its features: pictures of size x size to `dim` numbers each.

    `build(top)` gives the Keras model with fresh weights; with `top` its classifier comes last, for weight files that
    hold one. `preprocess` takes a float tensor of 0..255 to what the network was trained on.

    `imagenet` gives the model without top with its trained weights; it raises `WeightsNotFound` or, when its patience
    ends, `WeightsUnreachable`. `imagenet_at_hand` returns whether that works without a download. Neither
    `imagenet_at_hand` nor making a `Network` imports TensorFlow.
    """

    name: str
    size: int
    dim: int
    build: Callable[[bool], Any]
    preprocess: Callable[[Any], Any]
    imagenet: Callable[[Patience], Any]
    imagenet_at_hand: Callable[[], bool]
