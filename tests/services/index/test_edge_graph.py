"""A search graph is built on a copy by another process, while the index goes on: nothing is lost."""

import itertools
import json
import os
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import qdrant_edge
from graphs import BUILT, COUNT, DIM, DURING, PARTS, contents, filled, looks, points, shards
from waiting import until

from services.descriptions import AttributeKind, Quantization
from services.errors import Conflict, DataCorrupt
from services.failpoints import enabled
from services.index.edge import EdgeIndex
from services.index.vector_index import VectorIndex
from services.records import AttributeUpdate, Graph, Point, Revision, Tombstone
from services.testing import MemoryIndex

Change = Callable[[VectorIndex], object]


def changes(start: int) -> list[Change]:
    """Every kind of write, on products that others do not touch; each changes something."""
    old = points()[start : start + 6]
    at = 1000 * (start + 1)
    purged = Tombstone(f"hat {start}", start + 1, 7.0)
    return [
        lambda index: index.upsert(points(150, first=at, version=at)),
        lambda index: index.upsert([Point(old[0].product_id, at, looks(1, at)[0], attributes={"n": at})]),
        lambda index: index.upsert([Point(old[1].product_id, 0, looks(1, at)[0])]),
        lambda index: index.update_attributes([AttributeUpdate(old[2].product_id, at, {"color": "green"})]),
        lambda index: index.revise([Revision(replace(old[5], vector=looks(1, at)[0], image="b" * 64), old[5].image)]),
        lambda index: index.upsert([Tombstone(old[3].product_id, at, 9.0)]),
        lambda index: index.upsert([Tombstone(f"scarf {start}", at, 9.0)]),
        lambda index: index.purge([Tombstone(f"scarf {start}", at, 9.0), purged]),
        lambda index: index.upsert([Tombstone(old[4].product_id, at, 8.0)]),
        lambda index: index.upsert([Point(old[4].product_id, at + 1, looks(1, at)[0], attributes={"n": 1})]),
        lambda index: index.declare({"n": AttributeKind.INTEGER} if start else {"size": AttributeKind.FLOAT}),
        # Ends the index of an attribute, the first time of one that the copy has.
        lambda index: index.upsert([Point(f"odd {start}", at + 2, looks(1, at)[0], attributes={"color": start})]),
    ]


def test_many_vectors_at_once_tell_what_a_search_of_one_takes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch takes a fraction for each of its vectors: by that a graph would not be due where searches are slow."""
    index, clock, make = filled(EdgeIndex.open(path, DIM)), itertools.count(), qdrant_edge.QueryBatchRequest
    spent = [0]

    def request(queries: list[Any]) -> Any:
        spent[0] += 8 if len(queries) == 1 else 9
        return make(queries)

    monkeypatch.setattr("services.index.edge.qdrant.QueryBatchRequest", request)
    clocks = SimpleNamespace(perf_counter=lambda: spent[0], monotonic=clock.__next__)
    monkeypatch.setattr("services.index.edge.time", clocks)
    for count in (1, 9, 30):
        assert [len(each) for each in index.search_each(looks(count, 5), limit=3)] == [3] * count
        assert index.graph().search_seconds == 8
    assert index.search_each([]) == [] and index.graph().search_seconds == 8
    index.close()


@pytest.mark.parametrize(
    ("point", "quantization"), [*zip(DURING, ("none", "turbo", "scalar"), strict=True), ("graph_caught_up", "none")]
)
def test_whatever_is_written_during_a_build_is_there(path: Path, point: str, quantization: Quantization) -> None:
    """The index in a dict is told the same, and has the same in the end."""
    edge, beside = filled(EdgeIndex.open(path, DIM, quantization)), filled(MemoryIndex(DIM))
    assert contents(edge) == contents(beside)

    def write() -> None:
        for change in changes(DURING.index(point)):
            assert change(edge) == change(beside)
        edge.flush()

    with enabled(point, write):
        assert edge.optimize()
    assert contents(edge) == contents(beside)
    for change in changes(10):
        assert change(edge) == change(beside)
    assert contents(edge) == contents(beside)
    edge.close()
    assert shards(path) == BUILT
    again = EdgeIndex.open(path, DIM, quantization)
    assert contents(again) == contents(beside)
    again.close()


def changed(index: VectorIndex, kind: str, names: list[str], version: int, seed: int) -> object:
    match kind:
        case "put":
            vectors = zip(names, looks(len(names), seed), strict=True)
            return index.upsert([Point(name, version, look, 1.0, {"n": seed}) for name, look in vectors])
        case "patch":
            return index.update_attributes([AttributeUpdate(name, version, {"n": seed}) for name in names])
    gone = [Tombstone(name, version, 1.0) for name in names]
    written = index.upsert(gone)
    if kind == "purge":
        index.purge(gone)
    return written


def test_searches_and_writes_go_on_all_the_while(edge: EdgeIndex, path: Path) -> None:
    """Given threads that write and threads that search without a pause, I expect no call to fail, each search to find
    what nobody changes, and all that was written to be there."""
    beside = filled(MemoryIndex(DIM))
    fixed = Point("fixed", 5, looks(1, 99)[0])
    for each in (edge, beside):
        each.upsert([fixed])
    assert fixed.vector is not None
    enough, progress = threading.Event(), [0] * 4

    def write(number: int) -> None:
        rng = random.Random(number)
        for turn in itertools.count():
            if enough.wait(0.002):
                return
            names = [f"shoe {n}" for n in rng.sample(range(number, COUNT, 2), 5)]
            change = (rng.choice(["put", "put", "patch", "remove", "purge"]), names, 10_000 + turn, 2 * turn + number)
            assert changed(edge, *change) == changed(beside, *change)
            edge.flush()
            progress[number] += 1

    def search(number: int) -> None:
        while not enough.wait(0.002):
            [best] = edge.search(fixed.vector, limit=1)  # type: ignore[arg-type]
            assert (best.product_id, best.score) == ("fixed", pytest.approx(1, abs=1e-5))
            progress[2 + number] += 1

    with ThreadPoolExecutor(4) as pool:
        threads = [*(pool.submit(write, n) for n in range(2)), *(pool.submit(search, n) for n in range(2))]
        try:
            for built in (1, 2):
                before = list(progress)
                assert edge.optimize()
                assert shards(path) == ["current.json", f"shard-{built}"]
                until(lambda before=before: all(map(int.__lt__, before, progress)))  # type: ignore[misc]
        finally:
            enough.set()
        for thread in threads:
            thread.result(30)
    assert contents(edge) == contents(beside)


def test_the_graph_is_used_and_says_what_it_holds(edge: EdgeIndex, path: Path) -> None:
    assert edge.graph() == Graph(COUNT, 0, None)
    queries = looks(20, 7)
    exact = [{each.product_id for each in edge.search(query)} for query in queries]
    before = edge.graph()
    assert before.search_seconds is not None and 0 < before.search_seconds < 60
    assert edge.optimize()
    assert edge.graph() == Graph(COUNT, COUNT, None)
    found = [{each.product_id for each in edge.search(query)} for query in queries]
    assert sum(len(a & b) for a, b in zip(exact, found, strict=True)) >= 0.98 * 200
    edge.upsert([Point("shoe 1", 1000, queries[0]), Tombstone("shoe 2", 1001, 1.0), *points(200, first=2000)])
    edge.update_attributes([AttributeUpdate("shoe 3", 1002, {})])
    changed = edge.graph()
    assert (changed.vectors, changed.indexed) == (COUNT + 199, COUNT - 3)
    edge.close()
    again = EdgeIndex.open(path, DIM)
    assert again.graph() == Graph(COUNT + 199, COUNT - 3, None)
    assert again.optimize()
    assert again.graph() == Graph(COUNT + 199, COUNT + 199, None)
    again.close()


def test_nothing_is_changed_where_no_graph_is_due(edge: EdgeIndex, path: Path) -> None:
    assert edge.optimize()
    before = contents(edge)
    assert not edge.optimize()
    assert (contents(edge), shards(path)) == (before, BUILT)


def test_while_the_index_is_copied_writes_wait_and_searches_go_on(path: Path) -> None:
    """The library's own flush is a write to the files, too."""
    edge, query = filled(EdgeIndex.open(path, DIM, flush_seconds=0.0)), looks(1)[0]
    calls: list[Callable[[], object]] = [
        lambda: edge.search(query),
        lambda: edge.upsert([Point("new", 5000, query)]),
        edge.flush,
    ]
    ended: list[bool] = []
    with ThreadPoolExecutor(len(calls)) as pool:

        def canceled() -> bool:
            if not ended and (path / "shard-1" / "segments").exists():
                search, *writes = [pool.submit(call) for call in calls]
                assert len(search.result(30)) == 10
                # Long enough for both, if they did not wait.
                wait(writes, 0.3)
                ended.extend(each.done() for each in writes)
            return False

        assert edge.optimize(canceled=canceled)
    assert ended == [False, False]
    assert edge.versions(["new"]) == [5000]
    edge.close()


def test_a_second_build_at_once_is_refused(edge: EdgeIndex) -> None:
    refused = []

    def again() -> None:
        with pytest.raises(Conflict, match="being built already") as error:
            edge.optimize()
        refused.append(error.value.code)

    with enabled("graph_copied", again):
        assert edge.optimize()
    assert refused == ["conflict"]


def test_a_search_in_progress_ends_on_the_shard_it_began_with(edge: EdgeIndex, path: Path) -> None:
    """I expect the old shard to be there until it has ended, and later searches not to wait for it."""
    with ThreadPoolExecutor(1) as pool:
        with edge._live.use() as old:
            building = pool.submit(edge.optimize)
            until(lambda: not building.running() or (path / "current.json").exists())
            with edge._live.use() as new:
                assert new.path == path / "shard-1"
            assert edge.count() == COUNT
            assert old.edge.info().points_count == COUNT + 20
            assert not building.done()
            assert shards(path) == ["current.json", "first", "shard-1"]
        assert building.result(30)
    assert shards(path) == BUILT


def test_all_of_the_new_shard_is_on_the_disk_before_the_switch(
    edge: EdgeIndex, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a power cut after it would lose what the old shard had."""
    inodes, unsynced, sync = set(), [], os.fsync

    def fsync(file: int) -> None:
        sync(file)
        inodes.add(os.fstat(file).st_ino)

    def prepared() -> None:
        new = [path, path / "current.json.new", path / "shard-1", *(path / "shard-1").rglob("*")]
        unsynced.extend(each for each in new if each.stat().st_ino not in inodes)
        inodes.clear()

    monkeypatch.setattr(os, "fsync", fsync)
    with (
        enabled("graph_prepared", prepared),
        enabled("graph_switched", lambda: unsynced.extend([path] if path.stat().st_ino not in inodes else [])),
    ):
        assert edge.optimize()
    assert unsynced == []


def test_a_folder_that_does_not_name_its_shard_is_no_empty_index(edge: EdgeIndex, path: Path) -> None:
    assert edge.optimize()
    edge.close()
    whole = (path / "current.json").read_text()
    assert json.loads(whole) == {"shard": "shard-1", "version": COUNT}
    for damaged in ("", "{", "[]", "{}", '{"shard": "../shard-1", "version": 1}', '{"shard": "shard-9", "version": 1}'):
        (path / "current.json").write_text(damaged)
        with pytest.raises(DataCorrupt, match=r"current\.json does not name the index"):
            EdgeIndex.open(path, DIM)
    (path / "current.json").write_text(whole)
    again = EdgeIndex.open(path, DIM)
    assert again.count() == COUNT
    again.close()


def test_the_copy_is_as_sparse_as_the_index(edge: EdgeIndex, path: Path) -> None:
    """The library makes its files large ahead: 34 MB for a few products."""
    sizes = []

    def measure() -> None:
        for shard in (path, path / "shard-1"):
            files = [each for part in PARTS for each in [shard / part, *(shard / part).rglob("*")] if each.is_file()]
            sizes.append(sum(each.stat().st_blocks * 512 for each in files))
            whole = {str(each.relative_to(shard)): each.read_bytes() for each in files}
            wholes.append(whole)

    wholes: list[dict[str, bytes]] = []
    with enabled("graph_copied", measure):
        edge.optimize(canceled=lambda: len(sizes) == 2)
    assert wholes[0] == wholes[1]
    assert sizes[1] <= 1.1 * sizes[0]
    assert sizes[0] < 10_000_000 < sum(len(each) for each in wholes[0].values())
