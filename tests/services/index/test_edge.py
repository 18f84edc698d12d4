"""What only an index in a folder can do wrong."""

import itertools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
import qdrant_edge

from services.descriptions import AttributeKind
from services.errors import DataCorrupt, DataLocked, DataNotWritable, IndexUnavailable
from services.index import edge_points
from services.index.edge import EdgeIndex
from services.index.edge_folder import ShardFolder
from services.index.edge_shard import Shard
from services.query.filters import parse
from services.records import AttributeUpdate, Facet, Point, Tombstone, Vectors

WRITER = """
import sys
from pathlib import Path
import numpy as np
from services.index.edge import EdgeIndex
from services.records import AttributeUpdate, Point, Tombstone

index = EdgeIndex.open(Path(sys.argv[1]), 4)
look = np.array([1, 0, 0, 0], np.float32)
for version in range(1, 301):
    index.upsert([Point(f"shoe {version}", version, look, attributes={"n": version})])
index.update_attributes([AttributeUpdate("shoe 1", 301, {"n": 0})])
index.upsert([Tombstone("shoe 2", 302, 1.0)])
index.flush()
print("flushed", flush=True)
sys.stdin.read()
"""


def looks(n: int, dim: int = 4) -> Vectors:
    raw = np.random.default_rng(n).normal(size=(n, dim)).astype(np.float32)
    return raw / np.linalg.norm(raw, axis=1, keepdims=True)


def points(n: int, dim: int = 4) -> list[Point]:
    return [
        Point(f"shoe {i}", i + 1, look, attributes={"n": i, "color": "red" if i % 2 else "blue"})
        for i, look in enumerate(looks(n, dim))
    ]


@pytest.fixture
def writer(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that has written and flushed, and still has the index open."""
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"flushed\n"
        yield process
        process.kill()


def test_everything_is_there_after_closing_and_opening_again(path: Path) -> None:
    index = EdgeIndex.open(path, 4)
    index.declare({"color": AttributeKind.KEYWORD})
    index.upsert([*points(20), Tombstone("hat", 99, 7.0)])
    written = index.get(["shoe 3", "shoe 4"], vectors=True)
    index.close()
    index.close()
    again = EdgeIndex.open(path, 4)
    assert (again.count(), again.max_version()) == (20, 99)
    assert again.facets("color") == [Facet("blue", 10), Facet("red", 10)]
    assert list(again.tombstones(before=8.0)) == [Tombstone("hat", 99, 7.0)]
    assert again.get(["shoe 3", "shoe 4"], vectors=True) == written
    assert again.upsert([points(20)[3]]) == [True]
    again.close()


def test_a_closed_index_says_so(path: Path) -> None:
    index = EdgeIndex.open(path, 4)
    index.close()
    with pytest.raises(IndexUnavailable):
        index.count()
    with pytest.raises(IndexUnavailable):
        index.upsert(points(1))


def test_closing_waits_for_a_call_under_way(path: Path) -> None:
    """Given a call that takes its time, I expect the shard to close after it: the library cannot while it is used."""
    begun, may_end, order = Event(), Event(), []

    class Slow:
        """A shard whose count takes its time."""

        def __init__(self, shard: Any) -> None:
            self._shard = shard

        def __getattr__(self, name: str) -> Any:
            return getattr(self._shard, name)

        def count(self, request: Any) -> Any:
            begun.set()
            assert may_end.wait(5)
            order.append("counted")
            return self._shard.count(request)

        def close(self) -> None:
            order.append("closed")
            self._shard.close()

    path.mkdir(parents=True)
    shard: Any = Slow(qdrant_edge.EdgeShard.load(str(path), edge_points.config(4, "none")))
    inside = EdgeIndex(ShardFolder(path), Shard(shard, path), 4, "none", 5.0)
    with ThreadPoolExecutor(2) as pool:
        counting = pool.submit(inside.count)
        assert begun.wait(5)
        closing = pool.submit(inside.close)
        time.sleep(0.05)
        assert not order
        with pytest.raises(IndexUnavailable):
            inside.count()
        may_end.set()
        assert counting.result(5) == 0
        closing.result(5)
    assert order == ["counted", "closed"]


def test_closing_under_calls_of_many_threads_ends_them(path: Path) -> None:
    """Given threads at work on every call, I expect each to end as unavailable."""
    index = EdgeIndex.open(path, 64)
    index.upsert(points(1000, 64))
    query = looks(1, 64)[0]
    calls: list[Callable[[int], object]] = [
        lambda n: index.search(query),
        lambda n: index.upsert([Point(f"hat {n}", n + 1, query)]),
        lambda n: index.update_attributes([AttributeUpdate("shoe 1", n + 3000, {"n": n})]),
        lambda n: index.scroll(limit=300, vectors=True),
        lambda n: index.count(),
        lambda n: index.flush(),
        lambda n: index.versions(["shoe 1"]),
        lambda n: list(index.tombstones(before=9.0)),
    ]

    def work(call: Callable[[int], object]) -> str:
        try:
            for number in itertools.count():
                call(number)
        except IndexUnavailable as error:
            return str(error)
        raise AssertionError

    with ThreadPoolExecutor(len(calls)) as pool:
        ends = [pool.submit(work, call) for call in calls]
        time.sleep(0.3)
        index.close()
        assert all("closed" in end.result(30) for end in ends)
    again = EdgeIndex.open(path, 64)
    assert again.count() >= 1000
    again.close()


@pytest.mark.disk
def test_a_kill_after_flush_loses_nothing(path: Path, writer: subprocess.Popen[bytes]) -> None:
    writer.kill()
    writer.wait()
    index = EdgeIndex.open(path, 4)
    assert (index.count(), index.max_version()) == (299, 302)
    assert index.get(["shoe 1", "shoe 2"]) == [Point("shoe 1", 301, attributes={"n": 0}), None]
    assert index.count(parse({"must": {"key": "n", "range": {"gte": 3}}})) == 298
    index.close()


def synced(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """The inodes that are brought to the disk from here on."""
    inodes = set()
    sync = os.fsync

    def fsync(file: int) -> None:
        sync(file)
        inodes.add(os.fstat(file).st_ino)

    monkeypatch.setattr(os, "fsync", fsync)
    return inodes


@pytest.mark.disk
def test_an_index_whose_folder_is_gone_says_so(path: Path) -> None:
    """And does not look for it for ever."""
    index = EdgeIndex.open(path, 2)
    shutil.rmtree(path)
    with pytest.raises(IndexUnavailable, match="wal is gone"):
        index.flush()
    with suppress(IndexUnavailable):
        index.close()


def test_a_power_cut_after_flush_loses_nothing(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what was synced is left: the log as it is now, beside the vectors as they were long before."""
    index = EdgeIndex.open(path, 4)
    index.upsert(points(10))
    index.close()
    left = shutil.copytree(path, tmp_path / "left")
    index = EdgeIndex.open(path, 4)
    index.flush()  # the first one syncs more
    index.upsert([Point("new", 20, looks(1)[0]), Tombstone("shoe 1", 21, 1.0)])
    index.update_attributes([AttributeUpdate("shoe 2", 22, {"color": "green"})])
    inodes = synced(monkeypatch)
    index.flush()
    assert {each.stat().st_ino for each in [path / "wal", *(path / "wal").iterdir()]} <= inodes
    without = EdgeIndex.open(shutil.copytree(left, tmp_path / "without"), 4)
    assert (without.count(), without.max_version()) == (10, 10)
    without.close()
    shutil.rmtree(left / "wal")
    shutil.copytree(path / "wal", left / "wal")
    index.close()
    again = EdgeIndex.open(left, 4)
    assert (again.count(), again.max_version()) == (10, 22)
    assert again.get(["shoe 1", "shoe 2", "new"]) == [
        None,
        Point("shoe 2", 22, attributes={"color": "green"}),
        Point("new", 20),
    ]
    again.close()


@pytest.mark.long
def test_the_log_does_not_grow_for_ever(path: Path) -> None:
    """After a while a flush takes everything out of the log: I expect nothing to be replayed from it."""
    index = EdgeIndex.open(path, 512, flush_seconds=0.0)
    sizes = []
    for start in range(0, 60_000, 10_000):
        index.upsert([Point(f"shoe {n}", n + 1, look) for n, look in enumerate(looks(10_000, 512), start)])
        index.flush()
        sizes.append(sum(each.stat().st_size for each in (path / "wal").iterdir()))
    assert sizes[-1] < 1.5 * sizes[1], "four fifths of 123 MB went through it in between"
    index.close()


@pytest.mark.disk
def test_the_first_flush_takes_everything_out_of_the_log(path: Path, tmp_path: Path) -> None:
    """Or processes that are killed young would leave each other a log that grows: I expect nothing to need it."""
    index = EdgeIndex.open(path, 4)
    index.upsert(points(10))
    index.flush()
    left = shutil.copytree(path, tmp_path / "left")
    shutil.rmtree(left / "wal")
    again = EdgeIndex.open(left, 4)
    assert (again.count(), again.max_version()) == (10, 10)
    again.close()
    index.close()


def test_a_second_process_is_told_that_the_index_is_in_use(path: Path, writer: subprocess.Popen[bytes]) -> None:
    with pytest.raises(DataLocked, match=str(path)):
        EdgeIndex.open(path, 4)
    assert writer.stdin is not None
    writer.stdin.close()
    writer.wait()
    EdgeIndex.open(path, 4).close()


def test_another_dimension_is_refused_naming_both(path: Path) -> None:
    EdgeIndex.open(path, 4).close()
    with pytest.raises(DataCorrupt, match=r"vectors of 4 numbers, not of 5"):
        EdgeIndex.open(path, 5)
    EdgeIndex.open(path, 4).close()


def test_a_damaged_index_is_no_empty_one(path: Path) -> None:
    EdgeIndex.open(path, 4).close()
    (path / "edge_config.json").write_text("{")
    with pytest.raises(DataCorrupt):
        EdgeIndex.open(path, 4)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataNotWritable, match="file/index"):
        EdgeIndex.open(tmp_path / "file" / "index", 4)


@pytest.mark.parametrize("kept", [[], ["wal"], ["segments"], ["segments", "wal"]], ids=str)
def test_what_a_crash_leaves_of_a_new_index_opens_again(path: Path, kept: list[str]) -> None:
    """Qdrant writes the configuration last, and at once; until then nothing can have been stored."""
    EdgeIndex.open(path, 4).close()
    for part in path.iterdir():
        if part.name not in kept:
            shutil.rmtree(part) if part.is_dir() else part.unlink()
    index = EdgeIndex.open(path, 4)
    assert index.upsert(points(3)) == [True] * 3
    assert (index.count(), index.max_version()) == (3, 3)
    index.close()


def test_optimizing_builds_a_graph_once_and_changes_no_answer(path: Path) -> None:
    index = EdgeIndex.open(path, 16)
    assert not index.optimize()
    index.declare({"color": AttributeKind.KEYWORD})
    index.upsert(points(500, 16))
    index.upsert([Tombstone(f"shoe {n}", 1000, 1.0) for n in range(0, 500, 50)])
    query = looks(500, 16)[7]
    before = (index.search(query), index.count(), index.facets("color"), index.scroll(limit=500))
    assert index.optimize()
    assert not index.optimize()
    assert (index.search(query), index.count(), index.facets("color"), index.scroll(limit=500)) == before
    assert index.upsert([Point("shoe 7", 7, query), Point("shoe 0", 999, query)]) == [False, False]
    assert index.update_attributes(
        [AttributeUpdate("shoe 7", 1001, {"n": -1}), AttributeUpdate("shoe 0", 1001, {})]
    ) == [True, False]
    assert index.upsert([Point("shoe 0", 1001, query), Tombstone("shoe 1", 1001, 2.0)]) == [True, True]
    index.close()
    again = EdgeIndex.open(path, 16)
    assert again.versions(["shoe 7", "shoe 0", "shoe 1"]) == [1001, 1001, 1001]
    assert {each.product_id for each in again.search(query, limit=2)} == {"shoe 0", "shoe 7"}
    assert again.count() == 490
    again.close()
