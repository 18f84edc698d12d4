"""A generation as a process works with it: where its vectors are, and what makes them."""

from collections.abc import Callable

from services.catalog.encoders import CatalogEncoder
from services.catalog.fingerprint import check_fingerprint
from services.descriptions import CatalogSpec, Form
from services.index.vector_index import VectorIndex
from services.records import Pixels, Vectors


class OpenGeneration:
    """One generation of a catalog. Thread-safe.

    `spec` describes the catalog as if this generation were the live one, and `form` is that of the pixels that its
    encoder takes. `open_index` gives its index, which is opened at the first use.
    """

    def __init__(
        self, spec: CatalogSpec, open_index: Callable[[], VectorIndex], encoder: CatalogEncoder, form: Form
    ) -> None:
        self.spec = spec
        self._open_index = open_index
        self._encoder = encoder
        self.form = form

    @property
    def id(self) -> str:
        return self.spec.generation

    @property
    def index(self) -> VectorIndex:
        """Raises `IndexUnavailable` where the generation was dropped, and what opening an index raises."""
        return self._open_index()

    def encode(self, pixels: Pixels) -> Vectors:
        """Raw features of pixels in its form. Raises `EncoderError`s, `EncoderMismatch`."""
        check_fingerprint(self.spec, self._encoder.fingerprint())
        return self._encoder.encode(pixels)
