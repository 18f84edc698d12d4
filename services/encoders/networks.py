"""Every network there is an encoder for."""

from services.descriptions import CatalogSpec, Features, Form
from services.encoders import recipes
from services.encoders.keras import efficientnet_lite0
from services.encoders.keras.applications import applications
from services.encoders.network import Network
from services.encoders.specs import IMAGENET
from services.errors import EncoderUnknown


def networks() -> dict[str, Network]:
    """Every network there is an encoder for, by name."""
    return {entry.name: entry for entry in [*applications(), efficientnet_lite0.network()]}


def network(name: str) -> Network:
    """Raises `EncoderUnknown`."""
    known = networks()
    if name not in known:
        raise EncoderUnknown(f"There is no encoder {name!r}; there are {', '.join(known)}.")
    return known[name]


def check_weights(encoder: str, weights: str, seconds: float = 3.0) -> None:
    """Looks whether weights of ImageNet are on this machine, or can be fetched: their server has so many seconds.

    Raises `EncoderUnknown`, `WeightsUnreachable`, `WeightsNotFound`.
    """
    entry = network(encoder)
    if weights == IMAGENET:
        entry.check_imagenet(seconds)


def dim_of(encoder: str, features: Features) -> int:
    """How many numbers the vectors have that an encoder makes by a recipe. Raises `EncoderUnknown`."""
    return recipes.dim(network(encoder), features)


def form_of(spec: CatalogSpec) -> Form:
    """What pixels the encoder of a description takes. Raises `EncoderUnknown`."""
    return recipes.form(network(spec.encoder), spec.resample, spec.features)
