"""What a disk says when it is full or shut, in our words."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.errors import DataFull, DataNotWritable

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
SHUT = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


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
