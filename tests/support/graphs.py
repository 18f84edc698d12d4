"""Indexes whose search graph is built, what they hold, and what is left in their folders."""

from pathlib import Path
from typing import Any

import numpy as np
from harness import children

from services.descriptions import AttributeKind
from services.errors import AttributeNotIndexed
from services.index.vector_index import VectorIndex
from services.records import Facet, Point, Tombstone, Vectors

DIM = 16
COUNT = 300
DURING = ("graph_copied", "graph_built", "graph_caught_up")
"""Points of a build at which writes do not wait."""

PARTS = {"edge_config.json", "segments", "wal"}
BUILT = ["current.json", "shard-1"]
"""`shards` after the first build."""


def looks(n: int, seed: int = 0) -> Vectors:
    raw = np.random.default_rng(seed).normal(size=(n, DIM)).astype(np.float32)
    return raw / np.linalg.norm(raw, axis=1, keepdims=True)


def points(n: int = COUNT, *, first: int = 0, version: int = 1) -> list[Point]:
    return [
        Point(f"shoe {i}", version + i, look, 2.0, {"n": i, "color": "red" if i % 2 else "blue"}, f"{i:064x}")
        for i, look in enumerate(looks(n, first + version), first)
    ]


def contents(index: VectorIndex) -> dict[str, Any]:
    """All that an index has, and what it answers."""
    found, cursor = index.scroll(limit=10_000, vectors=True)
    assert cursor is None
    products = {}
    for point in found:
        assert point.vector is not None
        products[point.product_id] = (
            point.version, point.norm, dict(point.attributes), point.image, np.asarray(point.vector).tobytes()
        )  # fmt: skip
    facets: dict[str, list[Facet]] = {}
    for attribute in ("color", "n", "size"):
        try:
            facets[attribute] = index.facets(attribute, limit=10_000)
        except AttributeNotIndexed:
            facets[attribute] = []
    removed = sorted((each.product_id, each.version, each.removed_at) for each in index.tombstones(before=1e12))
    return {"products": products, "removed": removed, "facets": facets, "newest": index.max_version()}


def filled(index: Any) -> Any:
    index.declare({"color": AttributeKind.KEYWORD})
    index.upsert(points())
    index.upsert([Tombstone(f"hat {n}", n + 1, 7.0) for n in range(20)])
    index.flush()
    return index


def shards(path: Path) -> list[str]:
    """What an index folder holds, the parts of the shard that was made first as one."""
    there = {each.name for each in path.iterdir()} - {"temp_segments"}
    if there & PARTS:
        assert there >= PARTS
    return sorted(there - PARTS | ({"first"} if there & PARTS else set()))


BUILT = ["current.json", "shard-1"]


def builders(pid: int) -> list[int]:
    """The processes that build a search graph for a process, which may have other children, too."""
    return [each for each in children(pid) if b"edge_graph_process" in _command(each)]


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""
