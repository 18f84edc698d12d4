"""Fills an embedded index and tells what that takes: python index_growth.py FOLDER PRODUCTS DIM

It says on stdout one JSON object of bytes: by how much the private memory of this process (RssAnon) and its resident
memory with the pages of mapped files (VmRSS) grew at most, beyond what a first page of products took, and what the
folder takes on the disk.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from services.index.edge import EdgeIndex
from services.records import Point, Vectors

PAGE = 1000
SEARCHES = 20


def directions(count: int, dim: int, seed: int) -> Vectors:
    drawn = np.random.default_rng(seed).standard_normal((count, dim), np.float32)
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True))


def pages(products: int, dim: int) -> Iterator[list[Point]]:
    for at in range(0, products, PAGE):
        vectors = directions(min(PAGE, products - at), dim, at)
        yield [Point(f"product-{n:07}", n + 1, vector, image="ab" * 32) for n, vector in enumerate(vectors, at)]


def memory() -> dict[str, int]:
    """Bytes of private memory, and of all that is resident."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {name: int(status[key].split()[0]) << 10 for name, key in (("private", "RssAnon"), ("resident", "VmRSS"))}


def main() -> None:
    folder, products, dim = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    index = EdgeIndex.open(folder, dim)
    first: dict[str, int] = {}
    most: dict[str, int] = {}
    for page in pages(products, dim):
        index.upsert(page)
        index.flush()
        first = first or memory()
        most = {name: max(value, most.get(name, 0)) for name, value in memory().items()}
    for query in directions(SEARCHES, dim, products + 1):
        index.search(query)
        most = {name: max(value, most[name]) for name, value in memory().items()}
    assert index.count() == products
    disk = sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())
    index.close()
    sys.stdout.write(json.dumps({name: most[name] - first[name] for name in most} | {"disk": disk}) + "\n")


if __name__ == "__main__":
    main()
