"""An encoder that sees colors."""

import threading
import time

import numpy as np

from services.descriptions import Resample
from services.encoders import networks
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


def load_stub(name: str, weights: str, resample: Resample, settings: Settings) -> StubEncoder:
    """For `bootstrap.catalogs(load=...)`: a stub in the place of the encoder of that name."""
    network = networks.network(name)
    return StubEncoder(f"stub/{name}/{weights}/{resample}", size=network.size, dim=network.dim)
