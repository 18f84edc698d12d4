"""The switch from an index to its copy with a search graph, as a power cut and a damaged folder see it."""

import errno
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from graphs import BUILT, COUNT, DIM, contents, shards

from services.errors import DataCorrupt, IndexUnavailable
from services.index.edge import EdgeIndex


def test_what_is_flushed_during_a_switch_is_not_taken_back_by_a_power_cut(
    edge: EdgeIndex, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flush syncs the log of the new shard; without the switch on the disk, that log is nobody's."""
    sync, flushed = os.fsync, []

    def fsync(file: int) -> None:
        name = Path(f"/proc/self/fd/{file}").readlink()
        if not flushed and name == path and (path / "current.json").exists():
            flushed.append(name)
            with ThreadPoolExecutor(1) as pool:
                pool.submit(edge.flush).result(30)
            assert flushed.count(path) == 2, "it returned, and the switch was not on the disk"
        elif threading.current_thread().name.startswith("ThreadPoolExecutor"):
            flushed.append(name)
        sync(file)

    monkeypatch.setattr(os, "fsync", fsync)
    assert edge.optimize()
    assert flushed.index(path / "shard-1" / "wal") < flushed.index(path, 1)


def test_a_switch_that_is_not_known_to_be_on_the_disk_keeps_the_old_shard_there(
    edge: EdgeIndex, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new shard answers; no flush promises anything, and no other build begins, until the switch is on the disk."""
    before, sync = contents(edge), os.fsync

    def fsync(file: int) -> None:
        if (path / "current.json").exists() and Path(f"/proc/self/fd/{file}").readlink() == path:
            raise OSError(errno.EIO, "Input/output error")
        sync(file)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fsync)
        for call in (edge.optimize, edge.flush, edge.optimize):
            with pytest.raises(IndexUnavailable, match="cannot be synced"):
                call()
    assert (contents(edge), shards(path)) == (before, ["current.json", "first", "shard-1"])
    edge.flush()
    edge.close()
    again = EdgeIndex.open(path, DIM)
    assert (contents(again), shards(path)) == (before, BUILT)
    again.close()


def test_a_shard_that_nothing_names_is_not_taken_for_a_leftover(edge: EdgeIndex, path: Path) -> None:
    """As in a copy of the folder that lacks one file: a new, empty index in its place would remove it."""
    assert edge.optimize()
    edge.close()
    (path / "current.json").rename(path / "elsewhere")
    with pytest.raises(DataCorrupt, match=r"shard-1, but no current\.json"):
        EdgeIndex.open(path, DIM)
    (path / "elsewhere").rename(path / "current.json")
    again = EdgeIndex.open(path, DIM)
    assert again.count() == COUNT
    again.close()
