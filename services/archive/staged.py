"""Files that appear under their names when all of them are written, or not at all."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from services.errors import DataFull, DataNotWritable
from services.storage.disk import FULL


@contextmanager
def staged(*targets: Path) -> Iterator[list[BinaryIO]]:
    """Opens temporary files that replace the targets when the block ends without an error.

    Args:
        targets: Paths in one folder, which is created if it is missing.

    Yields:
        A stream to write to for each target, in their order.

    Raises:
        DataFull: The disk is full.
        DataNotWritable: The folder cannot be written to.
    """
    folder = targets[0].parent
    new = [target.with_name(f".{target.name}.new") for target in targets]
    with _disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with ExitStack() as stack:
                streams: list[BinaryIO] = [stack.enter_context(path.open("wb")) for path in new]
                yield streams
                for stream in streams:
                    stream.flush()
                    os.fsync(stream.fileno())
            _publish(new, targets)
        finally:
            for path in new:
                path.unlink(missing_ok=True)


def _publish(new: list[Path], targets: tuple[Path, ...]) -> None:
    # Interrupted between two renames, a folder must lack a file rather than pair a new one with an old one.
    for target in targets[1:]:
        target.unlink(missing_ok=True)
    for path, target in zip(new, targets, strict=True):
        path.replace(target)


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise DataFull(f"The disk that holds {folder} is full; free some space and try again.") from error
        raise DataNotWritable(f"{folder} cannot be written to ({error.strerror}); name another folder.") from error
