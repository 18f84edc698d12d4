import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.errors import DataFull, DataNotWritable
from services.storage.disk import disk_errors
from services.storage.media import Media


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real disk of 1 MB."""
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"mounting a small disk is not allowed here: {done.stderr.strip()}")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_full_disk_is_named(small_disk: Path) -> None:
    with pytest.raises(DataFull, match=f"The disk that holds {small_disk} is full"), disk_errors(small_disk):
        (small_disk / "large").write_bytes(bytes(2 << 20))


def test_a_read_only_disk_is_named(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with (
        pytest.raises(DataNotWritable, match=rf"^{small_disk} may not be written to \(Read-only file system\)"),
        disk_errors(small_disk),
    ):
        (small_disk / "file").write_bytes(b"")


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.ENOSPC, DataFull),
        (errno.EDQUOT, DataFull),
        (errno.EROFS, DataNotWritable),
        (errno.EACCES, DataNotWritable),
        (errno.EPERM, DataNotWritable),
        (errno.EIO, OSError),
        (errno.ENOENT, FileNotFoundError),
    ],
)
def test_what_the_system_says_becomes_an_error_of_ours_or_stays(number: int, error: type[Exception]) -> None:
    with pytest.raises(Exception) as caught, disk_errors(Path("data")):
        raise OSError(number, os.strerror(number))
    assert type(caught.value) is error


def test_media_on_a_full_disk_leave_nothing_half_written(small_disk: Path) -> None:
    media = Media(small_disk)
    kept = media.put(bytes(400_000))
    with pytest.raises(DataFull, match=str(small_disk)):
        media.put(bytes(1_000_000))
    files = [path for path in small_disk.rglob("*") if path.is_file() and path.parent.name != "users"]
    assert [path.name for path in files] == [kept]
    assert media.get(kept) == bytes(400_000)


def test_media_on_a_read_only_disk_say_so_and_can_be_read(small_disk: Path) -> None:
    media = Media(small_disk)
    kept = media.put(b"picture")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(DataNotWritable):
        media.put(b"another")
    with pytest.raises(DataNotWritable):
        media.remove(kept)
    assert media.put(b"picture") == kept
    assert media.get(kept) == b"picture"
