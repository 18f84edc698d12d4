"""A build of a search graph that is canceled, fails or is killed leaves the index as it was, and nothing beside it."""

import errno
import itertools
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graphs import BUILT, COUNT, DIM, DURING, builders, contents, looks, shards
from harness import assert_gone
from waiting import until

from services import bootstrap, settings
from services.catalog.opening import new_spec
from services.errors import DataFull, GraphNotBuilt, IndexUnavailable
from services.failpoints import enabled
from services.index.edge import EdgeIndex
from services.index.edge_graph import SPACE, _failure
from services.records import Embedding, Point, Tombstone
from services.testing import load_stub


@pytest.mark.parametrize("call", [1, 2, 10, "building", "caught up"])
def test_a_canceled_build_leaves_nothing(edge: EdgeIndex, path: Path, call: int | str) -> None:
    before, calls, reached = contents(edge), itertools.count(1), threading.Event()

    def canceled() -> bool:
        if call == "building":
            return bool(builders(os.getpid()))
        return reached.is_set() if call == "caught up" else next(calls) == call

    def last() -> None:
        reached.set()
        edge.upsert([Point("late", 5000, looks(1)[0])])

    with enabled("graph_caught_up", last):
        assert not edge.optimize(canceled=canceled)
    assert builders(os.getpid()) == []
    late = [edge.get(["late"])[0]] if reached.is_set() else []
    assert [point.version for point in late if point] == ([5000] if late else [])
    edge.upsert([Tombstone("late", 6000, 1.0)])
    edge.purge([Tombstone("late", 6000, 1.0)])
    assert (contents(edge), shards(path)) == (before, ["first"])
    assert edge.optimize()
    assert (contents(edge), shards(path)) == (before, BUILT)


def test_what_asks_whether_it_is_canceled_may_raise(edge: EdgeIndex, path: Path) -> None:
    """As Ctrl-C does, anywhere."""

    def interrupted() -> bool:
        if builders(os.getpid()):
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        edge.optimize(canceled=interrupted)
    assert (builders(os.getpid()), shards(path)) == ([], ["first"])
    assert edge.optimize()


def killed_child() -> bool:
    for pid in builders(os.getpid()):
        os.kill(pid, signal.SIGKILL)
    return False


def test_a_child_that_is_killed_is_one_clear_error(edge: EdgeIndex, path: Path) -> None:
    before = contents(edge)
    with pytest.raises(GraphNotBuilt, match=r"ended by SIGKILL.*memory.*as it was"):
        edge.optimize(canceled=killed_child)
    assert (contents(edge), shards(path)) == (before, ["first"])
    assert edge.optimize()


def test_a_child_that_fails_says_why(edge: EdgeIndex, path: Path) -> None:
    before = contents(edge)
    with (
        enabled("graph_copied", lambda: (path / "shard-1" / "edge_config.json").write_text("{") and None),
        pytest.raises(GraphNotBuilt, match=r"not built: .*(parse|EOF).*as it was"),
    ):
        edge.optimize()
    assert (contents(edge), shards(path)) == (before, ["first"])


def test_a_full_disk_is_named(edge: EdgeIndex, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it is full, while the copy is written, and in the child."""
    before, planned = contents(edge), []

    def check_space(size: int) -> None:
        planned.append(size)
        raise DataFull("no")

    with pytest.raises(DataFull, match="no"):
        edge.optimize(check_space=check_space)
    taken = sum(each.stat().st_blocks * 512 for each in path.rglob("*") if each.is_file())
    assert planned == [SPACE * taken]

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched, pytest.raises(DataFull, match="is full"):
        patched.setattr(os, "pwrite", full)
        edge.optimize()
    assert (contents(edge), shards(path)) == (before, ["first"])
    for status, said in [
        (-signal.SIGBUS, ""),
        (1, "Exception: Service runtime error: Not enough space available for optimization, needed: 92.34 MiB"),
        (1, "OSError: No space left on device (os error 28)"),
    ]:
        assert isinstance(_failure(status, said), DataFull)


@pytest.mark.parametrize("point", ["building", *DURING])
def test_an_index_that_is_closed_ends_its_build(edge: EdgeIndex, path: Path, point: str) -> None:
    """As when its catalog is removed: I expect the folder to be nobody's when `close` has returned."""
    before, begun = contents(edge), threading.Event()

    def closing() -> None:
        if not begun.is_set():
            begun.set()
            thread.start()
        until(lambda: edge._builder._stopping.is_set())

    def canceled() -> bool:
        if point == "building" and builders(os.getpid()):
            closing()
        return False

    def close() -> None:
        edge.close()
        gone.append(shards(path))

    gone: list[list[str]] = []
    thread = threading.Thread(target=close)
    with (
        enabled(point if point != "building" else "graph_copied", closing if point != "building" else lambda: None),
        pytest.raises(IndexUnavailable, match="was closed"),
    ):
        edge.optimize(canceled=canceled)
    thread.join(30)
    assert (gone, builders(os.getpid())) == ([["first"]], [])
    with pytest.raises(IndexUnavailable, match="was closed"):
        edge.optimize()
    again = EdgeIndex.open(path, DIM)
    assert contents(again) == before
    again.close()


def test_a_catalog_that_is_removed_while_its_graph_is_built_is_gone(tmp_path: Path) -> None:
    with bootstrap.catalogs(settings.load(data=tmp_path), load=load_stub) as catalogs, ThreadPoolExecutor(1) as pool:
        catalog = catalogs.create(new_spec("shoes", "efficientnet_lite0", "random:1"))
        features = np.random.default_rng(0).normal(size=(50, catalog.spec.dim)).astype(np.float32)
        list(catalog.put_embeddings(Embedding(str(n), each) for n, each in enumerate(features)))
        began = threading.Event()

        def begun() -> bool:
            if builders(os.getpid()):
                began.set()
            return False

        building = pool.submit(catalog.optimize, begun)
        assert began.wait(60)
        catalogs.remove("shoes")
        assert (list((tmp_path / "catalogs").iterdir()), builders(os.getpid())) == ([], [])
        with pytest.raises(IndexUnavailable, match="was closed"):
            building.result(30)


BUILDER = """
import itertools, os, signal, sys, threading
from pathlib import Path
import numpy as np
from graphs import builders
from services.failpoints import GRAPH_POINTS, enable
from services.index.edge import EdgeIndex
from services.index.edge_graph_process import NICENESS
from services.records import Point

path, where = Path(sys.argv[1]), sys.argv[2]
index, calls, pace = EdgeIndex.open(path, 16), itertools.count(1), threading.Event()

def end():
    os.kill(os.getpid(), signal.SIGKILL)

def canceled():
    if where.isdecimal() and next(calls) == int(where):
        end()
    if where == "building":
        for child in builders(os.getpid()):
            # It has set up what ends it when it is nicer than this one. Then it waits for ever.
            while os.getpriority(os.PRIO_PROCESS, child) < min(os.nice(0) + NICENESS, 19):
                pass
            os.write(1, f"{-child}\\n".encode())
            end()
    return False

def write():
    look = np.eye(16, dtype=np.float32)
    for version in itertools.count(10000):
        index.upsert([Point(f"shoe {version % 400}", version, look[version % 16])])
        index.flush()
        os.write(1, f"{version}\\n".encode())
        pace.wait(0.002)

def hold():
    config = path / "shard-1" / "edge_config.json"
    config.unlink()
    os.mkfifo(config)

if where in GRAPH_POINTS:
    enable(where, end)
if where == "building":
    enable("graph_copied", hold)
threading.Thread(target=write, daemon=True).start()
index.optimize(canceled=canceled)
os.write(1, b"built\\n")
pace.wait()
"""


def killed_build(path: Path, where: str) -> int:
    """Another process writes and builds until it is killed there, and with it the one that builds the graph.

    Returns the last version that it had acknowledged."""
    support = {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", BUILDER, str(path), where]
    with subprocess.Popen(command, env=os.environ | support, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        said = [int(each) for each in process.stdout.read().split()]
    assert process.returncode == -signal.SIGKILL, where
    child = [-each for each in said if each < 0]
    assert bool(child) == (where == "building")
    assert_gone(child)
    return max(said, default=0)


@pytest.mark.parametrize(
    "where",
    [
        "building",
        "graph_prepared",
        *(
            pytest.param(each, marks=pytest.mark.long)
            for each in ("2", "30", "graph_copied", "graph_built", "graph_caught_up", "graph_switched")
        ),
    ],
)
def test_a_kill_during_a_build_loses_nothing_and_leaves_nothing(edge: EdgeIndex, path: Path, where: str) -> None:
    """A number: at that moment of those in which it asks whether it is canceled; the copying has some forty."""
    edge.close()
    last = killed_build(path, where)
    again = EdgeIndex.open(path, DIM)
    expected = {f"shoe {n}": n + 1 for n in range(COUNT)}
    expected |= {f"shoe {version % 400}": version for version in range(10_000, last + 1)}
    stored = dict(zip(expected, again.versions(list(expected)), strict=True))
    lost = {name: version for name, version in expected.items() if (stored[name] or 0) < version}
    assert lost == {}
    assert shards(path) == (BUILT if where == "graph_switched" else ["first"])
    before = contents(again)
    assert again.optimize()
    assert contents(again) == before
    assert shards(path) == ["current.json", "shard-2" if where == "graph_switched" else "shard-1"]
    again.close()
