"""Search: the embedded index against qdrant-client's local mode and exact search in numpy, on the same vectors.

    python bench/search.py [--products 100000] [--queries 50] [--out FILE]

Real features of the demo catalog, enlarged (features.py). Every query is asked of all sides in turn, so what the
machine does meanwhile meets all of them; the ratios are those of the medians. Before that each side but local mode has
answered other queries, as a service has that has run for a while; what an index with a graph answers just after it was
opened, when its files are not mapped yet, is a row of its own. Recall@10 is the share of the ten found whose true score
is among the ten best. Method and caveats are in bench/README.md.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from features import DIM, Features, features
from results import keep, progress

from services.descriptions import AttributeKind, Quantization
from services.index.edge import EdgeIndex
from services.query.filters import parse
from services.records import Point

LIMIT = 10
COLOR = "blue"
LOCAL_QUERIES = 10
"""Local mode takes most of the time, and its times hardly differ."""
FRESH_QUERIES = 10
NAMES: dict[Quantization, str] = {"none": "exact", "turbo": "4-bit"}
GRAPHS: dict[Quantization, str] = {"none": "graph", "turbo": "graph, 4-bit"}

Search = Callable[[npt.NDArray[np.float32], bool], list[int]]
"""Gives the rows of the nearest vectors; the flag asks for those of one color."""


@dataclass
class Side:
    """What is compared: a way to search, and what was seen of it."""

    name: str
    search: Search
    seconds: dict[bool, list[float]] = field(default_factory=lambda: {False: [], True: []})
    right: dict[bool, int] = field(default_factory=lambda: {False: 0, True: 0})

    def ask(self, query: npt.NDArray[np.float32], filtered: bool, truth: npt.NDArray[np.float32]) -> None:
        started = time.perf_counter()
        rows = self.search(query, filtered)
        self.seconds[filtered].append(time.perf_counter() - started)
        tenth = np.partition(truth, -LIMIT)[-LIMIT]
        # Scores are float32, so equal ones may differ in the last digit.
        self.right[filtered] += int(sum(truth[row] >= tenth - 1e-6 for row in rows))

    def summary(self, filtered: bool) -> dict[str, float]:
        seconds = self.seconds[filtered]
        return {
            "p50_ms": round(1000 * statistics.median(seconds), 3),
            "p95_ms": round(1000 * float(np.quantile(seconds, 0.95)), 3),
            "recall_at_10": round(self.right[filtered] / (LIMIT * len(seconds)), 4),
        }


def main() -> None:
    arguments = parsed()
    progress(f"drawing and encoding what becomes {arguments.products:,} vectors")
    found = features(arguments.products, arguments.queries)
    with tempfile.TemporaryDirectory(prefix="lookalike-bench-") as folder, ExitStack() as stack:
        result = compare(found, Path(folder), stack)
    show(result)
    keep(result, arguments.out)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--products", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=50)
    parser.add_argument("--out", type=Path, help="write the result as JSON, too")
    return parser.parse_args()


def compare(found: Features, work: Path, stack: ExitStack) -> dict[str, Any]:
    """Local mode, numpy and the embedded index: exact, compressed, and with its graph built."""
    paths: dict[Quantization, Path] = {quantization: work / quantization for quantization in NAMES}
    local = ask_local_mode(found)
    indexes = {quantization: filled(found, path, quantization, stack) for quantization, path in paths.items()}
    sides = [
        Side("numpy", in_numpy(found)),
        *(Side(NAMES[quantization], embedded(index)) for quantization, index in indexes.items()),
    ]
    progress("searching")
    warm_up(found, sides)
    ask(found, sides, found.queries)
    seconds = {}
    for quantization, index in indexes.items():
        progress(f"building the graph, quantization {quantization}")
        started = time.perf_counter()
        index.optimize()
        seconds[GRAPHS[quantization]] = round(time.perf_counter() - started, 1)
        index.close()
    fresh, graphs = [], []
    for quantization, path in paths.items():
        search = embedded(opened(path, quantization, stack))
        fresh.append(Side(f"{GRAPHS[quantization]}, just opened", search))
        graphs.append(Side(GRAPHS[quantization], search))
    ask(found, fresh, found.others[:FRESH_QUERIES])
    warm_up(found, graphs)
    ask(found, graphs, found.queries)
    rows = {
        side.name: {"all": side.summary(False), "filtered": side.summary(True)}
        for side in [local, *sides, *graphs, *fresh]
    }
    for row in rows.values():
        for way in ("all", "filtered"):
            row[way]["times_local_mode"] = round(rows["local mode"][way]["p50_ms"] / row[way]["p50_ms"], 1)
    share = sum(each["color"] == COLOR for each in found.attributes) / len(found.attributes)
    return {
        "products": len(found.vectors),
        "dim": DIM,
        "queries": len(found.queries),
        "filter_passes": round(share, 3),
        "optimize_seconds": seconds,
        "sides": rows,
    }


def warm_up(found: Features, sides: Sequence[Side]) -> None:
    for side in sides:
        for query in found.others:
            side.search(query, False), side.search(query, True)


def ask_local_mode(found: Features) -> Side:
    """Local mode as it does best: alone in memory, and all queries without the filter before those with it.

    It copies all vectors for each, and what the system takes to give it so much memory varies with all else.
    """
    local = Side("local mode", local_mode(found))
    progress("searching in local mode")
    for filtered in (False, True):
        for query in found.others[:2]:
            local.search(query, filtered)
        ask(found, [local], found.queries[:LOCAL_QUERIES], ways=(filtered,))
    del local.search
    return local


def ask(
    found: Features,
    sides: Sequence[Side],
    queries: npt.NDArray[np.float32],
    ways: Sequence[bool] = (False, True),
) -> None:
    """Asks all sides each query in turn, without and with the filter."""
    is_colored = np.array([each["color"] == COLOR for each in found.attributes])
    for query in queries:
        scores = found.vectors @ query
        for filtered in ways:
            truth = np.where(is_colored, scores, -2) if filtered else scores
            for side in sides:
                side.ask(query, filtered, truth)


def filled(found: Features, path: Path, quantization: Quantization, stack: ExitStack) -> EdgeIndex:
    """An embedded index with all vectors, made as a catalog makes it."""
    progress(f"filling the index, quantization {quantization}")
    index = opened(path, quantization, stack)
    index.declare({"color": AttributeKind.KEYWORD, "price": AttributeKind.FLOAT})
    for rows in pages(len(found.vectors)):
        index.upsert([Point(str(row), row + 1, found.vectors[row], 1.0, found.attributes[row]) for row in rows])
    index.flush()
    return index


def opened(path: Path, quantization: Quantization, stack: ExitStack) -> EdgeIndex:
    index = EdgeIndex.open(path, DIM, quantization)
    stack.callback(index.close)
    return index


def embedded(index: EdgeIndex) -> Search:
    of_color = parse({"must": [{"key": "color", "match": {"value": COLOR}}]})

    def search(query: npt.NDArray[np.float32], filtered: bool) -> list[int]:
        found = index.search(query, limit=LIMIT, filter=of_color if filtered else None)
        return [int(each.product_id) for each in found]

    return search


def in_numpy(found: Features) -> Search:
    is_colored = np.array([each["color"] == COLOR for each in found.attributes])

    def search(query: npt.NDArray[np.float32], filtered: bool) -> list[int]:
        scores = found.vectors @ query
        if filtered:
            scores[~is_colored] = -2
        best = np.argpartition(scores, -LIMIT)[-LIMIT:]
        return [int(row) for row in best[np.argsort(-scores[best])]]

    return search


def local_mode(found: Features) -> Search:
    """qdrant-client without a server, as its users call it."""
    import warnings

    from qdrant_client import QdrantClient, models

    warnings.simplefilter("ignore", UserWarning)  # that it is not for so many vectors is what is measured
    progress("filling qdrant-client's local mode")
    client = QdrantClient(":memory:")
    client.create_collection("products", models.VectorParams(size=DIM, distance=models.Distance.COSINE))
    for rows in pages(len(found.vectors)):
        batch = models.Batch(
            ids=list(rows),
            vectors=found.vectors[rows.start : rows.stop].tolist(),
            payloads=[{"product_id": str(row), "attributes": dict(found.attributes[row])} for row in rows],
        )
        client.upsert("products", batch)
    match = models.FieldCondition(key="attributes.color", match=models.MatchValue(value=COLOR))

    def search(query: npt.NDArray[np.float32], filtered: bool) -> list[int]:
        answer = client.query_points(
            "products", query.tolist(), limit=LIMIT, query_filter=models.Filter(must=[match]) if filtered else None
        )
        return [int(hit.id) for hit in answer.points]

    return search


def pages(count: int) -> Iterator[range]:
    return (range(start, min(start + 1000, count)) for start in range(0, count, 1000))


def show(result: dict[str, Any]) -> None:
    print(
        f"{result['products']:,} x {result['dim']}, {result['queries']} queries, "
        f"the filter passes {result['filter_passes']:.1%}"
    )
    print(f"{'':26}{'p50 ms':>10}{'x local':>10}{'recall':>10}{'filtered':>12}{'x local':>10}{'recall':>10}")
    for name, row in result["sides"].items():
        cells = [row[way][key] for way in ("all", "filtered") for key in ("p50_ms", "times_local_mode", "recall_at_10")]
        print(
            f"{name:26}{cells[0]:10.2f}{cells[1]:10.1f}{cells[2]:10.4f}{cells[3]:12.2f}{cells[4]:10.1f}{cells[5]:10.4f}"
        )


if __name__ == "__main__":
    main()
