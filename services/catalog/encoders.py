"""The encoders of a process: those that its catalogs work with, each loaded once."""

from collections.abc import Callable, Iterable

from services.descriptions import CatalogSpec, made_by
from services.encoders.encoder import Encoder
from services.encoders.shared import SharedEncoder
from services.encoders.tuned.encoder import TunedEncoder

CatalogEncoder = SharedEncoder | TunedEncoder
"""What catalogs encode with."""


class Encoders:
    """Encoders by network, weights, resampling and features; catalogs with the same share one. Whoever calls it holds a
    lock.

    Args:
        load: Makes the encoder of a description; of `tuned` features, the one that gives the layers.
        read: Reads what features have learned. Raises `FeaturesNotFound`.
    """

    def __init__(self, load: Callable[[CatalogSpec], Encoder], read: Callable[[str], bytes]) -> None:
        self._load = load
        self._read = read
        self._shared: dict[tuple[str, ...], SharedEncoder] = {}

    def of(self, spec: CatalogSpec) -> CatalogEncoder:
        """The encoder of a description's live generation; it is not loaded for this."""
        if spec.learned is None:
            return self.network(spec)
        return TunedEncoder(self.network(spec), spec.learned, self._read)

    def network(self, spec: CatalogSpec) -> SharedEncoder:
        """The same without what its features have learned."""
        return self._shared.setdefault(made_by(spec), SharedEncoder(lambda: self._load(spec)))

    def release(self, before: CatalogSpec, now: Iterable[CatalogSpec]) -> None:
        """Forgets those of an earlier description that none of these works with: one is hundreds of MB of memory.

        Calls in progress end on theirs, which is gone with the last of them.
        """
        used = {key for spec in now for key in _keys(spec)}
        for key in _keys(before) - used:
            self._shared.pop(key, None)

    def close(self) -> None:
        """Closes all."""
        for encoder in self._shared.values():
            encoder.close()


def _keys(spec: CatalogSpec) -> set[tuple[str, ...]]:
    """Those of all generations of a catalog that are not being removed."""
    return {made_by(spec)} | {made_by(each) for each in spec.kept}
