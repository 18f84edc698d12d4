"""What a scan for duplicates costs on many products: time and memory, each size in a process of its own."""

import ctypes
import json
import math
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from results import progress
from scanned import filled, scanned

from services.catalog.space import sampled
from services.hashes import perceptual, sha256_of
from services.records import Point

DIM = 128
SHARE = 0.02
"""Of the products that are copies."""
ROOM = 1.15
"""How much more than n log n is noise."""
LITTLE_MB = 8.0
"""What a scan of few products takes less than is not measured."""


def scaled(small: int, large: int) -> dict[str, Any]:
    """Seconds and peak memory of both sizes, and how much more the large one takes than n log n of the small one."""
    found = {}
    for count in (small, large):
        progress(f"scanning {count:,} products")
        run = subprocess.run([sys.executable, __file__, str(count)], capture_output=True, text=True, check=True)
        found[count] = json.loads(run.stdout)
    expected = large * math.log(large) / (small * math.log(small))
    return {
        "small": found[small],
        "large": found[large],
        "n_log_n": round(expected, 3),
        "seconds_ratio": round(found[large]["seconds"] / found[small]["seconds"], 3),
        "memory_ratio": round(found[large]["scan_mb"] / max(found[small]["scan_mb"], LITTLE_MB), 3),
        "room": ROOM,
    }


def one(count: int) -> dict[str, Any]:
    """One size: an index is filled, its graph built, and it is scanned."""
    with filled(products(count)) as index:
        index.optimize()
        space = sampled(index, count, "tuned")
        before = forget_peak_mb()
        started = time.monotonic()
        found = scanned(index, lambda: space)
        seconds = time.monotonic() - started
        graph = index.graph()
    return {
        "products": count,
        "in_graph": graph.indexed,
        "seconds": round(seconds, 3),
        "milliseconds_each": round(1000 * seconds / count, 3),
        "scan_mb": round(peak_mb() - before, 1),
        "peak_mb": round(peak_mb(), 1),
        "pairs": len(found.pairs),
        "copies": round(SHARE * count),
    }


def products(count: int, dim: int = DIM) -> Iterator[Point]:
    """Random vectors around centers of twenty products each; some are copies of the product before."""
    random = np.random.default_rng(7)
    before: Point | None = None
    copies = {*random.choice(np.arange(1, count), round(SHARE * count), replace=False).tolist()}
    center = np.zeros(dim)
    for number in range(count):
        if number % 20 == 0:
            center = random.normal(size=dim)
        if number in copies and before is not None and before.vector is not None:
            row, seen = before.vector + random.normal(0, 0.005, dim), before.perceptual
        else:
            row = center + random.normal(0, 0.7, dim)
            seen = perceptual(random.random((8, 8)) < 0.5, random.uniform(0, 60, (8, 8, 3)))
        vector = (row / np.linalg.norm(row)).astype(np.float32)
        before = Point(f"p{number}", number + 1, vector, image=sha256_of(str(number).encode()), perceptual=seen)
        yield before


def forget_peak_mb() -> float:
    """Megabytes that this process has now, after giving back what is free: the peak until then is forgotten, which was
    that of building the graph."""
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return peak_mb()


def peak_mb() -> float:
    """The most megabytes that this process had since the peak was forgotten: see proc_pid_status(5) and
    proc_pid_clear_refs(5)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    print(json.dumps(one(int(sys.argv[1]))))
