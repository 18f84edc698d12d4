"""Opening a catalog by name, or making a new one."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime

from services.catalog.catalog import Catalog, check_fingerprint
from services.catalog.catalogs import Catalogs
from services.encoders.networks import network
from services.encoders.specs import IMAGENET, checked_spec
from services.errors import EncoderMismatch
from services.names import checked_catalog_name
from services.records import CatalogSpec, Quantization, Resample


def open_catalog_with(
    catalogs: Catalogs,
    name: str,
    *,
    encoder: str | None = None,
    weights: str | None = None,
    resample: Resample | None = None,
) -> Catalog:
    """An existing catalog, or a new one if there is none of that name; None takes what the catalog has.

    A new one is there only when its encoder could be loaded. Raises `EncoderMismatch` where a catalog exists with
    another encoder, resampling or weights, and `EncoderError`s.
    """
    spec = catalogs.find(name)
    if spec is None:
        spec = new_spec(name, encoder or "inception_v3", checked_spec(weights or IMAGENET), resample or "nearest")
        return catalogs.create(replace(spec, fingerprint=catalogs.encoder(spec).fingerprint()))
    for option, wanted, is_ in (("encoder", encoder, spec.encoder), ("resample", resample, spec.resample)):
        if wanted not in (None, is_):
            raise EncoderMismatch(
                f"{option}: catalog {name} has {is_}, so it cannot take {wanted}; leave it out, or choose another "
                "catalog."
            )
    if weights not in (None, spec.weights):
        spec = replace(spec, weights=checked_spec(weights))
        check_fingerprint(spec, catalogs.encoder(spec).fingerprint())
        catalogs.save(spec)
    return catalogs.get(name)


def new_spec(
    name: str,
    encoder: str,
    weights: str,
    resample: Resample,
    fingerprint: str | None = None,
    quantization: Quantization = "none",
) -> CatalogSpec:
    """The description of a new catalog."""
    return CatalogSpec(
        name=checked_catalog_name(name),
        id=uuid.uuid4().hex,
        encoder=encoder,
        weights=weights,
        resample=resample,
        dim=network(encoder).dim,
        fingerprint=fingerprint,
        generation=uuid.uuid4().hex,
        created_at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        quantization=quantization,
    )
