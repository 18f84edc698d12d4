"""waitress beside everything else, in the one process of `lookalike up`."""

import threading
from functools import partial
from typing import Any

import waitress
from waitress import wasyncore

from api.access.entrance import Entrance
from api.access.keyring import Keyring
from api.servers.assembly import LONGEST_HEADER, THREADS
from api.servers.channel import Channel
from services.errors import InvalidSetting
from services.settings import Settings

FORM_BYTES = 64 << 20
"""What a body may have beyond the largest that is taken: a form around an image, or a JSON array, which the app refuses
in its own words."""

CONNECTIONS = 1000
READ_BYTES = 256 << 10
"""Bytes that are read at once, and of a body that are kept in memory rather than in a file."""

HANG_UP_SECONDS = 5.0


class EmbeddedServer:
    """Serves an app in a thread of this process. It listens at once, and answers after `start`."""

    def __init__(self, app: Any, host: str, port: int, configured: Settings, keyring: Keyring | None) -> None:
        """Listens.

        Args:
            app: The WSGI app.
            host: The address to listen on.
            port: The port; 0 takes one that is free.
            configured: The limits of bodies.
            keyring: The keys whose holders may send bodies; None: everybody may.

        Raises:
            InvalidSetting: The address cannot be listened on.
        """
        self._host = host
        admits = Entrance.of(configured, keyring).takes_body
        # All that the server's loop waits for, by file descriptor.
        self._sockets: dict[int, Any] = {}
        self._server = _listening(app, host, port, configured, self._sockets)
        self._listeners = [each for each in self._sockets.values() if hasattr(each, "channel_class")]
        for each in self._listeners:
            each.channel_class = partial(Channel, admits=admits)
        self._thread = threading.Thread(target=self._serve, name="http", daemon=True)
        self._hung_up = threading.Event()

    @property
    def url(self) -> str:
        """Where this machine reaches it."""
        port = self._listeners[0].effective_port
        host = "127.0.0.1" if self._host in ("0.0.0.0", "::") else self._host
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def hung_up(self) -> bool:
        """Whether `hang_up` was called."""
        return self._hung_up.is_set()

    def start(self) -> None:
        """Answers requests from now on."""
        self._thread.start()

    def hang_up(self) -> None:
        """Closes all connections, and listens no more. Requests in progress get no answer. Idempotent."""
        if self._hung_up.is_set():
            return
        self._hung_up.set()
        if self._thread.is_alive():
            self._close_in_loop()
            self._thread.join(HANG_UP_SECONDS)
        wasyncore.close_all(self._sockets, ignore_all=True)
        # The idle threads end now, the others with their request.
        self._server.task_dispatcher.set_thread_count(0)

    def _close_in_loop(self) -> None:
        """Has the loop close what it waits for: done by another thread, it would take the sockets from under it."""
        pulled = threading.Event()

        def close_all() -> None:
            pulled.wait()  # the trigger is closed, too
            wasyncore.close_all(self._sockets, ignore_all=True)

        self._listeners[0].trigger.pull_trigger(close_all)
        pulled.set()

    def _serve(self) -> None:
        try:
            self._server.run()
        except (OSError, ValueError):
            # Where the loop was too busy to close them itself, `hang_up` has closed sockets that it uses.
            if not self.hung_up:
                raise


def _listening(app: Any, host: str, port: int, configured: Settings, sockets: dict[int, Any]) -> Any:
    try:
        return waitress.create_server(
            app,
            map=sockets,
            host=host,
            port=port,
            threads=THREADS,
            connection_limit=CONNECTIONS,
            max_request_header_size=LONGEST_HEADER,
            max_request_body_size=max(configured.max_feed_bytes, configured.max_image_bytes) + FORM_BYTES,
            recv_bytes=READ_BYTES,
            inbuf_overflow=READ_BYTES,
            ident=None,
            clear_untrusted_proxy_headers=True,
        )
    except (OSError, ValueError, UnicodeError) as error:
        wasyncore.close_all(sockets, ignore_all=True)
        reason = error.strerror if isinstance(error, OSError) else error
        raise InvalidSetting(
            f"{host}:{port} cannot be listened on ({reason}): take another with --port (make run PORT=8081)."
        ) from error
