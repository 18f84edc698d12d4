"""Celery's configuration of the broker, shared by API and workers. Nothing here connects to Redis."""

from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit, urlunsplit

from services.errors import InvalidSetting

QUEUE = "lookalike"
DRAIN = "lookalike.drain"


def check_url(redis_url: str) -> None:
    """Raises `InvalidSetting` if the URL is invalid; the message omits it, since it may contain a password."""
    try:
        parts = urlsplit(redis_url)
        named = parts.path if parts.scheme == "unix" else parts.scheme in ("redis", "rediss")
        is_one = named and parts.port != 0 and _database(parts).isdecimal()
    except ValueError:
        is_one = False
    if not is_one:
        raise InvalidSetting(
            "LOOKALIKE_REDIS_URL is no URL of a Redis; it reads redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE], "
            "rediss:// for TLS, or unix://PATH[?db=DATABASE]."
        )


def broker_url(redis_url: str) -> str:
    """Converts a URL of redis-py to one of kombu, with the same database, user and TLS checks.

    kombu accepts a database only as the path (of a socket as `virtual_host`), credentials only before the host, no
    options but those of TLS, and verifies the server's certificate only if the URL asks for it.
    """
    parts = urlsplit(redis_url)
    options = dict(parse_qsl(parts.query))
    user, _, host = parts.netloc.rpartition("@")
    if not user and "password" in options:
        user = ":".join(quote(options.get(name, ""), safe="") for name in ("username", "password"))
    place = f"{user}@{host}" if user else host
    if parts.scheme == "unix":
        return f"redis+socket://{place}{parts.path}?virtual_host={_database(parts)}"
    checks = {"ssl_cert_reqs": "required"} if parts.scheme == "rediss" else {}
    checks |= {name: value for name, value in options.items() if name.startswith("ssl_")}
    return urlunsplit((parts.scheme, place, _database(parts), urlencode(checks), ""))


def _database(parts: SplitResult) -> str:
    path = "" if parts.scheme == "unix" else parts.path.strip("/")
    return dict(parse_qsl(parts.query)).get("db") or path or "0"


def celery_config(redis_url: str) -> dict[str, Any]:
    """Returns Celery's settings.

    A message only wakes a worker and may be lost or delivered twice; the work itself is in the ledger. Without
    `socket_timeout` a publisher can hang forever; the other settings redeliver within seconds what a killed worker had
    not acknowledged.
    """
    return {
        "broker_url": broker_url(redis_url),
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_transport_options": {
            "visibility_timeout": 300,
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            "unacked_mutex_expire": 30,
            "socket_timeout": 10,
            "socket_connect_timeout": 3,
            "health_check_interval": 10,
            # For publishers: upkeep sends their messages again. Consumers reconnect without limit.
            "max_retries": 0,
        },
        "task_default_queue": QUEUE,
        "task_acks_late": True,
        "task_ignore_result": True,
        "task_serializer": "json",
        "accept_content": ["json"],
        "worker_prefetch_multiplier": 1,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        # Not used, so it is disabled.
        "worker_enable_remote_control": False,
    }
