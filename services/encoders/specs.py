"""How encoders and weights are named, and which a catalog gets that asks for none."""

import os
import re
from pathlib import Path

from services.descriptions import Resample
from services.errors import WeightsInvalid, WeightsNotFound

IMAGENET = "imagenet"
RANDOM = "random:"
SUFFIXES = (".h5", ".keras")

DEFAULT_ENCODER = "inception_v3"
DEFAULT_WEIGHTS = IMAGENET
DEFAULT_RESAMPLE: Resample = "nearest"


def checked_spec(spec: str) -> str:
    """The spec itself, a file's path made absolute: `imagenet`, `random:SEED` or a weights file.

    Raises `WeightsNotFound` for a file that is not there, `WeightsInvalid` for anything else that is none of these.
    """
    if spec == IMAGENET:
        return spec
    if spec.startswith(RANDOM):
        if not re.fullmatch(r"[0-9]{1,18}", spec.removeprefix(RANDOM)):
            raise WeightsInvalid(f"Weights {spec[:40]!r} need a whole number of up to 18 digits, such as random:7.")
        return spec
    path = Path(os.path.expanduser(spec)).absolute()  # noqa: PTH111  the other one raises for an unknown user
    if path.suffix not in SUFFIXES:
        raise WeightsInvalid(
            f"Weights {spec!r} are none of: imagenet, random:SEED, or a file that ends in .h5, .weights.h5 or .keras."
        )
    if not path.is_file():
        raise WeightsNotFound(
            f"The weights file {path} is not there; give its new path with `lookalike index ... --weights FILE`."
        )
    return str(path)


def trained(spec: str) -> bool:
    """False for random weights."""
    return not spec.startswith(RANDOM)
