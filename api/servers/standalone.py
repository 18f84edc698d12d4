"""gunicorn around the HTTP API alone, as `lookalike api` runs it."""

import socket
import struct
from contextlib import ExitStack
from typing import Any

from gunicorn import util
from gunicorn.app.base import BaseApplication

from api.access.keyring import Keyring
from api.responses.problems import MEDIA_TYPE
from api.servers.assembly import LONGEST_HEADER, LOOPBACK, THREADS, assembled
from api.servers.refusals import refusal
from services.settings import Settings

REQUEST_SECONDS = 60
"""Without a sign of life for so long, the process that answers is started anew. Requests may take longer."""
FINISH_SECONDS = 15
"""How long requests in progress may take to end after SIGTERM."""
SILENT_SECONDS = 10
"""How long a caller may send nothing in the middle of a request: it keeps one of the threads for so long."""


class StandaloneServer(BaseApplication):  # type: ignore[misc]
    """Serves the API of a service whose queue, index and workers are elsewhere; `run` returns when a signal ends it."""

    def __init__(self, configured: Settings, host: str, port: int, keyring: Keyring | None) -> None:
        self._configured = configured
        self._address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._keyring = keyring
        self._stack = ExitStack()
        super().__init__()

    def load_config(self) -> None:
        """Called by gunicorn.

        One process of many threads: an encoder, and the places for requests that wait, belong to one process. Scale by
        running several of this command.
        """
        options = {
            "bind": [self._address],
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
            "when_ready": limit_silence,
            "worker_exit": self._exit,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Called by gunicorn in the process that answers, after it was forked: nothing of the app may be older."""
        from services import bootstrap
        from services.telemetry.metrics import Metrics

        refuse_with_problems()
        metrics = Metrics()
        ledger = bootstrap.ledger(self._configured, self._configured.redis_url)
        catalogs = self._stack.enter_context(
            bootstrap.catalogs(self._configured, observe=metrics.observe, exclusive=ledger.exclusive)
        )
        metrics.watch(ledger)
        return assembled(
            self._configured,
            self._stack,
            redis_url=self._configured.redis_url,
            catalogs=catalogs,
            ledger=ledger,
            metrics=metrics,
            keyring=self._keyring,
        )

    def _exit(self, server: Any, worker: Any) -> None:
        self._stack.close()


def limit_silence(arbiter: Any) -> None:
    """Limits how long a caller may be silent, for which gunicorn has no option: Linux gives the timeout of a listening
    socket to the connections that it accepts."""
    for listener in arbiter.LISTENERS:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", SILENT_SECONDS, 0))


def refuse_with_problems() -> None:
    """Has gunicorn in this process answer what is no request with a problem. It has no option for that, so this puts a
    function in the place of its own."""

    def write_error(connection: Any, status: int, reason: str, why: str) -> None:
        body = refusal(status, why)
        head = f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: {MEDIA_TYPE}\r\n"
        util.write_nonblock(connection, f"{head}Content-Length: {len(body)}\r\n\r\n".encode("latin1") + body)

    util.write_error = write_error
