"""waitress beside everything else, in the one process of `lookalike up`."""

import threading
from typing import Any

from api.access.keyring import Keyring
from api.servers.assembly import LONGEST_HEADER, THREADS
from services.errors import InvalidSetting
from services.settings import Settings

FORM_BYTES = 64 << 20
"""What a body may have beyond the largest that is taken: a form around an image, or a JSON array, which the app refuses
in its own words."""


def listening(app: Any, host: str, port: int, configured: Settings, keyring: "Keyring | None") -> Any:
    import waitress

    from api.access.auth import bearer
    from api.servers.refusals import told_by_waitress

    try:
        server = waitress.create_server(
            app,
            host=host,
            port=port,
            threads=THREADS,
            connection_limit=1000,
            max_request_header_size=LONGEST_HEADER,
            max_request_body_size=max(configured.max_feed_bytes, configured.max_image_bytes) + FORM_BYTES,
            recv_bytes=256 << 10,
            inbuf_overflow=256 << 10,
            ident=None,
            clear_untrusted_proxy_headers=True,
        )
    except (OSError, ValueError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InvalidSetting(
            f"{host}:{port} cannot be listened on ({reason}): take another with --port (make run PORT=8081)."
        ) from error
    told_by_waitress(server, lambda authorization: keyring is None or bearer(keyring, authorization) is not None)
    return server


def url_of(host: str, server: Any) -> str:
    listening = server.effective_listen if hasattr(server, "effective_listen") else [(host, server.effective_port)]
    port = listening[0][1]
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


def answer(server: Any, ending: threading.Event) -> None:
    try:
        server.run()
    except (OSError, ValueError):
        # Hanging up takes the sockets from under its loop.
        if not ending.is_set():
            raise


def hang_up(server: Any, ending: threading.Event) -> None:
    from waitress import wasyncore

    ending.set()
    wasyncore.close_all(server.map if hasattr(server, "map") else server._map, ignore_all=True)
