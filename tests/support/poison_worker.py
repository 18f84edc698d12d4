"""A worker that some pictures are poison for: python poison_worker.py REDIS_URL SECONDS_PER_BATCH PATIENCE

What stands behind a picture's last byte is done in the child that decodes it (`POISONS`), as if its bytes had found a
mistake of a library; a picture whose first color is `DEADLY` ends the worker itself as it is encoded.
"""

import ctypes
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import Future

import stub_worker

from services.descriptions import Features, Fit, Form, Resample
from services.encoders import networks
from services.images import decoder as images
from services.images.decoder import Decoder
from services.images.limits import Limits
from services.records import Pixels, Vectors
from services.testing import StubEncoder

DEADLY = (1, 2, 3)

Decoded = tuple[Pixels, str]


def _hang() -> None:
    while True:
        time.sleep(1)


def _eat() -> None:
    held = []
    while True:
        held.append(bytes(1 << 24))


POISONS: dict[bytes, tuple[Callable[[], object], str]] = {
    b"SEGV": (lambda: ctypes.string_at(0), "image_decode_crashed"),
    b"HANG": (_hang, "image_decode_timeout"),
    b"EATS": (_eat, "image_decode_crashed"),
    b"KILL": (lambda: os.kill(os.getpid(), signal.SIGKILL), "image_decode_crashed"),
    b"EXIT": (lambda: os._exit(0), "image_decode_crashed"),
}
"""What a poison does, and the code that tells of it."""


def decode_hashed(data: bytes, size: int, resample: Resample, limits: Limits, fit: Fit) -> Decoded:
    """Runs in the child."""
    if data[-4:] in POISONS:
        POISONS[data[-4:]][0]()
    return images.decode_hashed(data, size, resample, limits, fit)


class Deadly(StubEncoder):
    def encode(self, pixels: Pixels) -> Vectors:
        if (pixels[:, 0, 0] == DEADLY).all(axis=1).any():
            os.kill(os.getpid(), signal.SIGKILL)
        return super().encode(pixels)


def main() -> None:
    import poison_worker  # by its name, which the child imports

    Decoder.submit_hashed = _submit(poison_worker.decode_hashed)  # type: ignore[method-assign]
    stub_worker.load_stub = _load  # type: ignore[attr-defined]
    stub_worker.main()


def _submit(decode: Callable[..., Decoded]) -> Callable[[Decoder, bytes, Form], Future[Decoded]]:
    return lambda self, data, form: self._children.submit(
        decode, data, form.size, form.resample, self._limits, form.fit
    )


def _load(name: str, weights: str, resample: Resample, settings: object, features: Features) -> StubEncoder:

    network = networks.network(name)
    return Deadly(f"stub/{name}", size=network.size, dim=network.dim)


if __name__ == "__main__":
    main()
