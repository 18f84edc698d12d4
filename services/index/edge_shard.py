"""The shard of an index in this process, which may be exchanged for another while calls are in progress."""

import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import qdrant_edge as qdrant

from services.errors import DataCorrupt, DataLocked, DataNotWritable, IndexUnavailable, LookalikeError


@dataclass(eq=False, slots=True)
class Shard:
    """An open shard, the folder it is in, and how many calls use it now."""

    edge: qdrant.EdgeShard
    path: Path
    calls: int = 0

    @classmethod
    def load(cls, path: Path, config: qdrant.EdgeConfig) -> "Shard":
        """Opens the shard in a folder; creates it where there is none.

        Raises `DataLocked` if it is open in another process, `DataCorrupt` if it is damaged or of another dimension,
        `DataNotWritable` if the folder cannot be written to.
        """
        with translated(lambda reason: _not_opened(path, reason)):
            return cls(qdrant.EdgeShard.load(str(path), config), path)

    def sync_log(self) -> None:
        """Makes its writes durable: the write-ahead log is replayed when it is opened."""
        sync_folder(self.path / "wal")


class LiveShard:
    """The shard that calls use. Thread-safe."""

    def __init__(self, shard: Shard) -> None:
        self._now = shard
        self._change = threading.Condition()
        self._closed = False

    @contextmanager
    def use(self) -> Iterator[Shard]:
        """Yields the shard, which stays open until the block ends, also where it is exchanged meanwhile.

        Raises `IndexUnavailable` after `close`, and for what the library says in the block.
        """
        with self._change:
            if self._closed:
                raise closed()
            shard = self._now
            shard.calls += 1
        try:
            with translated():
                yield shard
        finally:
            with self._change:
                shard.calls -= 1
                self._change.notify_all()

    def exchange(self, new: Shard) -> Shard:
        """Lets later calls use `new`; returns the shard that calls in progress may still use."""
        with self._change:
            old, self._now = self._now, new
            return old

    def retire(self, old: Shard) -> None:
        """Closes a shard that was exchanged, when no call uses it any more. It is not flushed."""
        self._wait_unused(old)
        with translated():
            old.edge.close()

    def close(self) -> None:
        """Waits for the calls in progress, flushes and closes the shard. Idempotent."""
        with self._change:
            if self._closed:
                return
            self._closed = True
        self._wait_unused(self._now)
        with translated():
            try:
                self._now.edge.flush()
            finally:
                self._now.edge.close()

    def _wait_unused(self, shard: Shard) -> None:
        # The library refuses to close a shard while another thread uses it.
        with self._change:
            self._change.wait_for(lambda: shard.calls == 0)


def closed() -> IndexUnavailable:
    return IndexUnavailable("The index was closed: its catalog was removed, or the process is shutting down.")


def sync_folder(folder: Path) -> None:
    """Syncs every file of a folder and the folder to disk; starts over if a file was renamed meanwhile.

    Raises `IndexUnavailable`, also where the folder is gone.
    """
    while True:
        try:
            for path in [*folder.iterdir(), folder]:
                file = os.open(path, os.O_RDONLY)
                try:
                    os.fsync(file)
                finally:
                    os.close(file)
            return
        except FileNotFoundError as error:
            if not folder.exists():
                raise IndexUnavailable(f"The index cannot be synced to the disk: {folder} is gone.") from error
        except OSError as error:
            raise IndexUnavailable(f"The index cannot be synced to the disk: {error.strerror}.") from error


@contextmanager
def translated(translate: Callable[[str], LookalikeError] | None = None) -> Iterator[None]:
    """Translates a bare `Exception` of the library into our error; a subclass is a bug of ours and passes."""
    try:
        yield
    except Exception as error:
        if type(error) is not Exception:
            raise
        reason = str(error)
        raise (translate or _unavailable)(reason) from error


def _unavailable(reason: str) -> LookalikeError:
    return IndexUnavailable(f"The index does not answer: {reason}.")


def _not_opened(path: Path, reason: str) -> LookalikeError:
    if "WouldBlock" in reason:
        return DataLocked(f"The index in {path} is open in another process; stop that one first.")
    if found := re.search(r"expected vector size (\d+), but got (\d+)", reason):
        return DataCorrupt(f"The index in {path} holds vectors of {found[2]} numbers, not of {found[1]}.")
    if "Permission denied" in reason or "Read-only" in reason:
        return DataNotWritable(f"The index in {path} may not be written: {reason}.")
    return DataCorrupt(f"The index in {path} cannot be opened; restore it from a backup. ({reason})")
