"""The one place that names concrete classes: settings in, working catalogs out."""

import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from services.catalog import Catalog, check_fingerprint
from services.data import DataFolder, checked_catalog_name
from services.encoders import efficientnet_lite0, inception_v3
from services.encoders.encoder import Encoder
from services.encoders.network import Network, Patience
from services.encoders.tensorflow import TensorFlowEncoder
from services.encoders.tensorflow import gpus as gpus
from services.encoders.tensorflow import has_bfloat16 as has_bfloat16
from services.encoders.weights import IMAGENET, checked_spec
from services.errors import CatalogExists, DataCorrupt, EncoderMismatch, EncoderUnknown
from services.images import Decoder, Limits
from services.index.edge import EdgeIndex
from services.media import Media
from services.records import CatalogSpec, Resample
from services.settings import Settings


def networks() -> dict[str, Network]:
    """Every network there is an encoder for, by name."""
    entries = [inception_v3.network(), efficientnet_lite0.network()]
    return {entry.name: entry for entry in entries}


def network(name: str) -> Network:
    """Raises `EncoderUnknown`."""
    known = networks()
    if name not in known:
        raise EncoderUnknown(f"There is no encoder {name!r}; there are {', '.join(known)}.")
    return known[name]


def load_encoder(name: str, weights_spec: str, resample: Resample, settings: Settings) -> Encoder:
    """Raises `EncoderError`s."""
    return TensorFlowEncoder(
        network(name),
        weights_spec,
        resample=resample,
        precision=settings.precision,
        patience=Patience(settings.download_timeout, settings.download_seconds),
    )


def data_folder(settings: Settings, *, create: bool = True) -> DataFolder:
    """The settings' data folder, locked.

    Raises `DataLocked`, `DataNotWritable`, `DataFull`, and `CatalogNotFound` where none is there nor to be made.
    """
    folder = DataFolder(settings.data, min_free_bytes=settings.min_free_bytes, create=create)
    # The lock is ours, so nobody writes: what is unfinished belongs to a process that was killed.
    Media(folder.media).sweep()
    return folder


def open_catalog(data: DataFolder, name: str, settings: Settings) -> Catalog:
    """An existing catalog. Its encoder is loaded when an image first needs it.

    Raises `CatalogNotFound`, `DataCorrupt`.
    """
    spec = data.catalog(name)
    if not data.vectors(spec).is_dir():
        raise DataCorrupt(f"The vectors of catalog {name} are gone from {data.vectors(spec)}; restore them.")
    return _catalog(data, spec, settings, lambda: _encoder_of(spec, settings))


def open_catalog_with(
    data: DataFolder,
    name: str,
    settings: Settings,
    *,
    encoder: str | None = None,
    weights: str | None = None,
    resample: Resample | None = None,
) -> Catalog:
    """An existing catalog, or a new one if there is none of that name; None takes what the catalog has.

    A new one is there only when its encoder could be loaded. Raises `EncoderMismatch` where a catalog exists with
    another encoder, resampling or weights, and `EncoderError`s.
    """
    if not data.has_catalog(name):
        return _new_catalog(data, name, settings, encoder or "inception_v3", weights or IMAGENET, resample or "nearest")
    spec = data.catalog(name)
    for option, wanted, is_ in (("encoder", encoder, spec.encoder), ("resample", resample, spec.resample)):
        if wanted not in (None, is_):
            raise EncoderMismatch(
                f"Catalog {name} was made with {option} {is_}, so it cannot take {option} {wanted}: leave out "
                f"--{option}, or give another --catalog."
            )
    if weights in (None, spec.weights):
        return open_catalog(data, name, settings)
    spec = replace(spec, weights=checked_spec(weights))
    loaded = _encoder_of(spec, settings)
    check_fingerprint(spec, loaded)
    data.save(spec)
    return _catalog(data, spec, settings, lambda: loaded)


def new_catalog_for_embeddings(data: DataFolder, spec: CatalogSpec, settings: Settings) -> Catalog:
    """A new, empty catalog for vectors that exist already; no encoder is loaded. Raises `CatalogExists`."""
    if data.has_catalog(spec.name):
        raise CatalogExists(f"There is a catalog {spec.name} already; give another --catalog.")
    catalog = _catalog(data, spec, settings, lambda: _encoder_of(spec, settings))
    data.save(spec)
    return catalog


def new_spec(name: str, encoder: str, weights: str, resample: Resample, fingerprint: str | None = None) -> CatalogSpec:
    """The description of a new catalog."""
    return CatalogSpec(
        name=checked_catalog_name(name),
        encoder=encoder,
        weights=weights,
        resample=resample,
        dim=network(encoder).dim,
        fingerprint=fingerprint,
        generation=uuid.uuid4().hex,
        created_at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
    )


def _new_catalog(
    data: DataFolder, name: str, settings: Settings, encoder: str, weights: str, resample: Resample
) -> Catalog:
    spec = new_spec(name, encoder, checked_spec(weights), resample)
    loaded = _encoder_of(spec, settings)
    spec = replace(spec, fingerprint=loaded.fingerprint)
    # The description comes last: a catalog is there when its vectors can be.
    catalog = _catalog(data, spec, settings, lambda: loaded)
    data.save(spec)
    return catalog


def _encoder_of(spec: CatalogSpec, settings: Settings) -> Encoder:
    return load_encoder(spec.encoder, spec.weights, spec.resample, settings)


def _catalog(data: DataFolder, spec: CatalogSpec, settings: Settings, load: Callable[[], Encoder]) -> Catalog:
    limits = Limits(settings.max_image_bytes, settings.max_image_pixels)
    return Catalog(
        spec,
        EdgeIndex.open(data.vectors(spec), spec.dim),
        Media(data.media, keep=settings.media_keep),
        Decoder(settings.decode_processes, settings.decode_timeout, settings.decode_memory, limits),
        input_size=network(spec.encoder).size,
        encoder=load,
        save=data.save,
        check_space=data.check_space,
        batch_size=settings.batch_size,
        max_image_bytes=settings.max_image_bytes,
    )
