"""What it costs a catalog to refuse duplicates as products are put, by the rate of whole batches.

    python bench/refusing.py [--products 2000] [--graph] [--images 384] [--rounds 5] [--out FILE]

One catalog with so many ready-made vectors gets pictures in batches of 64, in pairs of rounds: without looking for
duplicates and with it, in turn first, each time other pictures, which are removed again. Encoding is real, weights are
random. Method and caveats are in bench/README.md.
"""

import argparse
import io
import json
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image
from results import keep, progress

from services import bootstrap, settings
from services.catalog.catalog import Catalog
from services.catalog.opening import new_spec
from services.records import Change, Embedding, State


@dataclass(frozen=True)
class Spent:
    """Seconds on the clock, and of processor time of this process: of all but the decoding."""

    seconds: float
    processor: float


def main() -> None:
    arguments = parsed()
    with tempfile.TemporaryDirectory(prefix="lookalike-bench-") as folder:
        given = settings.load(data=Path(folder) / "data")
        stages: Counter[str] = Counter()

        def observe(stage: str, seconds: float) -> None:
            stages[stage] += seconds

        with bootstrap.catalogs(given, observe=observe) as catalogs:
            catalog = catalogs.create(new_spec("products", arguments.encoder, "random:1", "nearest"))
            catalog.load_encoder()
            progress(f"filling a catalog with {arguments.products:,} products")
            for _ in catalog.put_embeddings(ready(arguments.products, catalog.spec.dim)):
                pass
            if arguments.graph:
                progress("building the search graph")
                catalog.optimize()
            spent(catalog, pictures(64, arguments.side, seed=0), refuse=True)  # not counted
            stages.clear()
            rounds = [paired(catalog, arguments, number) for number in range(arguments.rounds)]
    ratios = [each["without"].seconds / each["with"].seconds for each in rounds]
    processor = [each["without"].processor / each["with"].processor for each in rounds]
    result = {
        "products": arguments.products,
        "graph": arguments.graph,
        "images": arguments.images,
        "encoder": arguments.encoder,
        "images_per_second": {name: rate(arguments.images, rounds, name) for name in ("without", "with")},
        "ratio": round(statistics.median(ratios), 4),
        "ratios": [round(each, 4) for each in ratios],
        "processor_ratio": round(statistics.median(processor), 4),
        "processor_ratios": [round(each, 4) for each in processor],
        "share": round(stages["duplicates"] / sum(each["with"].seconds for each in rounds), 4),
    }
    keep(result, arguments.out)
    print(json.dumps(result, indent=2))


def rate(images: int, rounds: list[dict[str, Spent]], way: str) -> float:
    return round(images / statistics.median(each[way].seconds for each in rounds), 2)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--products", type=int, default=2000, help="that the catalog has")
    parser.add_argument("--graph", action="store_true", help="build the search graph of what the catalog has")
    parser.add_argument("--images", type=int, default=384, help="of each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--side", type=int, default=800, help="pixels of a picture's side")
    parser.add_argument("--encoder", default="inception_v3")
    parser.add_argument("--out", type=Path, help="write the result here, as JSON")
    return parser.parse_args()


def paired(catalog: Catalog, arguments: argparse.Namespace, number: int) -> dict[str, Spent]:
    """What either way takes, each with pictures of its own."""
    found = {}
    ways = ("without", "with") if number % 2 == 0 else ("with", "without")
    for at, way in enumerate(ways):
        changes = pictures(arguments.images, arguments.side, seed=1 + 2 * number + at)
        found[way] = spent(catalog, changes, refuse=way == "with")
        progress(f"round {number + 1}, {way}: {arguments.images / found[way].seconds:.1f} images/s")
    return found


def spent(catalog: Catalog, changes: list[Change], *, refuse: bool) -> Spent:
    """What it takes to put them; they are removed afterwards."""
    started, processor = time.perf_counter(), time.process_time()
    outcomes = [*catalog.put(replace(each, refuse_duplicates=refuse) for each in changes)]
    taken = Spent(time.perf_counter() - started, time.process_time() - processor)
    if {each.state for each in outcomes} != {State.APPLIED}:
        raise SystemExit(
            "not all pictures were taken: " + next(each.message or "" for each in outcomes if each.message)
        )
    catalog.remove([each.product_id for each in changes])
    return taken


def ready(count: int, dim: int) -> Iterator[Embedding]:
    random = np.random.default_rng(0)
    for number in range(count):
        yield Embedding(f"there-{number}", np.abs(random.normal(1, 0.5, dim)).astype(np.float32), {})


def pictures(count: int, side: int, seed: int) -> list[Change]:
    """JPEGs with soft shapes and a little grain, which compress like photographs."""
    random = np.random.default_rng(seed)
    made = []
    for number in range(count):
        coarse = random.integers(0, 255, (12, 12, 3), dtype=np.uint8)
        smooth = np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC), np.float32)
        out = io.BytesIO()
        pixels = np.clip(smooth + random.normal(0, 6, (side, side, 1)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(out, "JPEG", quality=88)
        made.append(Change(f"new-{seed}-{number}", image=out.getvalue()))
    return made


if __name__ == "__main__":
    main()
