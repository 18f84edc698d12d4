"""What a disk says when it is full or shut, in our words."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.errors import DataFull, DataNotWritable

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
SHUT = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


def check_space(path: Path, least: int, planned: int = 0) -> None:
    """Raises `DataFull` where writing so many bytes to the disk of `path` would leave less than `least` free.

    Before the disk is full: a memory-mapped index on a full disk ends its process (docs/decisions.md).
    """
    free = shutil.disk_usage(path).free
    if free - planned < least:
        raise DataFull(
            f"The disk of {path} has {free >> 20} MB left, less than the {least >> 20} MB of LOOKALIKE_MIN_FREE_BYTES: "
            "make room and run the same again, which goes on where this stopped."
        )


@contextmanager
def disk_errors(path: Path | str) -> Iterator[None]:
    """Around writes to `path`: raises `DataFull` or `DataNotWritable`, which name it; others pass as they are."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise DataFull(f"The disk that holds {path} is full; free some space and try again.") from error
        if error.errno in SHUT:
            raise DataNotWritable(
                f"{path} may not be written to ({error.strerror}); "
                "change its permissions or choose another folder with LOOKALIKE_DATA."
            ) from error
        raise
