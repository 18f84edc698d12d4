"""Who else may change catalogs while this process has them open, and what to do about it."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

Exclusive = Callable[[str], AbstractContextManager[object]]
"""Keeps every other process out of what has this name."""

FRESH_SECONDS = 1.0
"""How long a process may take a catalog for what it was, where others can change or remove it."""


class Sharing(Protocol):
    """How the threads of this process, and other processes, take turns at the descriptions of catalogs.

    `lock` guards what this process has open.
    """

    lock: threading.RLock

    def reading(self) -> AbstractContextManager[object]:
        """What to hold while a description is read."""

    def changing(self, name: str) -> AbstractContextManager[object]:
        """What to hold while a description is read and then changed: nobody else may do so in between."""

    def is_fresh(self, read_at: float) -> bool:
        """Whether a description that was read then (by `time.monotonic`) still counts."""


class OwnFolder:
    """`Sharing` for descriptions in a folder that this process has locked: nobody else changes them."""

    def __init__(self) -> None:
        self.lock = threading.RLock()

    def reading(self) -> AbstractContextManager[object]:
        return self.lock

    def changing(self, name: str) -> AbstractContextManager[object]:
        return self.lock

    def is_fresh(self, read_at: float) -> bool:
        return True


class SharedServer:
    """`Sharing` for descriptions on a server that several processes use.

    Args:
        exclusive: Keeps the other processes out while a description is changed.
        fresh_seconds: How long a description counts after it was read.
    """

    def __init__(self, exclusive: Exclusive, fresh_seconds: float = FRESH_SECONDS) -> None:
        self.lock = threading.RLock()
        self._exclusive = exclusive
        self._fresh_seconds = fresh_seconds

    @contextmanager
    def reading(self) -> Iterator[None]:
        # No lock: a server that hangs must not make threads wait one after the other, and a lock of this process would
        # not keep what the server answers from changing anyway.
        yield

    @contextmanager
    def changing(self, name: str) -> Iterator[None]:
        with self._exclusive(f"catalog {name}"), self.lock:
            yield

    def is_fresh(self, read_at: float) -> bool:
        return time.monotonic() - read_at < self._fresh_seconds
