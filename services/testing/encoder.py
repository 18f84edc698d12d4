"""An encoder that sees colors."""

import threading
import time
from collections.abc import Sequence

import numpy as np

from services.descriptions import Features, Resample
from services.encoders import networks, recipes
from services.records import Pixels, Vectors
from services.settings import Settings


class StubEncoder:
    """`Encoder` that sees colors: the mean red, green and blue of each cell of a 4 x 4 grid, 0..1.

    A black picture has no features. `encoded` counts the pictures. With `seconds_per_batch` it is as slow as a device
    that takes so long for 64 of them. Of `dim` features more than 48 are zero.
    """

    name = "stub"
    trained = True
    lanes = 1
    turn = 16

    def __init__(
        self,
        fingerprint: str = "stub/colors/32-nearest",
        *,
        size: int = 32,
        dim: int = 48,
        seconds_per_batch: float = 0.0,
    ) -> None:
        self.fingerprint = fingerprint
        self.size = size
        self.dim = dim
        self.seconds_per_batch = seconds_per_batch
        self.encoded = 0
        self._lock = threading.Lock()

    def encode(self, pixels: Pixels) -> Vectors:
        with self._lock:
            self.encoded += len(pixels)
        time.sleep(self.seconds_per_batch * len(pixels) / 64)
        side = self.size // 4
        grid = pixels[:, : 4 * side, : 4 * side].reshape(-1, 4, side, 4, side, 3)
        cells = grid.mean(axis=(2, 4)).reshape(-1, 48) / 255
        features: Vectors = np.pad(cells, ((0, 0), (0, self.dim - 48))).astype(np.float32)
        return features

    def close(self) -> None:
        """Nothing to close."""


class StubLayers(StubEncoder):
    """A `StubEncoder` for `tuned` features: each of its layers sees the colors, an earlier one of fewer cells."""

    def __init__(self, fingerprint: str, *, size: int, dims: Sequence[int]) -> None:
        super().__init__(fingerprint, size=size, dim=sum(dims))
        self._dims = dims

    def encode(self, pixels: Pixels) -> Vectors:
        cells = super().encode(pixels)[:, :48]
        seen = [cells[:, : 12 * min(number, 4)] for number in range(1, len(self._dims) + 1)]
        return np.hstack(
            [np.pad(part, ((0, 0), (0, dim - part.shape[1]))) for part, dim in zip(seen, self._dims, strict=True)]
        )


def load_stub(
    name: str, weights: str, resample: Resample, settings: Settings, features: Features = "head"
) -> StubEncoder:
    """For `bootstrap.catalogs(load=...)`: a stub in the place of the encoder of that name."""
    network = networks.network(name)
    size = recipes.form(network, resample, features).size
    if features == "head":
        return StubEncoder(f"stub/{name}/{weights}/{resample}", size=size, dim=network.dim)
    return StubLayers(f"stub/{name}/{weights}/{resample}/{features}", size=size, dims=recipes.layer_dims(network))
