"""Tuned features are made of the layers of a network that others use, too, by what one catalog has learned."""

from collections.abc import Iterator

import numpy as np
import pytest

from services.encoders.shared import SharedEncoder
from services.encoders.tuned.color import color_histograms, recipe
from services.encoders.tuned.encoder import TunedEncoder
from services.encoders.tuned.learned import digest, learned
from services.errors import DataCorrupt
from services.records import Pixels
from services.testing import StubEncoder


@pytest.fixture
def layers() -> Iterator[SharedEncoder]:
    encoder = SharedEncoder(StubEncoder)
    yield encoder
    encoder.close()


def pixels(count: int = 8) -> Pixels:
    return np.random.default_rng(1).integers(0, 256, (count, 32, 32, 3), np.uint8)


def test_a_vector_is_what_was_learned_of_layers_and_colors(layers: SharedEncoder) -> None:
    found = learned(layers.encode(pixels()), [16, 32], color_histograms(pixels()))
    file, read = found.to_bytes(), []

    def reading(hash: str) -> bytes:
        read.append(hash)
        return file

    encoder = TunedEncoder(layers, digest(file), reading)
    assert encoder.fingerprint() == f"{layers.fingerprint()}-{recipe()}-{digest(file)}" and not read
    expected = found.apply(layers.encode(pixels(3)), color_histograms(pixels(3)))
    for urgent in (True, False):
        np.testing.assert_allclose(encoder.encode(pixels(3), urgent=urgent), expected, atol=1e-6)
    assert read == [digest(file)] and encoder.encode(pixels(0)).shape == (0, 128)


def test_what_was_learned_of_other_layers_is_refused(layers: SharedEncoder) -> None:
    file = learned(layers.encode(pixels())[:, :40], [16, 24], color_histograms(pixels())).to_bytes()
    encoder = TunedEncoder(layers, digest(file), lambda _: file)
    with pytest.raises(DataCorrupt, match="is of 40 numbers, and the network gives 48: build them again"):
        encoder.encode(pixels(1))
