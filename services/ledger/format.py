"""The format number of the ledger, in the key `la:format` of its Redis."""

from collections.abc import Sequence
from typing import Any

from services.formats import Format, Migration, Pending

KEY = "la:format"


def migration(number: int, summary: str, lua: str = "") -> Migration[Any]:
    """From format `number` to the next by one script, whole or not at all, whoever else runs it at the same time.

    Also where Redis is full: what waits must be worked on, which makes room.
    """
    script = f"""#!lua flags=allow-oom
        if tonumber(redis.call('GET', '{KEY}') or 0) ~= {number} then return end
        {lua}
        redis.call('SET', '{KEY}', {number + 1})
    """
    return Migration(summary, lambda client: client.eval(script, 0))


MIGRATIONS: Sequence[Migration[Any]] = (migration(0, f"Store the format number in the key `{KEY}`."),)
FORMAT = len(MIGRATIONS)


class LedgerFormat:
    """Has a ledger upgraded before it is used, by the first process that gets to it."""

    def __init__(self, client: Any, migrations: Sequence[Migration[Any]] = MIGRATIONS) -> None:
        self._upgraded = False
        self._format = Format(
            client,
            "The ledger in Redis",
            "name another Redis in LOOKALIKE_REDIS_URL",
            migrations,
            lambda: _read(client, len(migrations)),
            lambda number: None,  # a migration's script has stored it
        )

    def pending(self) -> Pending:
        """What `upgrade` would do; nothing is written. Raises `FormatTooNew`."""
        return self._format.pending()

    def upgrade(self) -> Pending:
        """Brings the ledger to the current format and tells what was done. Raises `FormatTooNew`."""
        done = self._format.upgrade()
        self._upgraded = True
        return done

    def upgrade_once(self) -> None:
        """Does nothing where this process has upgraded it. Raises `FormatTooNew`."""
        if not self._upgraded:
            self.upgrade()


def _read(client: Any, current: int) -> int:
    """The number that is stored. A ledger without one is that of v0.1, or empty: then there is nothing to migrate, and
    introduce.lua stores the number with the first catalog."""
    number = client.get(KEY)
    if number is not None:
        return int(number)
    is_empty = next(client.scan_iter("la:version:*", count=1000), None) is None
    return current if is_empty else 0
