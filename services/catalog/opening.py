"""Opening a catalog by name, or making a new one."""

import uuid
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypedDict, Unpack

from services.catalog.catalog import Catalog
from services.catalog.catalogs import Catalogs
from services.catalog.fingerprint import check_fingerprint
from services.descriptions import CatalogSpec, Features, Quantization, Resample, rfc3339
from services.encoders.networks import dim_of
from services.encoders.specs import DEFAULT_ENCODER, DEFAULT_RESAMPLE, DEFAULT_WEIGHTS, checked_spec
from services.errors import CatalogExists, EncoderMismatch, TooFewImages
from services.names import checked_catalog_name


class CatalogOptions(TypedDict, total=False):
    """What a catalog is made with. None, or left out: the default for a new one, anything for one that is there."""

    encoder: str | None
    weights: str | None
    resample: Resample | None
    quantization: Quantization | None
    features: Features | None


def open_or_create(
    catalogs: Catalogs, name: str, *, load_encoder: bool = False, **options: Unpack[CatalogOptions]
) -> tuple[Catalog, bool]:
    """The catalog of that name, and whether it is new.

    Args:
        catalogs: Where it is, or is made.
        name: Its name.
        load_encoder: Make a new one only if its encoder can be loaded, and accept weights from another place for one
            that is there if they are the same weights.
        options: What it has to have.

    Raises `EncoderMismatch` where there is one with other options, and with `load_encoder` all `EncoderError`s.
    """
    spec = catalogs.find(name)
    if spec is None:
        spec = new_spec(name, **options)
        if load_encoder:
            spec = replace(spec, weights=checked_spec(spec.weights))
            spec = replace(spec, fingerprint=catalogs.encoder(spec).fingerprint())
        with suppress(CatalogExists):  # another request was faster
            return catalogs.create(spec), True
        spec = catalogs.get(name).spec
    weights = options.get("weights")
    if load_encoder and weights not in (None, spec.weights):
        _check_options(spec, {**options, "weights": None})
        moved = replace(spec, weights=checked_spec(weights))
        check_fingerprint(moved, catalogs.encoder(moved).fingerprint())
        catalogs.save(moved)
    else:
        _check_options(spec, options)
    return catalogs.get(name), False


def new_spec(
    name: str,
    encoder: str | None = None,
    weights: str | None = None,
    resample: Resample | None = None,
    fingerprint: str | None = None,
    quantization: Quantization | None = None,
    features: Features | None = None,
) -> CatalogSpec:
    """The description of a new catalog; None takes the default.

    Raises `InvalidCatalog`, `EncoderUnknown`, `TooFewImages` for `tuned` features, which learn from pictures.
    """
    if features == "tuned":
        raise TooFewImages(
            f"A new catalog has no pictures that tuned features could learn from: make {name} with head features, and "
            "then run `lookalike reindex --features tuned`."
        )
    encoder = encoder or DEFAULT_ENCODER
    return CatalogSpec(
        name=checked_catalog_name(name),
        id=uuid.uuid4().hex,
        encoder=encoder,
        weights=weights or DEFAULT_WEIGHTS,
        resample=resample or DEFAULT_RESAMPLE,
        dim=dim_of(encoder, "head"),
        fingerprint=fingerprint,
        generation=uuid.uuid4().hex,
        created_at=rfc3339(datetime.now(UTC)),
        quantization=quantization or "none",
    )


def _check_options(spec: CatalogSpec, options: CatalogOptions) -> None:
    for option, wanted in options.items():
        has = getattr(spec, option)
        if wanted not in (None, has) and option == "features":
            raise EncoderMismatch(
                f"features: catalog {spec.name} has {has} ones, so it cannot take {wanted}: build a generation of them "
                f"with `lookalike reindex --features {wanted}`, or choose another catalog."
            )
        if wanted not in (None, has):
            raise EncoderMismatch(
                f"{option}: catalog {spec.name} has {has}, so it cannot take {wanted}; leave it out, or choose another "
                "catalog."
            )
