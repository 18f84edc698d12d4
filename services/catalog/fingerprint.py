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


def check_comparable(there: CatalogSpec, coming: CatalogSpec) -> None:
    """Raises `EncoderMismatch` where a catalog that is there cannot take the vectors of a description from elsewhere:
    one of both has got another live generation since the other was copied from it."""
    if there.fingerprint and coming.fingerprint:
        is_same = there.fingerprint == coming.fingerprint
    else:
        # Weights may be at another place.
        is_same = _recipe(there) == _recipe(coming)
    if not is_same:
        raise EncoderMismatch(
            f"Catalog {there.name} is there already, with vectors of {there.fingerprint or ' '.join(_recipe(there))}, "
            f"and those that come are of {coming.fingerprint or ' '.join(_recipe(coming))}: remove it there, or name "
            "another place."
        )


def _recipe(spec: CatalogSpec) -> tuple[str, ...]:
    return spec.encoder, spec.resample, spec.features
