"""A worker that some pictures are poison for: python poison_worker.py REDIS_URL SECONDS_PER_BATCH PATIENCE

What stands behind a picture's last byte is done in the child that decodes it (`poisons.POISONS`), as if its bytes had
found a mistake of a library; a picture whose first color is `DEADLY` ends the worker itself as it is encoded.
"""

import os
import signal
from collections.abc import Callable
from concurrent.futures import Future

import poisons
import stub_worker

from services.descriptions import Features, Form, Resample
from services.encoders import networks
from services.images import decoder
from services.images.decoder import Decoder
from services.records import Pixels, Vectors
from services.testing import StubEncoder

DEADLY = (1, 2, 3)


class Deadly(StubEncoder):
    def encode(self, pixels: Pixels) -> Vectors:
        if (pixels[:, 0, 0] == DEADLY).all(axis=1).any():
            os.kill(os.getpid(), signal.SIGKILL)
        return super().encode(pixels)


def main() -> None:
    # A child that imports a module with its first task counts that as left behind, and is replaced after each picture.
    decoder.MODULES = (*decoder.MODULES, poisons.__name__)
    Decoder.submit_hashed = _submit(poisons.decode_hashed)  # type: ignore[method-assign]
    stub_worker.load_stub = _load  # type: ignore[attr-defined]
    stub_worker.main()


def _submit(decode: Callable[..., poisons.Decoded]) -> Callable[[Decoder, bytes, Form], Future[poisons.Decoded]]:
    return lambda self, data, form: self._children.submit(
        decode, data, form.size, form.resample, self._limits, form.fit
    )


def _load(name: str, weights: str, resample: Resample, settings: object, features: Features) -> StubEncoder:

    network = networks.network(name)
    return Deadly(f"stub/{name}", size=network.size, dim=network.dim)


if __name__ == "__main__":
    main()
