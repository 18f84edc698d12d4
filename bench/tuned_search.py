"""Exact search of tuned features against that of head features: 128 numbers a product instead of 1,280 or 2,048.

    python bench/tuned_search.py [--products 50000] [--queries 100] [--out FILE]

An embedded index of each width with as many products, none of which has a graph. Every query goes to all in turn,
through what a catalog searches with; of tuned features also with a color weight, and ranked again. Ratios are of the
medians. Vectors are random: a scan takes the same time whatever they are. Method and caveats are in bench/README.md.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from results import keep, progress

from services.catalog.search import Searcher
from services.descriptions import Features
from services.encoders import recipes
from services.index.edge import EdgeIndex
from services.records import Neighbor, Point, Vector, Vectors

WIDTHS: dict[int, Features] = {recipes.TUNED_DIM: "tuned", 1280: "head", 2048: "head"}
WARM_UP = 50
PAGE = 1000
COLOR_WEIGHT = 3.0


@dataclass
class Side:
    """A way to search vectors of one width, and how long each query took."""

    dim: int
    search: Callable[[Vector], list[Neighbor]]
    seconds: list[float] = field(default_factory=list)

    def ask(self, query: Vector) -> None:
        began = time.perf_counter()
        self.search(query)
        self.seconds.append(time.perf_counter() - began)


def main() -> None:
    arguments = parsed()
    with tempfile.TemporaryDirectory(prefix="lookalike-bench-") as folder, ExitStack() as stack:
        indexes = {dim: filled(Path(folder) / str(dim), dim, arguments.products, stack) for dim in WIDTHS}
        sides = searches(indexes)
        progress("searching")
        ask(sides, WARM_UP, seed=1)
        for side in sides.values():
            side.seconds.clear()
        ask(sides, arguments.queries, seed=2)
    result = summary(sides, arguments.products, arguments.queries)
    show(result)
    keep(result, arguments.out)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--products", type=int, default=50_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--out", type=Path, help="write the result as JSON, too")
    return parser.parse_args()


def filled(path: Path, dim: int, count: int, stack: ExitStack) -> EdgeIndex:
    progress(f"filling an index of {count:,} x {dim}")
    index = EdgeIndex.open(path, dim)
    stack.callback(index.close)
    for at, page in pages(count, dim):
        index.upsert([Point(str(row), row + 1, vector) for row, vector in enumerate(page, at)])
        index.flush()
    return index


def pages(count: int, dim: int) -> Iterator[tuple[int, Vectors]]:
    """Vectors a page at a time, each page with the number of its first one."""
    random = np.random.default_rng(dim)
    return ((at, unit(random, min(PAGE, count - at), dim)) for at in range(0, count, PAGE))


def unit(random: np.random.Generator, count: int, dim: int) -> Vectors:
    """Random directions: (count, dim), of length one."""
    drawn = random.standard_normal((count, dim), np.float32)
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True))


def searches(indexes: dict[int, EdgeIndex]) -> dict[str, Side]:
    """By name, what is asked in turn."""
    tuned, head, wide = (searcher(index, WIDTHS[dim]).by_vector for dim, index in indexes.items())
    narrow, middle, widest = indexes
    return {
        "tuned": Side(narrow, tuned),
        f"head, {middle}": Side(middle, head),
        "tuned, color_weight": Side(narrow, partial(tuned, color_weight=COLOR_WEIGHT)),
        f"head, {widest}": Side(widest, wide),
        "tuned, rerank": Side(narrow, partial(tuned, rerank=True)),
        f"head, {middle}, rerank": Side(middle, partial(head, rerank=True)),
    }


def never(_: object = None) -> NoReturn:
    raise AssertionError("vectors are searched by, and need no encoder")


def searcher(index: EdgeIndex, features: Features) -> Searcher:
    return Searcher(index, "bench", features=features, take=never, load_encoder=never, encode=never)


def ask(sides: dict[str, Side], count: int, seed: int) -> None:
    """Asks all sides so many queries in turn: one of tuned features after one of head features, which takes its vectors
    out of the processor's cache, and which after which is drawn for each query."""
    random = np.random.default_rng(seed)
    tuned = [side for side in sides.values() if WIDTHS[side.dim] == "tuned"]
    head = [side for side in sides.values() if WIDTHS[side.dim] == "head"]
    for _ in range(count):
        queries = {dim: unit(random, 1, dim)[0] for dim in WIDTHS}
        for one, other in zip(random.permutation(len(head)), random.permutation(len(tuned)), strict=True):
            for side in (head[one], tuned[other]):
                side.ask(queries[side.dim])


def summary(sides: dict[str, Side], products: int, queries: int) -> dict[str, Any]:
    found = {name: {"p50_ms": round(1000 * statistics.median(side.seconds), 3)} for name, side in sides.items()}
    return {"products": products, "queries": queries, "sides": found}


def show(result: dict[str, Any]) -> None:
    print(f"exact search of {result['products']:,} products, {result['queries']} queries")
    tuned = result["sides"]["tuned"]["p50_ms"]
    for name, row in result["sides"].items():
        print(f"{name:20} p50 {row['p50_ms']:7.2f} ms, {row['p50_ms'] / tuned:6.2f} x tuned")


if __name__ == "__main__":
    main()
