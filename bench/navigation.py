"""How well steps along directions, likes and percentiles do, on the half of a drawn catalog that was not learned from.

    python bench/navigation.py --out bench/results/navigation.json && python bench/report.py

It draws a demo catalog of another seed than the tests', encodes it, and learns tuned features and directions from one
half of the products of each category; queries and what they can find are the other half. `report.py` writes what was
found into docs/navigation.md. Method and caveats are in bench/README.md.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from drawn import STRANGERS, Drawn, drawn
from results import keep, progress

from services.encoders import networks, recipes
from services.encoders.tuned.learned import learned as learned_features
from services.errors import TooFewExamples
from services.explore.bootstrap import estimates
from services.explore.directions import Examples, Learned, learned
from services.query.geometry import STEP, places, sent
from services.records import Vector, Vectors

TRAINED, UNTRAINED = ("efficientnet_lite0", "imagenet"), ("inception_v3", "random:7")
ATTRIBUTES = ("pattern", "color")
AMOUNTS = (0.25, 0.5, 0.7, 1.0, 1.4)
WEIGHTS = (1.0, 2.0, 5.0)
FROM = ("all others", "one value")
FIRST = 5
REFERENCES = 256
BANDS = (0.0, 0.5, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 0.9999, 1.0)
ASKED = 500
"""Queries whose neighbors are sorted into bands."""
Rows = npt.NDArray[np.int64]
Marks = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Side:
    """One kind of features of a catalog: what is stored, float32 (n, dim), and it centered, of length one."""

    name: str
    stored: Vectors
    centered: Vectors
    strangers: Vectors
    colors: int
    """Where the color part begins, or dim."""


@dataclass(frozen=True)
class Catalog:
    """Attributes of n products, and which half each is of: `seen` were learned from."""

    values: dict[str, npt.NDArray[np.str_]]
    seen: Rows
    unseen: Rows


def main() -> None:
    arguments = parsed()
    result: dict[str, Any] = {"seed": arguments.seed, "networks": {}}
    for (network, weights), count in ((TRAINED, arguments.per_category), (UNTRAINED, arguments.untrained)):
        progress(f"drawing and encoding {18 * count:,} products, {network}")
        only_head = network == UNTRAINED[0]
        found = drawn(arguments.seed, count, network, weights, only_head=only_head)
        result["networks"][network] = {"weights": weights} | measured(found, network)
    keep(result, arguments.out)
    print(json.dumps(result, indent=2))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=11, help="of the drawings")
    parser.add_argument("--per-category", type=int, default=170, help="products of each of 18 categories")
    parser.add_argument("--untrained", type=int, default=60, help="the same for InceptionV3, whose weights are random")
    parser.add_argument("--out", type=Path, help="write the result here, as JSON")
    return parser.parse_args()


def measured(found: Drawn, network: str) -> dict[str, Any]:
    catalog = halves(found)
    sides = {}
    for side in features(found, catalog, network):
        progress(f"measuring, {network}, {side.name}")
        sides[side.name] = {
            "steps": [*steps(side, catalog)],
            "likes": [*likes(side, catalog)],
            "bands": bands(side, catalog),
            "strangers": strangers(side, found.strangers),
        }
    return {"products": len(found.products), "features": sides}


def halves(found: Drawn) -> Catalog:
    names = ("category", *ATTRIBUTES)
    values = {name: np.array([each.attributes[name] for each in found.products]) for name in names}
    random = np.random.default_rng(0)
    order = random.permutation(len(found.products))
    order = order[np.argsort(values["category"][order], kind="stable")]
    return Catalog(values, np.sort(order[0::2]), np.sort(order[1::2]))


def features(found: Drawn, catalog: Catalog, network: str) -> Iterator[Side]:
    """Of each kind. What is learned, and means, are those of the half that is seen."""
    count = len(found.products)
    head = unit(found.head)
    centered = unit(head - head[catalog.seen].mean(axis=0))
    yield Side("head", head[:count], centered[:count], head[count:], head.shape[1])
    if found.layers is None or found.colors is None:
        return
    dims = recipes.layer_dims(networks.network(network))
    recipe = learned_features(found.layers[catalog.seen], dims, found.colors[catalog.seen])
    tuned = recipe.apply(found.layers, found.colors)
    yield Side("tuned", tuned[:count], tuned[:count], tuned[count:], recipes.LAYERS_DIM)
    layers = unit(tuned[:, : recipes.LAYERS_DIM])
    yield Side("tuned without colors", layers[:count], layers[:count], layers[count:], layers.shape[1])


def unit(rows: Vectors) -> Vectors:
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1), np.float32)


def steps(side: Side, catalog: Catalog) -> Iterator[dict[str, Any]]:
    """In how many queries one of the first five is of the query's category and has the value that the step is to."""
    weights = WEIGHTS if side.name == "tuned" else (1.0,)
    for attribute in ATTRIBUTES:
        # Pairs of values are many, and one row of them is enough to compare with.
        for pairs, weight in [(False, weight) for weight in weights] + [(True, 1.0)] * (side.name == "tuned"):
            found = stepped(side, catalog, attribute, weight, pairs=pairs)
            yield {"attribute": attribute, "from": FROM[pairs], "color_weight": weight} | found


def stepped(side: Side, catalog: Catalog, attribute: str, weight: float, *, pairs: bool) -> dict[str, Any]:
    values = catalog.values[attribute]
    names = np.unique(values)
    found, asked, aucs = [], [], []
    for wanted in names:
        for other in (each for each in names if each != wanted) if pairs else (None,):
            direction = between(side, catalog, attribute, wanted, other, weight)
            if direction is None:
                continue
            aucs.append(direction.auc)
            from_ = catalog.unseen[
                (values[catalog.unseen] != wanted) if other is None else values[catalog.unseen] == other
            ]
            found.append(ways(side, catalog, from_, values == wanted, direction))
            asked.append(from_)
    names_of = ["plain", "filter", *map(str, AMOUNTS), *(["centered"] if side.name == "head" else [])]
    figures = estimates(np.concatenate(found), np.concatenate(asked))
    return {
        "directions": len(found),
        "queries": sum(map(len, asked)),
        "auc": [round(float(each), 3) for each in np.quantile(aucs, [0, 0.5, 1])],
        "figures": {name: figure(each) for name, each in zip(names_of, figures, strict=True)},
    }


def between(
    side: Side, catalog: Catalog, attribute: str, wanted: str, other: str | None, weight: float
) -> Learned | None:
    """The direction to a value; None where so small a catalog has too few examples of it."""
    seen, categories = catalog.seen, catalog.values["category"]
    values = catalog.values[attribute][seen]
    to, from_ = seen[values == wanted], seen[(values != wanted) if other is None else values == other]
    examples = Examples(side.centered[to], side.centered[from_], [*categories[to]], [*categories[from_]])
    try:
        return learned(examples, [weight])
    except TooFewExamples:
        return None


def ways(side: Side, catalog: Catalog, asked: Rows, wanted: Marks, direction: Learned) -> npt.NDArray[np.float64]:
    """Whether each query succeeds in each way: plain neighbors, a filter, steps; for head features also the step of
    amount 1 where what is stored were centered."""
    queries = side.centered[asked]
    plain = asked_of(places(side.stored[asked], None, direction.color_weight), direction.color_weight)
    at = places(queries, None, direction.color_weight)
    moved = [asked_of(at + np.float32(STEP * amount) * direction.vector, direction.color_weight) for amount in AMOUNTS]
    columns = [
        hits(plain, side.stored, catalog, asked, wanted),
        hits(plain, side.stored, catalog, asked, wanted, wanted),
    ]
    columns += [hits(each, side.stored, catalog, asked, wanted) for each in moved]
    if side.name == "head":
        columns.append(hits(moved[AMOUNTS.index(1.0)], side.centered, catalog, asked, wanted))
    return np.stack(columns, axis=1).astype(np.float64)


def asked_of(at: Vectors, color_weight: float) -> Vectors:
    """What asks for the neighbors of places: float32 (n, dim), of length one."""
    return unit(np.stack([sent(each, color_weight) for each in at]))


def hits(
    sent: Vectors, stored: Vectors, catalog: Catalog, asked: Rows, wanted: Marks, passes: Marks | None = None
) -> Marks:
    """Whether one of the first five of the unseen half (that pass) is of the query's category and wanted."""
    candidates = catalog.unseen if passes is None else catalog.unseen[passes[catalog.unseen]]
    cosines = sent @ stored[candidates].T
    cosines[asked[:, None] == candidates] = -np.inf
    first = candidates[np.argpartition(-cosines, FIRST, axis=1)[:, :FIRST]]
    categories = catalog.values["category"]
    found: Marks = ((categories[first] == categories[asked][:, None]) & wanted[first]).any(axis=1)
    return found


def mixed(likes: Vectors, unlikes: Vectors) -> Vector:
    """What is like some vectors and unlike others, all centered: float32 (dim,), of length one."""
    query = likes.mean(axis=0) - (0.25 * unlikes.mean(axis=0) if len(unlikes) else 0)
    return unit(query)


def likes(side: Side, catalog: Catalog) -> Iterator[dict[str, Any]]:
    """Precision@10 for a category with a value of an attribute: likes have both, unlikes another value."""
    categories = catalog.values["category"]
    for attribute in ATTRIBUTES:
        values = catalog.values[attribute]
        random = np.random.default_rng(1)
        found = []
        for category in np.unique(categories):
            for value in np.unique(values):
                good = np.flatnonzero((categories == category) & (values == value))
                bad = np.flatnonzero((categories == category) & (values != value))
                if len(good) >= 15:
                    found.append(precisions(side, random.permutation(good), random.permutation(bad), good))
        names = ("one", "5 likes", "5 and 5", "5 and 5, centered")
        if found:
            figures = estimates(np.array(found), np.arange(len(found)))
            whole = {name: figure(each) for name, each in zip(names, figures, strict=True)}
            yield {"attribute": attribute, "searches": len(found), "figures": whole}


def precisions(side: Side, good: Rows, bad: Rows, relevant: Rows) -> list[float]:
    some, against = good[:5], bad[:5]
    vectors = side.centered
    found = []
    for liked, unliked, stored in (
        (some[:1], against[:0], side.stored),
        (some, against[:0], side.stored),
        (some, against, side.stored),
        (some, against, side.centered),
    ):
        cosines = stored @ mixed(vectors[liked], vectors[unliked])
        # All ten are left out of each search, so that each could find the same.
        cosines[some], cosines[against] = -np.inf, -np.inf
        found.append(float(np.isin(np.argsort(-cosines)[:10], relevant).mean()))
    return found


def percentiles(side: Side, cosines: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """The share of pairs of reference products with a lower cosine."""
    rows = np.random.default_rng(2).permutation(len(side.stored))[:REFERENCES]
    pairs = (side.stored[rows] @ side.stored[rows].T)[np.triu_indices(len(rows), 1)]
    return np.searchsorted(np.sort(pairs), cosines) / len(pairs)


def bands(side: Side, catalog: Catalog) -> list[dict[str, Any]]:
    """What share of the products in a band of percentiles is of the query's category, and has its pattern, too."""
    asked = np.random.default_rng(3).permutation(len(side.stored))[:ASKED]
    found = percentiles(side, side.stored[asked] @ side.stored.T)
    others = asked[:, None] != np.arange(len(side.stored))
    category, pattern = (
        values[asked][:, None] == values for values in (catalog.values[n] for n in ("category", "pattern"))
    )
    rows = []
    for low, high in pairwise(BANDS):
        within = others & (found >= low) & ((found < high) | (high == 1.0))
        shares = (float(each[within].mean()) if within.any() else None for each in (category, category & pattern))
        both = [None if share is None else round(share, 3) for share in shares]
        each = round(float(within.sum()) / len(asked), 2)
        rows.append({"from": low, "to": high, "a_query": each, "category": both[0], "category_and_pattern": both[1]})
    return rows


def strangers(side: Side, kinds: Sequence[str]) -> dict[str, list[float]]:
    """The percentiles of the best answers: least, median and greatest, of products and of each kind of stranger."""
    asked = np.random.default_rng(3).permutation(len(side.stored))[:ASKED]
    cosines = side.stored[asked] @ side.stored.T
    cosines[np.arange(len(asked)), asked] = -np.inf
    best = {"products": percentiles(side, cosines.max(axis=1))}
    every = percentiles(side, (side.strangers @ side.stored.T).max(axis=1))
    best |= {kind: every[np.array([each == kind for each in kinds])] for kind in STRANGERS}
    return {kind: [round(float(each), 4) for each in np.quantile(found, [0, 0.5, 1])] for kind, found in best.items()}


def figure(estimate: Any) -> dict[str, float]:
    return {name: round(getattr(estimate, name), 4) for name in ("mean", "low", "high")}


if __name__ == "__main__":
    main()
