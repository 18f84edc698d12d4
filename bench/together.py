"""Pictures that are searched for at once, as refusing duplicates does, with searches one by one.

    python bench/together.py [--products 20000] [--dim 2048] [--graph] [--out FILE]

One embedded index of stub products, of which 2% are copies of the product before. Batches of 64 vectors are searched
for one by one and at once, in turn first; the 64 products are left out of each search. Method and caveats are in
bench/README.md.
"""

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from duplicates_scale import products
from results import keep, progress
from scanned import filled

from services.explore.duplicates import CANDIDATES
from services.index.edge import EdgeIndex
from services.index.vector_index import VectorIndex
from services.records import Neighbor, Point, Vector

BATCH = 64


def main() -> None:
    arguments = parsed()
    progress(f"filling an index with {arguments.products:,} products")
    points = list(products(arguments.products, arguments.dim))
    copied = [(before, each) for before, each in pairwise(points) if before.perceptual == each.perceptual]
    with filled(points) as index:
        if arguments.graph:
            progress("building the search graph")
            index.optimize()
        result = measured(index, points, copied)
    about = {"products": arguments.products, "dim": arguments.dim, "graph": arguments.graph}
    keep(about | result, arguments.out)
    print(json.dumps(about | result, indent=2))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--products", type=int, default=20_000)
    parser.add_argument("--dim", type=int, default=2048, help="numbers of a vector")
    parser.add_argument("--graph", action="store_true", help="build the search graph")
    parser.add_argument("--out", type=Path, help="write the result here, as JSON")
    return parser.parse_args()


def measured(index: EdgeIndex, points: Sequence[Point], copied: Sequence[tuple[Point, Point]]) -> dict[str, float]:
    """Milliseconds of processor time of each picture, the median of batches; and how many copies were not found."""
    took: dict[str, list[float]] = {"alone": [], "together": []}
    ways = {"alone": one_by_one, "together": at_once}
    for number in range(6):
        batch = points[number * BATCH : (number + 1) * BATCH]
        vectors, names = vectors_of(batch), [each.product_id for each in batch]
        for name in [*ways][:: 1 if number % 2 else -1]:
            began = time.process_time()
            ways[name](index, vectors, names)
            took[name].append(1000 * (time.process_time() - began) / len(batch))
    missed = dict.fromkeys(ways, 0)
    for start in range(0, len(copied), BATCH):
        some = copied[start : start + BATCH]
        for name, search in ways.items():
            found = search(index, vectors_of([copy for _, copy in some]), ())
            there = [{hit.product_id for hit in hits} for hits in found]
            missed[name] += sum(before.product_id not in ids for (before, _), ids in zip(some, there, strict=True))
    # The first batch of each reads the vectors from the disk.
    milliseconds = {name: round(statistics.median(seconds[1:]), 2) for name, seconds in took.items()}
    return {
        **{f"{name}_ms": each for name, each in milliseconds.items()},
        "ratio": round(milliseconds["together"] / milliseconds["alone"], 3),
        "copies": len(copied),
        **{f"{name}_missed": each for name, each in missed.items()},
    }


def one_by_one(index: VectorIndex, vectors: Sequence[Vector], exclude: Sequence[str]) -> list[list[Neighbor]]:
    return [index.search(vector, limit=CANDIDATES, exclude=exclude) for vector in vectors]


def at_once(index: VectorIndex, vectors: Sequence[Vector], exclude: Sequence[str]) -> list[list[Neighbor]]:
    return index.search_each(vectors, limit=CANDIDATES, exclude=exclude)


def vectors_of(batch: Sequence[Point]) -> list[Vector]:
    return [each.vector for each in batch if each.vector is not None]


if __name__ == "__main__":
    main()
