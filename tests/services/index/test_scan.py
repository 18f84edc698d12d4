"""Filters on a graph: whether products are scanned, and that what is found is what exact search finds."""

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import qdrant_edge
from hypothesis import given
from hypothesis import strategies as st

from services.descriptions import AttributeKind, Quantization
from services.index import edge_filters, edge_points, scan
from services.index.edge import EdgeIndex
from services.query.filters import parse
from services.records import Point, Vectors

Places = npt.NDArray[np.float64]
SHARES = [0.001, 0.01, 0.025, 0.1, 0.5]
CHEAP = parse({"must": {"key": "family", "range": {"lt": 0.5}}})


def counted_not() -> int:
    raise AssertionError("no estimate was needed")


@given(dim=st.integers(1, 4096), linked=st.integers(0, 10**7), passing=st.integers(0, 10**7))
def test_fewer_products_are_scanned_rather_than_more(dim: int, linked: int, passing: int) -> None:
    """Given that a number of products is scanned, I expect fewer to be, where Qdrant does not do it by itself."""
    if scan.is_scanned(dim, linked, lambda: passing):
        assert scan.is_scanned(dim, linked, lambda: passing // 2)
        assert scan.is_scanned(dim, linked, lambda: 0)
    else:
        assert not scan.is_scanned(dim, linked, lambda: 2 * passing + 1)


@pytest.mark.parametrize("dim", [4, 128, 1280, 2048])
def test_how_many_pass_is_estimated_only_where_it_decides(dim: int) -> None:
    assert not scan.is_scanned(dim, 0, counted_not)
    assert not scan.is_scanned(dim, scan.DEFAULT_KB * 1024 // (4 * dim), counted_not)
    if dim >= 128:
        assert scan.is_scanned(dim, 5_500_000 // dim, counted_not)
    assert scan.is_scanned(dim, 10**7, lambda: 1250)
    assert not scan.is_scanned(dim, 10**7, lambda: 10**7)


def test_without_a_graph_nothing_is_asked_for_and_a_small_one_is_scanned_unasked(tmp_path: Path) -> None:
    class Countless:
        """A shard that cannot count."""

        def __init__(self, shard: qdrant_edge.EdgeShard) -> None:
            self.info = shard.info

        def count(self, _: object) -> int:
            return counted_not()

    looks = np.eye(2048, dtype=np.float32)[:1400]
    with closing(EdgeIndex.open(tmp_path, 2048)) as index:
        index.upsert([Point(str(n), 1, look) for n, look in enumerate(looks)])

        def params(filtered: bool) -> qdrant_edge.SearchParams:
            passing = edge_filters.alive(CHEAP) if filtered else None
            with index._shard() as shard:
                countless: Any = Countless(shard)
                return edge_points.search_params(countless, 2048, "none", passing)

        assert (params(True).exact, params(False).exact) == (False, False)
        assert index.optimize()
        assert (params(True).exact, params(False).exact) == (True, False)


@pytest.mark.parametrize(("quantization", "threshold"), [("none", None), ("scalar", 64_000), ("turbo", 64_000)])
def test_of_compressed_vectors_qdrant_scans_more_by_itself(quantization: Quantization, threshold: int | None) -> None:
    graph = edge_points.config(4, quantization).vectors["image"].hnsw_config
    assert (graph and graph.full_scan_threshold) == threshold


def test_a_graph_of_compressed_vectors_that_scans_less_is_built_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given one as earlier versions made it."""
    with monkeypatch.context() as earlier:
        earlier.setattr(edge_points, "_graph", lambda quantization: None)
        with closing(EdgeIndex.open(tmp_path, 64, "turbo")) as index:
            index.upsert([Point(str(n), 1, look) for n, look in enumerate(np.eye(64, dtype=np.float32))])
            assert index.optimize()
            assert not index.optimize()
    with closing(EdgeIndex.open(tmp_path, 64, "turbo")) as index:
        assert len(index.search(np.eye(64, dtype=np.float32)[3], filter=CHEAP)) == 0
        assert index.optimize()
        assert not index.optimize()
        assert index.search(np.eye(64, dtype=np.float32)[3], limit=1)[0].product_id == "3"


def likes() -> tuple[Vectors, Places]:
    """Products in groups of twenty that look alike, those in families, and the place of each in that order."""
    random = np.random.default_rng(0)
    count, each, dim, families = 12_000, 20, 512, 20
    family = np.sort(random.integers(0, families, count // each))
    centers = np.maximum(random.normal(size=(count // each, dim)), 0)
    centers += np.maximum(random.normal(size=(families, dim)), 0)[family]
    group = random.permutation(np.repeat(np.arange(count // each), each))
    raw = (centers[group] + 0.25 * np.abs(random.normal(size=(count, dim)))).astype(np.float32)
    places = np.empty(count)
    places[np.argsort(group, kind="stable")] = np.arange(count) / count
    return raw / np.linalg.norm(raw, axis=1, keepdims=True), places


@pytest.mark.long
@pytest.mark.parametrize(
    ("quantization", "scans"), [("none", True), ("none", False), ("scalar", True), ("turbo", True)]
)
def test_a_filter_on_a_graph_finds_what_exact_search_finds(
    quantization: Quantization, scans: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By an attribute that goes with the look, one that does not, and one that is not indexed; few pass or many.

    Also where a walk is asked for wherever there may be one, as in a catalog that is too large to be scanned.
    """
    if not scans:
        monkeypatch.setattr(scan, "_SCANNED", 0)
    vectors, family = likes()
    serial = np.random.default_rng(1).permutation(len(vectors)) / len(vectors)
    places = {"family": family, "serial": serial, "note": family}
    with closing(EdgeIndex.open(tmp_path, vectors.shape[1], quantization)) as index:
        index.declare({"family": AttributeKind.FLOAT, "serial": AttributeKind.FLOAT})
        for start in range(0, len(vectors), 1000):
            rows = range(start, start + 1000)
            attributes = [{name: float(each[row]) for name, each in places.items()} for row in rows]
            index.upsert([Point(str(row), 1, vectors[row], 1.0, attributes[row - start]) for row in rows])
        before = recalls(index, vectors, places)
        assert index.optimize()
        after = recalls(index, vectors, places)
    assert {which: found for which, found in after.items() if found < before[which] - 0.01} == {}
    if quantization != "turbo":  # 4 bits alone lose more than that here
        assert {which: found for which, found in before.items() if found < 0.999} == {}


def recalls(index: EdgeIndex, vectors: Vectors, places: dict[str, Places]) -> dict[tuple[str, float], float]:
    """What is found with filters on each attribute, each as strict as each of `SHARES`."""
    return {
        (name, share): recall(index, vectors, name, each < share) for name, each in places.items() for share in SHARES
    }


def recall(index: EdgeIndex, vectors: Vectors, name: str, passes: npt.NDArray[np.bool_]) -> float:
    """The share of the nearest that is found, by queries that pass and by others."""
    only = parse({"must": {"key": name, "range": {"lt": float(np.mean(passes))}}})
    least = min(10, int(passes.sum()))
    queries = [*vectors[passes][:: max(1, int(passes.sum()) // 10)][:10], *vectors[~passes][:: len(vectors) // 20][:10]]
    right = 0
    for query in queries:
        scores = np.where(passes, vectors @ query, -2)
        tenth = np.partition(scores, -least)[-least]
        right += sum(scores[int(hit.product_id)] >= tenth - 1e-6 for hit in index.search(query, filter=only))
    return right / (least * len(queries))
