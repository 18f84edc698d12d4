"""Advisory locks on files (flock). The kernel releases one when its file is closed or its process ends, however."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

RETRY_SECONDS = 0.02


def try_lock(stream: IO[str], *, shared: bool = False) -> bool:
    """Locks an open file without waiting; False where someone else holds it."""
    try:
        fcntl.flock(stream, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def open_locked(path: Path, *, attempts: int = 1) -> IO[str] | None:
    """Opens a lock file, creating it where it is missing, and locks it.

    Returns:
        The open file, which holds the lock until it is closed; None where someone else holds it after the last attempt.
    """
    stream = path.open("a+")
    for attempt in range(attempts):
        if attempt:
            time.sleep(RETRY_SECONDS)
        if try_lock(stream):
            return stream
    stream.close()
    return None


@contextmanager
def locked_for_replacement(path: Path, *, create: bool = False) -> Iterator[IO[str]]:
    """Opens and locks a file that whoever holds the lock may replace by renaming another over it; waits for the lock.

    The file that is yielded is the one at `path`, also where another process replaced it during the wait.

    Raises:
        OSError: The file cannot be opened, or it is missing and `create` is False.
    """
    while True:
        stream = os.fdopen(os.open(path, os.O_RDWR | (os.O_CREAT if create else 0), 0o600), "r+")
        with stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(stream.fileno()), path.stat()):
                yield stream
                return


def write_fields(stream: IO[str], fields: dict[str, Any]) -> None:
    """Replaces what a lock file that was opened by `open_locked` says about its holder."""
    stream.truncate(0)
    stream.write(json.dumps(fields))
    stream.flush()


def read_fields(path: Path) -> dict[str, Any]:
    """What a lock file says about its holder; empty where that was killed while it wrote."""
    try:
        fields = json.loads(path.read_text())
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}
