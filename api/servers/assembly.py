"""What both servers need: their Redis, the API keys, and the app over its collaborators."""

from contextlib import ExitStack
from typing import TYPE_CHECKING

import structlog

from services.errors import FormatTooNew, InvalidSetting, LookalikeError
from services.settings import Settings

if TYPE_CHECKING:
    from flask import Flask

    from api.access.keyring import Keyring
    from services.catalog.catalogs import Catalogs
    from services.ledger import Ledger
    from services.telemetry.metrics import Metrics

LOOPBACK = ("127.0.0.1", "::1", "localhost")
THREADS = 64
LONGEST_HEADER = 64 << 10

log = structlog.get_logger("api")


def needed_redis(configured: Settings) -> str:
    """The Redis that others run. Raises `InvalidSetting` where none is named."""
    from services.queue.broker import check_url

    if not configured.redis_url:
        raise InvalidSetting(
            "LOOKALIKE_REDIS_URL is not set: name the Redis that carries the queue, or run `lookalike up`, which has "
            "its own queue and worker."
        )
    check_url(configured.redis_url)
    return configured.redis_url


def own_redis(configured: Settings, stack: ExitStack) -> str:
    """The URL of the data folder's own queue, which runs until `stack` is closed; the folder must be this process's."""
    from services.queue.valkey import ValkeyServer

    return stack.enter_context(ValkeyServer(configured.data / "queue")).url


def upgrade_at_start(configured: Settings, ledger: "Ledger") -> None:
    """Upgrades what older versions wrote, before anything else is asked of it. Raises `FormatTooNew`.

    What does not answer yet, or refuses, is upgraded at its first use, and whoever uses it reports what is wrong.
    """
    from services import bootstrap

    try:
        for each in bootstrap.upgrade(configured, ledger):
            for step in each.steps:
                log.info("upgraded", place=each.place, format=each.current, step=step)
    except FormatTooNew:
        raise
    except LookalikeError as error:
        log.debug("formats are checked later", code=error.code, reason=str(error))


def needed_keyring(configured: Settings, host: str) -> "Keyring | None":
    """The API keys; none are needed on loopback. Raises `InvalidSetting`, also where settings do not go with them."""
    from api.access.entrance import Entrance
    from api.access.keyring import Keyring

    found = Keyring.load(configured.api_keys_file) if configured.api_keys_file else None
    # Before anything is started: a server would only say that its process does not.
    Entrance.of(configured, found)
    if found is None and host not in LOOPBACK:
        raise InvalidSetting(
            f"--host {host} would let everybody in: name a file of API keys in LOOKALIKE_API_KEYS_FILE (make one with "
            "`lookalike keys create NAME --scope admin`), or listen on 127.0.0.1."
        )
    return found


def assembled(
    configured: Settings,
    stack: ExitStack,
    *,
    redis_url: str,
    catalogs: "Catalogs",
    ledger: "Ledger",
    metrics: "Metrics",
    keyring: "Keyring | None",
) -> "Flask":
    """The app over these collaborators; what it needs besides them is closed with `stack`."""
    from api.app import create_app
    from api.wakeups import Wakeups
    from services.encoders.networks import check_weights
    from services.ledger import Claims

    wakeups = Wakeups(redis_url, Claims(ledger.store), configured.batch_size)
    stack.callback(wakeups.close)
    return create_app(
        settings=configured,
        catalogs=catalogs,
        ledger=ledger,
        media=catalogs.intake.media,
        fetch=catalogs.intake.fetch,
        wake=wakeups,
        keyring=keyring,
        metrics=metrics.registry,
        # Workers elsewhere may have what this machine has not.
        **({} if configured.qdrant_url else {"check_weights": check_weights}),
    )
