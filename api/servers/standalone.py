"""gunicorn around the HTTP API alone, as `lookalike api` runs it."""

import socket
import struct
from contextlib import ExitStack
from typing import Any

from api.servers.assembly import LONGEST_HEADER, LOOPBACK, THREADS, assembled
from services.settings import Settings

REQUEST_SECONDS = 60
"""Without a sign of life for so long, the process that answers is started anew. Requests may take longer."""
FINISH_SECONDS = 15
"""How long requests under way may take to end after SIGTERM."""
SILENT_SECONDS = 10
"""How long a caller may send nothing in the middle of a request: it keeps one of the threads for so long."""


def serve(configured: Settings, host: str, port: int, keyring: Any) -> None:
    """Serves until a signal ends it."""
    from gunicorn.app.base import BaseApplication

    class Api(BaseApplication):  # type: ignore[misc]
        def load_config(self) -> None:
            for name, value in _gunicorn(host, port).items():
                self.cfg.set(name, value)
            self.cfg.set("when_ready", _cut_silence)
            self.cfg.set("worker_exit", lambda server, worker: closing.close())

        def load(self) -> Any:
            # In the process that answers, after it was forked: nothing of it may be older.
            from api.servers.refusals import told_by_gunicorn
            from services import bootstrap
            from services.telemetry.metrics import Metrics

            told_by_gunicorn()
            metrics = Metrics()
            ledger = bootstrap.ledger(configured, configured.redis_url)
            catalogs = closing.enter_context(
                bootstrap.catalogs(configured, observe=metrics.observe, exclusive=ledger.exclusive)
            )
            metrics.watch(ledger)
            return assembled(
                configured,
                closing,
                redis_url=configured.redis_url,
                catalogs=catalogs,
                ledger=ledger,
                metrics=metrics,
                keyring=keyring,
            )

    closing = ExitStack()
    Api().run()


def _cut_silence(arbiter: Any) -> None:
    """Gunicorn has no such limit. Linux gives what a listening socket has to those that it accepts."""
    for listener in arbiter.LISTENERS:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", SILENT_SECONDS, 0))


def _gunicorn(host: str, port: int) -> dict[str, Any]:
    """One process of many threads: an encoder and the places for those who wait are one process's. Scale by processes
    of this command."""
    return {
        "bind": [f"[{host}]:{port}" if ":" in host else f"{host}:{port}"],
        "proc_name": "lookalike api",
        "workers": 1,
        "worker_class": "gthread",
        "threads": THREADS,
        "timeout": REQUEST_SECONDS,
        "graceful_timeout": FINISH_SECONDS,
        "keepalive": 75,
        "limit_request_line": 8190,
        "limit_request_field_size": LONGEST_HEADER,
        "forwarded_allow_ips": ",".join(LOOPBACK[:2]),
        "loglevel": "warning",
        "control_socket_disable": True,
    }
