"""`lookalike up`: the whole service in one process."""

import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click
import structlog

from api.cli.output import command, data_option, stdout
from api.servers.assembly import assembled, needed_keyring, own_redis, upgrade_at_start
from services import settings
from services.errors import LookalikeError
from services.settings import Settings

if TYPE_CHECKING:
    from api.servers.embedded import EmbeddedServer
    from services.catalog.catalogs import Catalogs

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
    from api.servers.embedded import EmbeddedServer
    from services import bootstrap
    from services.ledger import Chores
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
        upgrade_at_start(configured, ledger)
        chores = Chores(ledger.store)
        if not configured.redis_url:
            chores.expire(everything=True)  # the data folder is ours, so whoever held claims is dead
        metrics.watch(ledger)
        worker = Worker.configured(configured, bootstrap.claims(configured, ledger), catalogs)
        app = assembled(
            configured, stack, redis_url=redis_url, catalogs=catalogs, ledger=ledger, metrics=metrics, keyring=keyring
        )
        server = EmbeddedServer(app, host, port, configured, keyring)
        stack.callback(server.hang_up)
        server.start()
        folder.announce(server.url)
        if encoder:
            _load_encoder(catalogs, encoder)
        loader = DemoLoader(server, configured, needs_key=keyring is not None) if demo else None

        def ready() -> None:
            stdout().print(f"Lookalike is ready: {server.url}   (Ctrl-C stops it)", soft_wrap=True)
            if loader:
                loader.start()
                stack.callback(loader.stop)

        run(worker, chores, catalogs, configured, redis_url, ready=ready, leave=stack.close)


def _load_encoder(catalogs: "Catalogs", encoder: str) -> None:
    """Begins to load an encoder, in a thread."""
    from services.catalog.opening import new_spec

    spec = new_spec("warm", encoder)

    def load() -> None:
        try:
            catalogs.encoder(spec).fingerprint()
        except LookalikeError as error:
            log.error("the encoder could not be loaded", encoder=encoder, code=error.code, reason=str(error))

    threading.Thread(target=load, name="warm", daemon=True).start()


class DemoLoader:
    """Loads the demo catalog through the service's own API, in a thread."""

    def __init__(self, server: "EmbeddedServer", configured: Settings, *, needs_key: bool) -> None:
        from api.client.catalogs import RemoteCatalogs

        self._server = server
        self._catalogs = RemoteCatalogs(server.url, configured)
        self._needs_key = needs_key
        self._thread = threading.Thread(target=self._load, name="demo", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> None:
        """Ends it early; the next start continues."""
        self._catalogs.hurry()
        self._server.hang_up()
        # Its progress bar must be gone before the terminal belongs to another program.
        self._thread.join(LOADER_SECONDS)

    def _load(self) -> None:
        from api.cli.demo import load_into

        with self._catalogs:
            try:
                load_into(self._catalogs, needs_key=self._needs_key)
            except LookalikeError as error:
                if not self._server.hung_up:
                    log.error("the demo catalog could not be loaded", code=error.code, reason=str(error))
