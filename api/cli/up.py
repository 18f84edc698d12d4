"""`lookalike up`: the whole service in one process."""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click
import structlog

from api.cli.output import command, data_option, stdout
from api.servers.assembly import assembled, needed_keyring, own_redis
from api.servers.embedded import answer, hang_up, listening, url_of
from services import settings
from services.errors import LookalikeError
from services.settings import Settings

if TYPE_CHECKING:
    from api.client.catalogs import RemoteCatalogs

LOADER_SECONDS = 10.0

log = structlog.get_logger("api")


@click.command("up")
@data_option
@click.option("--host", metavar="H", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", metavar="P", type=click.IntRange(0, 65535), default=8080, show_default=True, help="Port.")
@click.option("--encoder", metavar="NAME", help="Load this encoder at once, not with the first image.")
@click.option("--demo", is_flag=True, help="Load the demo catalog, unless it is there; log warnings only.")
@command
def up_command(data: str | None, host: str, port: int, encoder: str | None, demo: bool) -> None:
    """Run the service: HTTP API, queue, worker and index, all in this process.

    Ctrl-C stops it. Whatever was accepted is kept, and done when it runs again.
    """
    from services.telemetry.logs import configure

    configured = settings.load(data=data)
    # Who looks at the demo looks at this terminal: a line for each request would hide what it says.
    is_quiet = demo and "log_level" not in configured.model_fields_set
    configure(configured.log_format, "warning" if is_quiet else configured.log_level)
    serve(configured, host, port, encoder=encoder, demo=demo)


def serve(configured: Settings, host: str, port: int, *, encoder: str | None = None, demo: bool = False) -> None:
    """Serves until a signal ends it. Raises `InvalidSetting`, `DataLocked`, `LedgerUnavailable`..."""
    from services import bootstrap
    from services.queue.broker import check_url
    from services.telemetry.metrics import Metrics
    from workers.app import run
    from workers.worker import Worker

    keyring = needed_keyring(configured, host)
    if configured.redis_url:
        check_url(configured.redis_url)
    metrics = Metrics()
    with ExitStack() as stack:
        folder = stack.enter_context(bootstrap.data_folder(configured))
        catalogs = stack.enter_context(bootstrap.catalogs(configured, folder=folder, observe=metrics.observe))
        redis_url = configured.redis_url or own_redis(configured, stack)
        ledger = bootstrap.ledger(configured, redis_url)
        if not configured.redis_url:
            ledger.expire(everything=True)  # the data folder is ours, so whoever held claims is dead
        metrics.watch(ledger)
        worker = Worker.configured(configured, ledger, catalogs)
        app = assembled(
            configured, stack, redis_url=redis_url, catalogs=catalogs, ledger=ledger, metrics=metrics, keyring=keyring
        )
        server = listening(app, host, port, configured, keyring)
        url = url_of(host, server)
        ending = threading.Event()
        stack.callback(hang_up, server, ending)
        threading.Thread(target=answer, args=(server, ending), name="http", daemon=True).start()
        folder.announce(url)
        if encoder:
            _warm(configured, catalogs, encoder)

        own = _client(url, configured) if demo else None

        def ready() -> None:
            stdout().print(f"Lookalike is ready: {url}   (Ctrl-C stops it)", soft_wrap=True)
            if own:
                stack.callback(_load_demo(own, server, ending, needs_key=keyring is not None))

        run(worker, catalogs, configured, redis_url, ready=ready, leave=stack.close)


def _warm(configured: Settings, catalogs: Any, encoder: str) -> None:

    from services.catalog.opening import new_spec

    spec = new_spec("warm", encoder, "imagenet", "nearest")

    def load() -> None:
        try:
            catalogs.encoder(spec).fingerprint()
        except LookalikeError as error:
            log.error("the encoder could not be loaded", encoder=encoder, code=error.code, reason=str(error))

    threading.Thread(target=load, name="warm", daemon=True).start()


def _client(url: str, configured: Settings) -> "RemoteCatalogs":
    from api.client.catalogs import RemoteCatalogs

    return RemoteCatalogs(url, configured)


def _load_demo(
    catalogs: "RemoteCatalogs", server: Any, ending: threading.Event, *, needs_key: bool
) -> Callable[[], None]:
    """Begins to load the demo catalog through the service's own API; gives what ends that."""
    from api.cli.demo import load_into

    def load() -> None:
        with catalogs:
            try:
                load_into(catalogs, needs_key=needs_key)
            except LookalikeError as error:
                if not ending.is_set():
                    log.error("the demo catalog could not be loaded", code=error.code, reason=str(error))

    def stop() -> None:
        catalogs.hurry()
        hang_up(server, ending)
        # Its progress bar must be gone before the terminal is another's.
        loader.join(LOADER_SECONDS)

    loader = threading.Thread(target=load, name="demo", daemon=True)
    loader.start()
    return stop
