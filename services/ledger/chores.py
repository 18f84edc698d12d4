"""What upkeep does to the ledger: claims of dead workers, jobs that were never committed, removals that stopped."""

from collections.abc import Callable, Iterator

from services.ledger import payload, removal
from services.ledger.store import CHUNK, Store, translated


class Chores:
    """The common chores, of which any process may do any at any time. Every call raises `LedgerUnavailable`."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def lead(self, worker: str, seconds: float) -> bool:
        """Whether this worker is the one that does upkeep for so many seconds from now."""
        return bool(self.store.run("lead", worker, int(seconds * 1000)))

    def due(self, chore: str, seconds: int) -> bool:
        """Whether a chore is to be done now: True once in so many seconds, whoever asks."""
        with translated():
            return bool(self.store.redis.set(f"la:due:{chore}", 1, nx=True, ex=seconds))

    def images(self) -> Iterator[str]:
        """The hash of each image in media that a change needs: one that has not ended, or failed and may be retried."""
        redis = self.store.redis
        with translated():
            for _, item in redis.hscan_iter("la:items", count=CHUNK):
                yield from payload.images(item)
            for key in redis.scan_iter("la:failed:*", count=CHUNK):
                for entry in redis.lrange(key, 0, -1):
                    yield from payload.images(entry)

    def oldest(self, catalog_id: str) -> int | None:
        """A version below which no change of the catalog waits, is in progress or may be retried; None where no change
        does at all."""
        redis = self.store.redis
        with translated():
            pipeline = redis.pipeline(transaction=False)
            failing = redis.zrange(f"la:failing:{catalog_id}", self.store.now(), "+inf", byscore=True)
            for number in [*redis.smembers(f"la:open:{catalog_id}"), *failing]:
                pipeline.hmget(b"la:job:" + number, "b", "low")
            found = pipeline.execute()
        # A retry keeps the versions that its changes had.
        return min((int(version) for versions in found for version in versions if version is not None), default=None)

    def expire(self, *, everything: bool = False) -> int:
        """Requeues the changes of claims whose lease is over.

        Args:
            everything: Ends all claims, whatever their lease, because no worker is alive.

        Returns:
            How many claims ended.
        """
        count = 0
        while expired := self.store.run("expire", int(everything)):
            count += len(expired)
        return count

    def reap(self, seconds: float) -> int:
        """Forgets jobs of which nothing has been received for so many seconds; returns how many."""
        silent = self._before("la:receiving", seconds)
        for number in silent:
            removal.discard(self.store, number)
        return len(silent)

    def resume_drops(self, seconds: float, is_there: Callable[[str], bool]) -> None:
        """Ends removals of catalogs that began so many seconds ago, because the process that began them has died.

        Args:
            seconds: The age from which on a removal counts as abandoned.
            is_there: Whether the catalog of an ID exists. If so, it accepts changes again; if not, it is forgotten.
        """
        for catalog_id in map(bytes.decode, self._before("la:dropping", seconds)):
            if is_there(catalog_id):
                removal.restore(self.store, catalog_id)
            else:
                removal.drop(self.store, catalog_id)

    def _before(self, key: str, seconds: float) -> list[bytes]:
        """The members of a sorted set whose time is so many seconds ago."""
        with translated():
            latest = self.store.now() - int(seconds * 1000)
            return list(self.store.redis.zrange(key, "-inf", latest, byscore=True))
