"""What queries cost: neighbors with percentiles against what they took without, and queries of many terms.

    python bench/queries.py [--products 50000] [--queries 100] [--out FILE]

An embedded index of tuned and of head features, none of which has a graph. Every way to ask goes to both in turn, in an
order that is drawn anew each time, for a product that is drawn, too. `plain` reads the product and searches by its
vector, as neighbors did before they told percentiles. Ratios are of the medians, to `neighbors`. Vectors are random: a
scan takes the same time whatever they are. Method and caveats are in bench/README.md.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from results import keep, progress
from tuned_search import filled, never

from services.catalog.search import Searcher
from services.catalog.space import sampled
from services.descriptions import Features
from services.encoders.recipes import TUNED_DIM
from services.index.edge import EdgeIndex
from services.query.query import Query
from services.query.terms import ProductTerm, Term

WIDTHS: dict[Features, int] = {"tuned": TUNED_DIM, "head": 1280}
WARM_UP = 20
TERMS = 10

Ask = Callable[[Sequence[str]], object]
"""A way to ask, of the IDs of ten products."""


def main() -> None:
    arguments = parsed()
    with tempfile.TemporaryDirectory(prefix="lookalike-bench-") as folder, ExitStack() as stack:
        ways: dict[str, Ask] = {}
        for features, dim in WIDTHS.items():
            index = filled(Path(folder) / features, dim, arguments.products, stack)
            ways |= {f"{features}, {name}": ask for name, ask in asked(index, features).items()}
        progress("asking")
        measured(ways, arguments.products, WARM_UP, seed=1)
        seconds = measured(ways, arguments.products, arguments.queries, seed=2)
    result = summary(seconds, arguments.products, arguments.queries)
    show(result)
    keep(result, arguments.out)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--products", type=int, default=50_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--out", type=Path, help="write the result as JSON, too")
    return parser.parse_args()


def asked(index: EdgeIndex, features: Features) -> dict[str, Ask]:
    """The ways to ask an index, by name."""
    space = sampled(index, index.count(), features)
    searcher = Searcher(
        *(index, "bench"), features=features, take=never, load_encoder=never, encode=never, space=lambda: space
    )

    def plain(ids: Sequence[str]) -> object:
        [point] = index.get(ids[:1], vectors=True)
        assert point is not None and point.vector is not None
        return index.search(point.vector, exclude=ids[:1])

    def query(**more: Any) -> Ask:
        return lambda ids: searcher.answer(
            Query(
                near=tuple(Term(ProductTerm(each), weight) for each, weight in zip(ids, WEIGHTS, strict=True)), **more
            )
        )

    return {
        "plain": plain,
        "neighbors": lambda ids: searcher.by_product(ids[0]),
        "ten terms": query(),
        "ten terms, explain": query(explain=True),
        "ten terms, diversity": query(diversity=0.5),
    }


WEIGHTS = [1.0, -0.5] * (TERMS // 2)


def measured(ways: dict[str, Ask], products: int, count: int, seed: int) -> dict[str, list[float]]:
    """The seconds of each way to ask, so many times in turn."""
    random = np.random.default_rng(seed)
    found: dict[str, list[float]] = {name: [] for name in ways}
    names = [*ways]
    for _ in range(count):
        ids = [str(row) for row in random.choice(products, TERMS, replace=False)]
        for name in random.permutation(names):
            began = time.perf_counter()
            ways[name](ids)
            found[name].append(time.perf_counter() - began)
    return found


def summary(seconds: dict[str, list[float]], products: int, queries: int) -> dict[str, Any]:
    ways = {}
    for name, found in seconds.items():
        features, _, way = name.partition(", ")
        # Of each time the two were asked one after the other, so that what else the machine did is in both.
        ratios = [one / other for one, other in zip(found, seconds[f"{features}, neighbors"], strict=True)]
        ways[name] = {
            "features": features,
            "way": way,
            "p50_ms": round(1000 * statistics.median(found), 3),
            "ratio": round(statistics.median(ratios), 3),
        }
    return {"products": products, "queries": queries, "ways": [*ways.values()]}


def show(result: dict[str, Any]) -> None:
    print(f"{result['products']:,} products, {result['queries']} queries")
    for row in result["ways"]:
        name = f"{row['features']}, {row['way']}"
        print(f"{name:28} p50 {row['p50_ms']:7.2f} ms, {row['ratio']:6.2f} x neighbors")


if __name__ == "__main__":
    main()
