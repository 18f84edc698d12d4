"""A whole service in threads beside the test: what `lookalike up` runs, and its lock file names it."""

import functools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from api.access.keyring import Keyring
from api.app import create_app
from api.servers.embedded import EmbeddedServer
from services import bootstrap, settings
from services.bootstrap import Load
from services.catalog.catalogs import Catalogs
from services.descriptions import Features, Resample
from services.encoders.encoder import Encoder
from services.ledger import Ledger
from services.queue.valkey import ValkeyServer
from services.settings import Settings
from workers.worker import Worker


@dataclass(frozen=True)
class Beside:
    """`working` is cleared to have changes wait."""

    url: str
    app: Flask
    catalogs: Catalogs
    ledger: Ledger
    working: threading.Event


class Kept:
    """An encoder that stays loaded when a catalog closes it: loading one takes seconds."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)

    def close(self) -> None:
        """Not yet."""


@functools.cache
def _loaded(name: str, weights: str, resample: Resample, features: Features) -> Any:
    given = settings.load(precision="float32", download_timeout=1)
    return Kept(bootstrap.load_encoder(name, weights, resample, given, features))


def load(name: str, weights: str, resample: Resample, settings: Settings, features: Features) -> Any:
    return _loaded(name, weights, resample, features)


@contextmanager
def beside(data: Path, *, keyring: Keyring | None = None, load: Load = load, **overrides: Any) -> Iterator[Beside]:
    """A service on a data folder. Encoders are real and shared by all of these, unless `load` gives others."""
    given = settings.load(data=data, decode_processes=1, **overrides)
    with capture_logs(), bootstrap.catalogs(given, load=load) as catalogs, ValkeyServer(data / "queue") as valkey:
        ledger = bootstrap.ledger(given, valkey.url)
        worker = Worker(bootstrap.claims(given, ledger), catalogs, batch_size=8, slots=1, give_up=given.give_up_seconds)
        drains = ThreadPoolExecutor(1, thread_name_prefix="drain")
        working = threading.Event()
        working.set()

        def drain() -> None:
            working.wait()
            worker.drain()

        app = create_app(
            settings=given,
            catalogs=catalogs,
            ledger=ledger,
            media=catalogs.intake.media,
            fetch=catalogs.intake.fetch,
            wake=lambda changes: drains.submit(drain),
            keyring=keyring,
            metrics=CollectorRegistry(),
        )
        server = EmbeddedServer(app, "127.0.0.1", 0, given, keyring)
        server.start()
        catalogs.registry.announce(server.url)
        try:
            yield Beside(server.url, app, catalogs, ledger, working)
        finally:
            worker.stop()
            working.set()
            drains.shutdown()
            server.hang_up()
            ledger.store.close()
