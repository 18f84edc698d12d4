"""How well a map shows what is alike, and what it costs: trustworthiness, true neighbors kept, processor seconds.

    python bench/map.py --out bench/results/map.json && python bench/report.py

It draws and encodes the demo catalog of `navigation.py`, lays 3,000 of its products out as `lookalike map` does, and
then 50,000 that are made of them with noise. `report.py` writes what was found into docs/navigation.md.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from drawn import Drawn, drawn
from results import keep, progress

from services.catalog.map import in_frame, quantized
from services.encoders import networks, recipes
from services.encoders.tuned.learned import learned
from services.explore.layout import LANDMARKS, Places, laid_out, placed
from services.records import Vectors

NETWORK, WEIGHTS = "efficientnet_lite0", "imagenet"
NEAREST = 15
ASKED = 500
"""Products of the large catalog whose neighbors are looked at."""
NOISE = 1.0
"""How far a made product is from the one that it is made of, in distances from that to its nearest neighbor."""
_BLOCK = 500
Ranks = npt.NDArray[np.int64]


def main() -> None:
    arguments = parsed()
    progress(f"drawing and encoding {18 * arguments.per_category:,} products")
    found = drawn(arguments.seed, arguments.per_category, NETWORK, WEIGHTS)
    result = {"seed": arguments.seed, "network": NETWORK} | measured(features(found), arguments.small, arguments.large)
    keep(result, arguments.out)
    print(json.dumps(result, indent=2))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=11, help="of the drawings")
    parser.add_argument("--per-category", type=int, default=170, help="products of each of 18 categories")
    parser.add_argument("--small", type=int, default=3000, help="of them on the small map")
    parser.add_argument("--large", type=int, default=50_000, help="made products on the large map")
    parser.add_argument("--out", type=Path, help="write the result here, as JSON")
    return parser.parse_args()


def features(found: Drawn) -> dict[str, Vectors]:
    """Of each kind, of length one; the tuned ones have learned from all of the products."""
    count = len(found.products)
    if found.layers is None or found.colors is None:
        raise ValueError("tuned features were not asked for")
    recipe = learned(found.layers[:count], recipes.layer_dims(networks.network(NETWORK)), found.colors[:count])
    return {"head": unit(found.head[:count]), "tuned": unit(recipe.apply(found.layers[:count], found.colors[:count]))}


def measured(vectors: dict[str, Vectors], small: int, large: int) -> dict[str, Any]:
    return {
        "landmarks": LANDMARKS,
        "nearest": NEAREST,
        "maps": [line for name, each in vectors.items() for line in lines(name, each, small, large)],
    }


def lines(name: str, vectors: Vectors, small: int, large: int) -> Iterator[dict[str, Any]]:
    # A catalog has its products in the order of hashes of their IDs.
    random = np.random.default_rng(0)
    shuffled = vectors[random.permutation(len(vectors))]
    progress(f"{name}: {small:,} products")
    places, seconds = mapped(shuffled[:small])
    kept = share_kept(shuffled[:small], places, np.arange(len(places)))
    figures = {"trustworthiness": round(trustworthiness(shuffled[:small], places, NEAREST), 4)}
    yield {"features": name, "products": len(places), **seconds, **figures, "kept": kept}
    progress(f"{name}: {large:,} products")
    made = multiplied(shuffled, large, random)
    places, seconds = mapped(made)
    yield {"features": name, "products": large, **seconds, "kept": share_kept(made, places, np.arange(ASKED))}


def mapped(vectors: Vectors) -> tuple[Places, dict[str, float]]:
    """Where they stand, as it is stored, and what that took in seconds of processor time."""
    landmarks = vectors[:LANDMARKS].astype(np.float16).astype(np.float32)
    layout, of_layout = timed(lambda: in_frame(laid_out(landmarks)))
    others, of_others = timed(lambda: placed(vectors[LANDMARKS:], landmarks, layout))
    places = quantized(np.concatenate([layout, others])).astype(np.float32)
    return places, {"layout_seconds": of_layout, "placing_seconds": of_others}


def timed(do: Callable[[], Places]) -> tuple[Places, float]:
    started = time.process_time()
    found = do()
    return found, round(time.process_time() - started, 2)


def multiplied(vectors: Vectors, count: int, random: np.random.Generator) -> Vectors:
    """So many vectors, each near one of these."""
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -1)
    apart = np.sqrt(np.maximum(2 - 2 * cosines.max(axis=1), 0))
    made = np.empty((count, vectors.shape[1]), np.float32)
    for at in range(0, count, _BLOCK):
        rows = random.integers(0, len(vectors), min(_BLOCK, count - at))
        noise = unit(random.standard_normal((len(rows), vectors.shape[1]), np.float32))
        made[at : at + len(rows)] = unit(vectors[rows] + NOISE * apart[rows, None] * noise)
    return made


def trustworthiness(vectors: Vectors, places: Places, nearest: int) -> float:
    """1 less what neighbors on the map cost that are none in truth, 0..1 (Venna & Kaski 2001).

    `1 - 2 / (n k (2 n - 3 k - 1)) * sum of (rank - k)` over products and those of their k nearest on the map whose rank
    among the nearest in truth is beyond k.
    """
    count, cost = len(vectors), 0
    for at in range(0, count, _BLOCK):
        asked = np.arange(at, min(at + _BLOCK, count))
        truth = np.argsort(-cosines_to(vectors, asked), axis=1)
        ranks = np.empty_like(truth)
        np.put_along_axis(ranks, truth, np.broadcast_to(np.arange(1, count + 1), truth.shape), axis=1)
        shown = np.argsort(distances_to(places, asked), axis=1, kind="stable")[:, :nearest]
        cost += int(np.maximum(np.take_along_axis(ranks, shown, axis=1) - nearest, 0).sum())
    return 1 - 2 / (count * nearest * (2 * count - 3 * nearest - 1)) * cost


def share_kept(vectors: Vectors, places: Places, asked: Ranks) -> float:
    """The share of the nearest products in truth that are among as many nearest on the map."""
    found = []
    for at in range(0, len(asked), _BLOCK):
        some = asked[at : at + _BLOCK]
        truth = np.argpartition(-cosines_to(vectors, some), NEAREST, axis=1)[:, :NEAREST]
        shown = np.argpartition(distances_to(places, some), NEAREST, axis=1)[:, :NEAREST]
        found += [len({*one} & {*other}) / NEAREST for one, other in zip(truth, shown, strict=True)]
    return round(float(np.mean(found)), 4)


def cosines_to(vectors: Vectors, asked: Ranks) -> npt.NDArray[np.float32]:
    """Of each asked product to all, least to itself."""
    cosines = vectors[asked] @ vectors.T
    cosines[np.arange(len(asked)), asked] = -np.inf
    return cosines


def distances_to(places: Places, asked: Ranks) -> npt.NDArray[np.float64]:
    """Of each asked product to all on the map, squared, greatest to itself."""
    exact = places.astype(np.float64)
    apart = np.square(exact[asked][:, None, 0] - exact[:, 0]) + np.square(exact[asked][:, None, 1] - exact[:, 1])
    apart[np.arange(len(asked)), asked] = np.inf
    return apart


def unit(rows: npt.NDArray[Any]) -> Vectors:
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1), np.float32)


if __name__ == "__main__":
    main()
