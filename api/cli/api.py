"""`lookalike api`: the HTTP API alone, where workers, Redis and Qdrant are elsewhere."""

import click

from api.cli.output import command, data_option
from api.servers.assembly import needed_keyring, needed_redis, upgrade_at_start
from services import settings
from services.errors import InvalidSetting


@click.command("api")
@data_option
@click.option("--host", metavar="H", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", metavar="P", type=click.IntRange(1, 65535), default=8080, show_default=True, help="Port.")
@command
def api_command(data: str | None, host: str, port: int) -> None:
    """Run the HTTP API, and nothing else, under gunicorn.

    It needs LOOKALIKE_REDIS_URL and LOOKALIKE_QDRANT_URL; `lookalike worker` does the work. Run as many as you like, of
    both. SIGTERM or Ctrl-C ends it: requests under way are answered first.
    """
    from api.servers.standalone import StandaloneServer
    from services import bootstrap
    from services.telemetry.logs import configure

    configured = settings.load(data=data)
    needed_redis(configured)
    if not configured.qdrant_url:
        raise InvalidSetting(
            "LOOKALIKE_QDRANT_URL is not set: name the Qdrant server that keeps the vectors, or run `lookalike up`, "
            "which keeps them itself."
        )
    keyring = needed_keyring(configured, host)
    configure(configured.log_format, configured.log_level)
    upgrade_at_start(configured, bootstrap.ledger(configured, configured.redis_url))
    StandaloneServer(configured, host, port, keyring).run()
