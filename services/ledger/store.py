"""The Redis that holds the ledger, and the Lua scripts that change it: each runs whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from services.errors import LedgerUnavailable
from services.formats import Pending
from services.ledger.format import FORMAT, LedgerFormat

CHUNK = 256
"""Lines or entries that one call to Redis handles, so that none takes long."""
_TAKES_MEMORY = ("begin", "begin_task", "introduce", "remove", "write")
_NAMES = (
    *_TAKES_MEMORY,
    *("claim", "claim_task", "discard", "drop", "expire", "extend", "forgo", "give_back", "lead", "record"),
    *("register", "release_key", "removal", "reserve", "settle", "spare_drains", "task", "wait"),
)
# A full Redis accepts no new changes, but workers must still be able to finish what it has: that frees memory.
_ALSO_WHEN_FULL = "#!lua flags=allow-oom\n"


class Store:
    """The connection that `Ledger`, `Claims` and `Chores` share. Calls may come from several threads.

    A ledger that an older version wrote is upgraded before the first script runs.
    """

    def __init__(self, client: redis.Redis) -> None:
        # redis-py types each answer as text or bytes; this client's are bytes.
        self.redis: Any = client
        self._format = LedgerFormat(client)
        folder = files("services.ledger").joinpath("lua")
        common = f"local FORMAT = {FORMAT}\n" + folder.joinpath("common.lua").read_text()
        self._scripts = {
            name: client.register_script(
                ("" if name in _TAKES_MEMORY else _ALSO_WHEN_FULL) + common + folder.joinpath(f"{name}.lua").read_text()
            )
            for name in _NAMES
        }

    def run(self, name: str, *arguments: bytes | str | int) -> Any:
        """Runs a script and returns its answer. Raises `LedgerUnavailable`."""
        with translated():
            self._format.upgrade_once()
            return self._scripts[name](args=arguments)

    def pending_upgrade(self) -> Pending:
        """What `upgrade` would do. Raises `FormatTooNew`, `LedgerUnavailable`."""
        with translated():
            return self._format.pending()

    def upgrade(self) -> Pending:
        """Brings a ledger that an older version wrote to the current format and reports what was done.

        The first script of a process does so, too. Raises `FormatTooNew`, `LedgerUnavailable`.
        """
        with translated():
            return self._format.upgrade()

    def now(self) -> int:
        """The time of Redis in milliseconds, which all timestamps of the ledger use. Raises errors of redis-py."""
        seconds, microseconds = self.redis.time()
        return int(seconds) * 1000 + int(microseconds) // 1000

    def close(self) -> None:
        """Closes the connections; a later call opens new ones."""
        self.redis.close()


def connect(url: str) -> Store:
    """A store whose calls succeed or fail within about a second, because a caller waits for each.

    Nothing is sent to Redis yet.
    """
    return Store(
        redis.Redis.from_url(
            url, socket_connect_timeout=0.5, socket_timeout=1.0, retry=Retry(NoBackoff(), 0), decode_responses=False
        )
    )


@contextmanager
def translated() -> Iterator[None]:
    """Raises `LedgerUnavailable` where Redis cannot be reached, is loading, is full or refuses to write."""
    try:
        yield
    except (redis.ConnectionError, redis.TimeoutError) as error:
        raise LedgerUnavailable(
            f"Redis, which keeps the queue, does not answer ({type(error).__name__}); try again in a moment."
        ) from error
    except redis.ResponseError as error:
        raise LedgerUnavailable(f"Redis, which keeps the queue, refuses: {error}.") from error
