"""Filters on a graph: what an index whose graph is built finds and takes, against exact search of the same products.

    python bench/filters.py [--products 50000] [--vectors clustered features] [--dim 2048]
                            [--quantization none|scalar|turbo] [--queries 40] [--out FILE]

Filters let 0.1% to 50% of the products pass, by an attribute that goes with the look (whole families of products pass),
by one that has nothing to do with it, and by one that goes with the look and is not indexed. Every query is asked of
both sides in turn, and the processor time of the process is taken, so what else the machine does counts for neither.
Method and caveats are in bench/README.md.
"""

import argparse
import math
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from results import keep, progress

from services.descriptions import AttributeKind, Quantization
from services.index.edge import EdgeIndex
from services.query.filters import Filter, parse
from services.records import Point, Vectors

SHARES = (0.001, 0.01, 0.025, 0.1, 0.5)
LIMIT = 10
WAYS = ("family", "serial", "note")
"""Attributes from 0 to 1: by look, by nothing, and by look but not indexed."""
INDEXED = {"family": AttributeKind.FLOAT, "serial": AttributeKind.FLOAT}
FEW = 8
"""Queries with an attribute that is not indexed: the library reads every product for each."""
TURNS = 3
"""Times that each side is asked a query."""
ALIKE = 20
FAMILIES = 40


@dataclass(frozen=True)
class Products:
    """`vectors` (n, dim) and `queries` (q, dim), float32 of length one; `family`: each vector's place from 0 to 1 in an
    order in which products that look alike are next to each other."""

    vectors: Vectors
    family: npt.NDArray[np.float64]
    queries: Vectors


@dataclass
class Seen:
    """What was seen of one filter, query by query: processor seconds of each side, and the graph's recall."""

    exact: list[float] = field(default_factory=list)
    graph: list[float] = field(default_factory=list)
    recall: list[float] = field(default_factory=list)

    def summary(self) -> dict[str, float]:
        exact, graph = statistics.median(self.exact), statistics.median(self.graph)
        return {
            "exact_ms": round(1000 * exact, 3),
            "graph_ms": round(1000 * graph, 3),
            "ratio": round(graph / exact, 3),
            "recall_at_10": round(statistics.mean(self.recall), 4),
            "least_recall": min(self.recall),
        }


def main() -> None:
    arguments = parsed()
    result: dict[str, Any] = {"quantization": arguments.quantization, "vectors": {}}
    for kind in arguments.vectors:
        progress(f"making {arguments.products:,} vectors, {kind}")
        found = MAKERS[kind](arguments.products, arguments.dim, arguments.queries)
        with tempfile.TemporaryDirectory(prefix="lookalike-bench-") as folder, ExitStack() as stack:
            sides = built(found, Path(folder), arguments.quantization, stack)
            progress("searching")
            products, dim = found.vectors.shape
            result["vectors"][kind] = {"products": products, "dim": dim, "filters": compare(found, *sides)}
    show(result)
    keep(result, arguments.out)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--products", type=int, default=50_000)
    parser.add_argument("--vectors", nargs="+", choices=MAKERS, default=["clustered"])
    parser.add_argument("--dim", type=int, default=2048, help="of clustered vectors; features have 2,048")
    parser.add_argument("--quantization", choices=["none", "scalar", "turbo"], default="none")
    parser.add_argument("--queries", type=int, default=40)
    parser.add_argument("--out", type=Path, help="write the result as JSON, too")
    return parser.parse_args()


def clustered(count: int, dim: int, queries: int) -> Products:
    """Products in groups of `ALIKE` that look alike, the groups in families; like features, no number is negative."""
    random = np.random.default_rng(0)
    groups = count // ALIKE
    family = np.sort(random.integers(0, FAMILIES, groups))
    centers = np.maximum(random.normal(size=(groups, dim)), 0)
    centers += np.maximum(random.normal(size=(FAMILIES, dim)), 0)[family]
    # In an order of its own, or neighbors would be next to each other on the disk.
    group = random.permutation(np.repeat(np.arange(groups), ALIKE))
    vectors = np.empty((len(group), dim), np.float32)
    for rows in pages(len(group)):
        vectors[rows] = centers[group[rows]] + 0.25 * np.abs(random.normal(size=(len(rows), dim)))
    asked = centers[random.integers(0, groups, queries)] + 0.25 * np.abs(random.normal(size=(queries, dim)))
    return Products(_unit(vectors), _places(group), _unit(asked.astype(np.float32)))


def real(count: int, dim: int, queries: int) -> Products:
    """Features of the demo catalog's products (features.py); those of a category and near in price are a family."""
    from features import features

    found = features(count, queries)
    order = [f"{each['category']} {each['price']:012.2f}" for each in found.attributes]
    return Products(found.vectors, _places(np.array(order)), found.queries)


MAKERS = {"clustered": clustered, "features": real}


def _unit(vectors: Vectors) -> Vectors:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _places(keys: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """The place of each row, from 0 to 1, in the order of the keys."""
    places = np.empty(len(keys))
    places[np.argsort(keys, kind="stable")] = np.arange(len(keys)) / len(keys)
    return places


def built(found: Products, work: Path, quantization: Quantization, stack: ExitStack) -> tuple[EdgeIndex, EdgeIndex]:
    """The same products twice: in an index that searches exactly, and in one whose graph is built."""
    count, dim = found.vectors.shape
    serial = serials(count)
    sides = []
    for name in ("exact", "graph"):
        progress(f"filling the {name} index")
        index = EdgeIndex.open(work / name, dim, quantization)
        index.declare(INDEXED)
        for rows in pages(count):
            index.upsert(
                [
                    Point(str(row), row + 1, found.vectors[row], 1.0, attributes(found.family[row], serial[row]))
                    for row in rows
                ]
            )
        if name == "graph":
            progress("building the graph")
            index.optimize()
        # Opened again, as a service finds it.
        index.close()
        sides.append(EdgeIndex.open(work / name, dim, quantization))
        stack.callback(sides[-1].close)
    return sides[0], sides[1]


def serials(count: int) -> npt.NDArray[np.float64]:
    return np.random.default_rng(1).permutation(count) / count


def attributes(family: float, serial: float) -> dict[str, float]:
    return {"family": float(family), "serial": float(serial), "note": float(family)}


def compare(found: Products, exact: EdgeIndex, graph: EdgeIndex) -> dict[str, dict[str, float]]:
    """Asks both sides every query in turn, with each filter and without one."""
    rows = {}
    serial = serials(len(found.vectors))
    places = {"family": found.family, "serial": serial, "note": found.family}
    for name in WAYS:
        for share in SHARES:
            only = parse({"must": {"key": name, "range": {"lt": share}}})
            queries = found.queries[: FEW if name not in INDEXED else None]
            rows[f"{name} {share:.1%}"] = asked(found, queries, places[name] < share, only, exact, graph).summary()
    everything = np.ones(len(found.vectors), bool)
    rows["no filter"] = asked(found, found.queries, everything, None, exact, graph).summary()
    return rows


def asked(
    found: Products,
    queries: Vectors,
    passes: npt.NDArray[np.bool_],
    only: Filter | None,
    exact: EdgeIndex,
    graph: EdgeIndex,
) -> Seen:
    seen = Seen()
    passing = np.flatnonzero(passes)
    for number, query in enumerate(queries):
        if number % 2:
            # Half of the queries look like what passes: who filters by a category has one in hand.
            query = found.vectors[passing[number * 7919 % len(passing)]]
        least = dict.fromkeys(("exact", "graph"), math.inf)
        # The least of a few times: the first reads pages that were not mapped yet, any may be disturbed.
        for name, index in TURNS * (("exact", exact), ("graph", graph)):
            started = time.process_time()
            hits = index.search(query, limit=LIMIT, filter=only)
            least[name] = min(least[name], time.process_time() - started)
        seen.exact.append(least["exact"])
        seen.graph.append(least["graph"])
        scores = np.where(passes, found.vectors @ query, -2)
        wanted = min(LIMIT, len(passing))
        tenth = np.partition(scores, -wanted)[-wanted]
        # Scores are float32, so equal ones may differ in the last digit.
        right = sum(scores[int(hit.product_id)] >= tenth - 1e-6 for hit in hits)
        seen.recall.append(float(right / wanted))
    return seen


def pages(count: int) -> Iterator[range]:
    return (range(start, min(start + 1000, count)) for start in range(0, count, 1000))


def show(result: dict[str, Any]) -> None:
    for kind, found in result["vectors"].items():
        print(f"{found['products']:,} x {found['dim']}, {kind}, quantization {result['quantization']}")
        print(f"{'filter':16}{'exact ms':>10}{'graph ms':>10}{'ratio':>8}{'recall':>8}{'least':>8}")
        for name, row in found["filters"].items():
            cells = [row[key] for key in ("exact_ms", "graph_ms", "ratio", "recall_at_10", "least_recall")]
            print(f"{name:16}{cells[0]:10.3f}{cells[1]:10.3f}{cells[2]:8.2f}{cells[3]:8.4f}{cells[4]:8.2f}")


if __name__ == "__main__":
    main()
