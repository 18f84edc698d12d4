"""The app behind a real server, with a stub for the encoder and nobody who works.

python served.py waitress|gunicorn PORT DATA REDIS_URL
"""

import sys
import threading
from pathlib import Path
from typing import Any

from flask import Flask
from prometheus_client import CollectorRegistry

from api.app import create_app
from services import bootstrap, settings
from services.ledger import Ledger, connect
from services.storage.media import Media
from services.telemetry import logs
from services.testing import load_stub


def app(data: str, url: str) -> Flask:
    given = settings.load(data=Path(data), decode_processes=1)
    logs.configure("console", "warning")
    catalogs = bootstrap.catalogs(given, load=load_stub)
    return create_app(
        settings=given,
        catalogs=catalogs,
        ledger=Ledger(connect(url)),
        media=Media(catalogs.registry.media, keep=given.media_keep),
        fetch=lambda url: b"",
        wake=lambda changes: None,
        keyring=None,
        metrics=CollectorRegistry(),
    )


def waitress(port: int, data: str, url: str) -> None:
    from api.servers.embedded import EmbeddedServer

    server = EmbeddedServer(app(data, url), "127.0.0.1", port, settings.load(data=Path(data)), None)
    server.start()
    threading.Event().wait()


def gunicorn(port: int, data: str, url: str) -> None:
    from gunicorn.app.base import BaseApplication

    from api.servers.standalone import refuse_with_problems

    class Gunicorn(BaseApplication):
        def load_config(self) -> None:
            options: dict[str, Any] = {"bind": f"127.0.0.1:{port}", "worker_class": "gthread", "threads": 8}
            for name, value in options.items():
                self.cfg.set(name, value)

        def load(self) -> Flask:
            refuse_with_problems()
            return app(data, url)

    Gunicorn().run()


if __name__ == "__main__":
    kind, port, data, url = sys.argv[1:]
    {"waitress": waitress, "gunicorn": gunicorn}[kind](int(port), data, url)
