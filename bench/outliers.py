"""How well planted mistakes are found in the labels of a drawn catalog.

    python bench/outliers.py --out bench/results/outliers.json && python bench/report.py

It draws a demo catalog of another seed than the tests', encodes it, and gives each twentieth product a wrong label:
one at random, or the one that it looks like most by the middles of labels. The figure is the area under the ROC curve,
over several draws of who is wrong. `report.py` writes what was found into docs/navigation.md.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from drawn import Drawn, drawn
from results import keep, progress

from services.encoders import networks, recipes
from services.encoders.tuned.learned import learned
from services.explore.outliers import Sums
from services.query.geometry import places
from services.records import Vectors

NETWORK, WEIGHTS = "efficientnet_lite0", "imagenet"
LABELS = ("category", "pattern", "color")
HOW = ("random", "likeliest")
WRONG = 20
"""Each so many-th product has a wrong label."""
NEIGHBORS = 10
Scores = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Marks = npt.NDArray[np.bool_]


def main() -> None:
    arguments = parsed()
    progress(f"drawing and encoding {18 * arguments.per_category:,} products")
    found = drawn(arguments.seed, arguments.per_category, NETWORK, WEIGHTS)
    rows = [
        row
        for features, at in sides(found)
        for label in LABELS
        for row in planted(features, at, label, [each.attributes[label] for each in found.products], arguments.draws)
    ]
    result = {"seed": arguments.seed, "products": len(found.products), "draws": arguments.draws, "rows": rows}
    keep(result, arguments.out)
    print(json.dumps(result, indent=2))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=11, help="of the drawings")
    parser.add_argument("--per-category", type=int, default=170, help="products of each of 18 categories")
    parser.add_argument("--draws", type=int, default=5, help="of which products are wrong")
    parser.add_argument("--out", type=Path, help="write the result here, as JSON")
    return parser.parse_args()


def sides(found: Drawn) -> Iterator[tuple[str, Vectors]]:
    """Where products lie, by their features. Tuned ones are learned from every other product."""
    count = len(found.products)
    head = found.head[:count] / np.linalg.norm(found.head[:count], axis=1, keepdims=True)
    yield "head", places(head, head.mean(axis=0))
    assert found.layers is not None and found.colors is not None
    seen = np.random.default_rng(0).permutation(count)[::2]
    recipe = learned(found.layers[seen], recipes.layer_dims(networks.network(NETWORK)), found.colors[seen])
    yield "tuned", places(recipe.apply(found.layers[:count], found.colors[:count]), None)


def planted(features: str, at: Vectors, label: str, values: Sequence[str], draws: int) -> Iterator[dict[str, Any]]:
    progress(f"planting mistakes, {features}, {label}")
    names, truth = np.unique(np.array(values), return_inverse=True)
    likeliest = looks_like(at, truth)
    for how in HOW:
        aucs: dict[str, list[float]] = {name: [] for name in WAYS}
        shown, right = [], []
        for draw in range(draws):
            random = np.random.default_rng(draw)
            wrong = np.zeros(len(truth), bool)
            wrong[random.permutation(len(truth))[: len(truth) // WRONG]] = True
            others = (truth + random.integers(1, len(names), len(truth))) % len(names)
            codes = np.where(wrong, others if how == "random" else likeliest, truth)
            for name, way in WAYS.items():
                scores = way(at, codes)
                aucs[name].append(auc(scores, wrong))
                if name == "outliers":
                    shown.append(int((scores > 0).sum()))
                    right.append(int(wrong[scores > 0].sum()) / int(wrong.sum()))
        yield {
            "features": features,
            "label": label,
            "wrong": how,
            "auc": {name: [round(each, 4) for each in (np.mean(seen), min(seen))] for name, seen in aucs.items()},
            "shown": round(float(np.mean(shown)), 1),
            "planted": len(truth) // WRONG,
            "found": round(float(np.mean(right)), 3),
        }


def auc(scores: Scores, wrong: Marks) -> float:
    """The share of pairs of a wrong and a right one in which the wrong one has the higher score; half of equal ones."""
    right = np.sort(scores[~wrong])
    below, above = np.searchsorted(right, scores[wrong], "left"), np.searchsorted(right, scores[wrong], "right")
    return float((below + above).mean() / 2 / len(right))


def outliers(at: Vectors, codes: Codes) -> Scores:
    """What the product does."""
    labels = [str(code) for code in codes]
    sums = Sums(at.shape[1])
    sums.add(labels, at)
    judge = sums.judge()
    assert judge
    return np.array([each.score if each else -np.inf for each in judge.verdicts(labels, at)])


def middles(at: Vectors, codes: Codes) -> Scores:
    """The cosine with the nearest other middle, less that with its own one, in which it is not."""
    sums, cosines = _cosines(at, codes)
    rest = sums[codes] - at
    own = (at * rest).sum(axis=1) / np.maximum(np.linalg.norm(rest, axis=1), 1e-9)
    cosines[np.arange(len(codes)), codes] = -np.inf
    return np.asarray(cosines.max(axis=1) - own, np.float64)


def neighbors(at: Vectors, codes: Codes) -> Scores:
    """The share of the ten nearest that have another label."""
    cosines = at @ at.T
    np.fill_diagonal(cosines, -np.inf)
    near = np.argpartition(-cosines, NEIGHBORS, axis=1)[:, :NEIGHBORS]
    return np.asarray((codes[near] != codes[:, np.newaxis]).mean(axis=1), np.float64)


WAYS: dict[str, Callable[[Vectors, Codes], Scores]] = {
    "outliers": outliers,
    "middles": middles,
    "neighbors": neighbors,
}


def looks_like(at: Vectors, codes: Codes) -> Codes:
    """The other label whose middle is nearest."""
    _, cosines = _cosines(at, codes)
    cosines[np.arange(len(codes)), codes] = -np.inf
    return cosines.argmax(axis=1)


def _cosines(at: Vectors, codes: Codes) -> tuple[Scores, Scores]:
    """The sums of labels, and the cosines of products with them."""
    sums = np.zeros((int(codes.max()) + 1, at.shape[1]))
    np.add.at(sums, codes, at.astype(np.float64))
    return sums, at @ (sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)).T


if __name__ == "__main__":
    main()
