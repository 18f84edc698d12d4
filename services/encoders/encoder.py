"""The contract that every encoder keeps."""

from typing import Protocol

from services.records import Pixels, Vectors


class Encoder(Protocol):
    """A network with its weights and preprocessing.

    `fingerprint` names all three: vectors of one fingerprint may be compared, others never. `size` is the side of
    the square input in pixels, `dim` the number of features, `trained` False for random weights. It runs at its full
    rate when `lanes` threads encode at the same time, `turn` to twice as many pictures each.
    """

    name: str
    size: int
    dim: int
    fingerprint: str
    trained: bool
    lanes: int
    turn: int

    def encode(self, pixels: Pixels) -> Vectors:
        """Raw features, float32 (n, dim), of uint8 RGB pixels (n, size, size, 3). Any n, zero included."""

    def close(self) -> None:
        """Frees threads and memory; the encoder is unusable afterwards."""
