"""The one place that names concrete classes: settings in, working catalogs out."""

import gc
import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from services.catalog.catalog import Catalog
from services.catalog.catalogs import Catalogs, Parts
from services.catalog.registry import Registry
from services.catalog.sharing import FRESH_SECONDS, Exclusive, OwnFolder, SharedServer, Sharing
from services.descriptions import CatalogSpec, Features, Resample
from services.encoders.encoder import Encoder
from services.encoders.keras.encoder import TensorFlowEncoder
from services.encoders.keras.encoder import has_bfloat16 as has_bfloat16
from services.encoders.keras.gpus import gpus as gpus
from services.encoders.network import Patience
from services.encoders.networks import dim_of, form_of, network
from services.errors import DataCorrupt
from services.images.decoder import Decoder
from services.images.intake import Intake, Observe, nothing
from services.images.limits import Limits
from services.index.edge import EdgeIndex
from services.index.vector_index import VectorIndex
from services.ledger import Claims, Ledger, connect
from services.settings import Settings
from services.storage.disk import check_space
from services.storage.folder import DataFolder
from services.storage.media import Media

if TYPE_CHECKING:
    from services.formats import Pending
    from services.index.collections import Collections
    from services.outbound.fetcher import Fetcher
    from services.outbound.headers import HostHeaders

Load = Callable[[str, str, Resample, Settings, Features], Encoder]


def load_encoder(
    name: str, weights_spec: str, resample: Resample, settings: Settings, features: Features = "head"
) -> Encoder:
    """Raises `EncoderError`s."""
    encoder = TensorFlowEncoder(
        network(name),
        weights_spec,
        resample=resample,
        features=features,
        precision=settings.precision,
        patience=Patience(settings.download_timeout, settings.download_seconds),
    )
    # What TensorFlow is made of stays. To look at all of it again in search of garbage takes a third of a second, in
    # which nobody gets an answer.
    gc.collect()
    gc.freeze()
    return encoder


def data_folder(settings: Settings, *, create: bool = True) -> DataFolder:
    """The settings' data folder, locked for this process until it is closed.

    Raises `DataLocked`, `DataNotWritable`, `DataFull`, and `CatalogNotFound` where no folder is there nor to be made.
    """
    return DataFolder(settings.data, min_free_bytes=settings.min_free_bytes, create=create)


def catalogs(
    settings: Settings,
    *,
    create: bool = True,
    folder: DataFolder | None = None,
    load: Load = load_encoder,
    observe: Observe = nothing,
    exclusive: Exclusive = nullcontext,
    fresh_seconds: float = FRESH_SECONDS,
) -> Catalogs:
    """The catalogs of the settings' Qdrant server, to which nothing is sent yet; where no server is set, those of the
    data folder, which is locked until they are closed.

    Args:
        settings: What to open, and how.
        create: Make the data folder where it is not there.
        folder: The data folder, where the caller has it open.
        load: Makes an encoder of its name, weights, resampling, the settings and its features.
        observe: Called with the stages of every batch.
        exclusive: `Ledger.exclusive`, where other processes change the catalogs of the server, too.
        fresh_seconds: How long a description counts that was read from the server.

    Raises what `data_folder` does, and `InvalidSetting`.
    """
    # First: where it is refused, nothing has been opened.
    fetcher = _LateFetcher(settings)
    if settings.qdrant_url:
        collections = _collections(settings, exclusive)
        sharing = SharedServer(exclusive, fresh_seconds)
        intake = _intake(settings, collections, _open_media(settings), fetcher)
        return _catalogs(settings, collections, collections.index, sharing, intake, load, observe)
    own = folder or data_folder(settings, create=create)
    media = _open_media(settings)
    # The lock is ours, so nobody writes: what is unfinished belongs to a process that was killed.
    media.sweep()
    intake = _intake(settings, own, media, fetcher)
    return _catalogs(settings, own, lambda spec: _folder_index(own, spec), OwnFolder(), intake, load, observe)


def _catalogs(
    settings: Settings,
    registry: Registry,
    open_index: Callable[[CatalogSpec], VectorIndex],
    sharing: Sharing,
    intake: Intake,
    load: Load,
    observe: Observe,
) -> Catalogs:
    def open_catalog(spec: CatalogSpec, parts: Parts) -> Catalog:
        dim = dim_of(spec.encoder, spec.features)
        if spec.dim != dim:
            raise DataCorrupt(
                f"Catalog {spec.name} holds vectors of {spec.dim} numbers, and {spec.encoder} makes "
                f"{dim}: it is damaged, or not ours."
            )
        if (spec.features == "tuned") != (spec.learned is not None):
            raise DataCorrupt(
                f"Catalog {spec.name} has {spec.features} features and does not say right what they have learned: it "
                "is damaged; restore a backup."
            )
        return Catalog(
            spec,
            parts.index,
            intake,
            parts.encoder,
            form=form_of(spec),
            save=parts.save,
            describe=parts.describe,
            check_space=registry.check_space,
            batch_size=settings.batch_size,
            observe=observe,
            others=parts.others,
            versions=parts.versions,
            renew=parts.renew,
            background=parts.background,
        )

    def load_of(spec: CatalogSpec) -> Encoder:
        return load(spec.encoder, spec.weights, spec.resample, settings, spec.features)

    return Catalogs(registry, sharing, intake, open=open_catalog, open_index=open_index, load=load_of)


def _intake(settings: Settings, registry: Registry, media: Media, fetcher: "_LateFetcher") -> Intake:
    limits = Limits(settings.max_image_bytes, settings.max_image_pixels)

    def check_media_space(planned: int) -> None:
        registry.check_space(planned)
        if media.folder:
            check_space(media.folder, settings.min_free_bytes, planned)

    return Intake(
        media,
        Decoder(settings.decode_processes, settings.decode_timeout, settings.decode_memory, limits),
        fetcher,
        threads=settings.fetch_threads,
        max_bytes=settings.max_image_bytes,
        check_space=check_media_space,
    )


def _collections(settings: Settings, exclusive: Exclusive = nullcontext) -> "Collections":
    # Late: nobody needs its client where the index is in this process.
    from services.index.client import Client
    from services.index.collections import Collections

    client = Client(
        settings.qdrant_url,
        api_key=settings.qdrant_api_key.get_secret_value(),
        grpc_port=settings.qdrant_grpc_port,
        timeout=settings.qdrant_timeout,
        ca_file=settings.qdrant_ca_file,
    )
    return Collections(
        client,
        prefix=settings.qdrant_prefix,
        shards=settings.qdrant_shards,
        replicas=settings.qdrant_replicas,
        write_consistency=settings.qdrant_write_consistency,
        exclusive=exclusive,
    )


def _open_media(settings: Settings) -> Media:
    place: str | Path = settings.media if "://" in settings.media else Path(settings.media or settings.data / "media")
    if settings.qdrant_url:
        user = f"{settings.qdrant_prefix} in {settings.qdrant_url}"
    else:
        # A folder that is moved stays the same one.
        user = f"the data folder {settings.data.absolute()}" if settings.media else "the data folder that this is in"
    return Media(place, keep=settings.media_keep, user=user)


def upgrade(settings: Settings, ledger: Ledger, *, dry: bool = False) -> "list[Pending]":
    """Brings the ledger, and the catalogs of the settings' Qdrant server, to the current formats.

    A data folder is upgraded when it is opened.

    Args:
        dry: Nothing is written.

    Returns: What was done, or with `dry` what is to be done.

    Raises: `FormatTooNew`, `LedgerUnavailable`, `IndexUnavailable`.
    """
    found = [ledger.store.pending_upgrade() if dry else ledger.store.upgrade()]
    if settings.qdrant_url:
        # gRPC does not survive a fork, and `lookalike api` forks after this.
        collections = _collections(settings.model_copy(update={"qdrant_grpc_port": 0}), ledger.exclusive)
        try:
            found += collections.upgrade(dry=dry)
        finally:
            collections.close()
    return found


def ledger(settings: Settings, redis_url: str) -> Ledger:
    """The ledger in a Redis; nothing is asked of it yet."""
    return Ledger(
        connect(redis_url),
        retention=settings.job_retention,
        max_waiting=settings.max_waiting,
    )


def claims(settings: Settings, ledger: Ledger) -> Claims:
    """The claims of workers on the same Redis."""
    return Claims(ledger.store, lease=settings.lease_seconds)


class _LateFetcher:
    """A `Fetcher` that is made at the first URL, which most runs do not have.

    What the settings say of hosts is read before, once. Raises `InvalidSetting` where it is wrong.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._headers = _host_headers(settings)
        _check_hosts(settings.fetch_allow)
        self._lock = threading.Lock()
        self._made: Fetcher | None = None

    def fetch(self, url: str) -> bytes:
        with self._lock:
            if self._made is None:
                from services.outbound.fetcher import Fetcher

                self._made = Fetcher(
                    max_bytes=self._settings.max_image_bytes, allow=self._settings.fetch_allow, headers=self._headers
                )
            made = self._made
        return made.fetch(url)

    def close(self) -> None:
        with self._lock:
            if self._made:
                self._made.close()


def _check_hosts(allow: str) -> None:
    if allow:
        # Late, as above.
        from services.outbound.addresses import Allowed

        Allowed(allow)


def _host_headers(settings: Settings) -> "HostHeaders | None":
    if settings.fetch_headers_file is None:
        return None
    # Late: most services have no such file, and commands start quickly.
    from services.outbound.headers import HostHeaders

    return HostHeaders.load(settings.fetch_headers_file)


def _folder_index(folder: DataFolder, spec: CatalogSpec) -> EdgeIndex:
    vectors = folder.vectors(spec)
    # The folder of another generation is made here, and what it lacks is brought.
    is_live = folder.has_catalog(spec.name) and folder.catalog(spec.name).generation == spec.generation
    if is_live and not vectors.is_dir():
        raise DataCorrupt(f"The vectors of catalog {spec.name} are gone from {vectors}; restore them.")
    return EdgeIndex.open(vectors, spec.dim, spec.quantization)
