"""An encoder whose features are tuned: a network's layers and a picture's colors, made into a vector by what was
learned."""

from collections.abc import Callable

from services.encoders.shared import SharedEncoder
from services.encoders.tuned.color import color_histograms, recipe
from services.encoders.tuned.learned import Learned, from_bytes
from services.errors import DataCorrupt
from services.records import Pixels, Vectors


class TunedEncoder:
    """Makes tuned features, as a `SharedEncoder` makes those of a network. Thread-safe.

    Args:
        layers: Gives the numbers of the layers; others may use it, too.
        learned: The SHA-256 of the file of what was learned.
        read: Reads that file, when an image first needs it. Raises `FeaturesNotFound`.
    """

    def __init__(self, layers: SharedEncoder, learned: str, read: Callable[[str], bytes]) -> None:
        self._layers = layers
        self._hash = learned
        self._read = read
        self._learned: Learned | None = None

    def fingerprint(self) -> str:
        """Of network, layers, colors and what was learned; the network is loaded for that. Raises `EncoderError`s."""
        return f"{self._layers.fingerprint()}-{recipe()}-{self._hash}"

    def encode(self, pixels: Pixels, *, urgent: bool = False) -> Vectors:
        """Tuned features, float32 (n, 128), of uint8 RGB pixels (n, 320, 320, 3): see `Learned.apply`.

        Raises what `SharedEncoder.encode` does, `FeaturesNotFound`, `DataCorrupt`.
        """
        learned = self._loaded()
        layers = self._layers.encode(pixels, urgent=urgent)
        if layers.shape[1] != learned.dims.sum():
            raise DataCorrupt(
                f"What features have learned ({self._hash}) is of {learned.dims.sum()} numbers, and the network gives "
                f"{layers.shape[1]}: build them again with `lookalike reindex --features tuned`."
            )
        return learned.apply(layers, color_histograms(pixels))

    @property
    def loading_seconds(self) -> float:
        """How long loading the network took; 0 before."""
        return self._layers.loading_seconds

    def _loaded(self) -> Learned:
        # Two threads may both read it, and then both have the same.
        if self._learned is None:
            self._learned = from_bytes(self._read(self._hash))
        return self._learned
