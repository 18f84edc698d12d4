"""The description of a network that an encoder runs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Pooling = Literal["average", "gem"]
"""How a layer's output becomes a number for each channel: the mean over the picture, or the generalized mean with p = 3
(Radenovic et al., Fine-tuning CNN Image Retrieval with No Human Annotation, 2018)."""


@dataclass(frozen=True)
class Patience:
    """Seconds: how long a server may keep silent, and how long a download may take altogether."""

    silence: float = 5.0
    total: float = 900.0


@dataclass(frozen=True)
class Tap:
    """A layer in the middle of a network that `tuned` features take: its name in the Keras model, its channels, and how
    it is pooled."""

    layer: str
    dim: int
    pooling: Pooling = "gem"


class Build(Protocol):
    """Builds the Keras model of a network."""

    def __call__(self, top: bool, size: int | None = None) -> Any:
        """The model with fresh weights; with `top` its classifier comes last, for weight files that hold one. Without
        it, `size` is the side of the pictures that it takes; None: the network's own."""


@dataclass(frozen=True)
class Network:
    """A network up to its features: pictures of size x size to `dim` numbers each.

    `preprocess` takes a float tensor of 0..255 to what the network was trained on. `taps` are the layers that `tuned`
    features take besides the last one.

    `imagenet` gives the model without top with its trained weights; it raises `WeightsNotFound` or, when its patience
    ends, `WeightsUnreachable`. `imagenet_at_hand` returns whether that works without a download. `check_imagenet` looks
    whether it can work at all, for so many seconds, and raises the same errors. None of the two, nor making a
    `Network`, imports TensorFlow.
    """

    name: str
    size: int
    dim: int
    build: Build
    preprocess: Callable[[Any], Any]
    imagenet: Callable[[Patience], Any]
    imagenet_at_hand: Callable[[], bool]
    check_imagenet: Callable[[float], None]
    taps: tuple[Tap, ...] = ()
