"""Which vectors may stand in a catalog: those of one encoder."""

from services.descriptions import CatalogSpec
from services.errors import EncoderMismatch


def check_fingerprint(spec: CatalogSpec, fingerprint: str) -> None:
    """Raises `EncoderMismatch` where a catalog's vectors come from another encoder."""
    if spec.fingerprint not in (None, fingerprint):
        raise EncoderMismatch(
            f"Catalog {spec.name} holds vectors of {spec.fingerprint}, and this encoder makes {fingerprint}: "
            "give the encoder and weights it was made with, or another --catalog."
        )
