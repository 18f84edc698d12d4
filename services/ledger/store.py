"""The ledger's transitions: Lua scripts, each run whole or not at all."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

import redis

from services.errors import LedgerUnavailable
from services.ledger.format import FORMAT

_TAKES_MEMORY = ("begin", "introduce", "write")
_NAMES = (
    *_TAKES_MEMORY,
    *("claim", "discard", "drop", "expire", "extend", "give_back", "idle", "lead", "record", "register", "release_key"),
    *("settle", "wait"),
)
# Redis that is full takes in nothing more, but must let what it has be worked on: that makes room.
_ALSO_WHEN_FULL = "#!lua flags=allow-oom\n"


class Scripts:
    """The scripts of one Redis, by name. `upgrade`, called before each, brings the ledger to the current format."""

    def __init__(self, client: redis.Redis, upgrade: Callable[[], None]) -> None:
        self._upgrade = upgrade
        folder = files("services.ledger").joinpath("lua")
        common = f"local FORMAT = {FORMAT}\n" + folder.joinpath("common.lua").read_text()
        self._scripts = {
            name: client.register_script(
                ("" if name in _TAKES_MEMORY else _ALSO_WHEN_FULL) + common + folder.joinpath(f"{name}.lua").read_text()
            )
            for name in _NAMES
        }

    def run(self, name: str, *arguments: bytes | str | int) -> Any:
        """What the script answers. Raises `LedgerUnavailable`."""
        with translated():
            self._upgrade()
            return self._scripts[name](args=arguments)


@contextmanager
def translated() -> Iterator[None]:
    """Redis that cannot be reached, is loading, is full or refuses to write: `LedgerUnavailable`."""
    try:
        yield
    except (redis.ConnectionError, redis.TimeoutError) as error:
        raise LedgerUnavailable(
            f"Redis, which keeps the queue, does not answer ({type(error).__name__}); try again in a moment."
        ) from error
    except redis.ResponseError as error:
        raise LedgerUnavailable(f"Redis, which keeps the queue, refuses: {error}.") from error
