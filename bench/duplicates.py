"""How well a search for duplicates finds copies that were planted among drawn products, and what it costs on many.

    python bench/duplicates.py --out bench/results/duplicates.json && python bench/report.py
    python bench/duplicates.py --scale --out bench/results/duplicates_scale.json

It draws a demo catalog of another seed than the tests', plants copies of some pictures and variants of others, and has
the scan of the product look for duplicates, by head and by tuned features. With `--scale` it scans stub products, the
search graph built, each size in a process of its own. `report.py` writes what was found into docs/navigation.md. Method
and caveats are in bench/README.md.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from drawn import LIMITS, encoded, pictures
from duplicates_scale import scaled
from planted import COPIES, VARIANTS, planted
from results import keep, progress
from scanned import filled, scanned

from services import demo
from services.catalog.matches import FORM, Match, matches
from services.catalog.space import sampled
from services.descriptions import Features
from services.encoders import networks, recipes
from services.encoders.tuned.learned import learned
from services.explore.bootstrap import estimates
from services.explore.decisions import Decisions
from services.explore.duplicates import PERCENTILE, Component, components, kind_of, links, pair
from services.hashes import sha256_of
from services.images.decoder import decode_hashed
from services.index.vector_index import VectorIndex
from services.query.likeness import Hashes
from services.records import Point, Vectors

NETWORK, WEIGHTS = "efficientnet_lite0", "imagenet"
PERCENTILES = (0.0, 50.0, 90.0, 95.0, 98.0, 99.0, 99.5, 99.9)
"""That are tried."""


@dataclass(frozen=True)
class Planted:
    """Pictures by product ID, the copies and variants among them, and of what each of these was made."""

    images: dict[str, bytes]
    copies: dict[str, str]
    variants: dict[str, str]
    kinds: dict[str, str]


def main() -> None:
    arguments = parsed()
    if arguments.scale:
        result: dict[str, Any] = scaled(arguments.small, arguments.large)
    else:
        progress(f"drawing {18 * arguments.per_category:,} products, {arguments.copies} copies")
        found = drawn(arguments.seed, arguments.per_category, arguments.copies, arguments.variants)
        result = {"seed": arguments.seed, "percentile": PERCENTILE, **measured(found)}
    keep(result, arguments.out)
    print(json.dumps(result, indent=2))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=11, help="of the drawings")
    parser.add_argument("--per-category", type=int, default=167, help="products of each of 18 categories")
    parser.add_argument("--copies", type=int, default=100, help="copies that are planted")
    parser.add_argument("--variants", type=int, default=100, help="mirrored and recolored ones that are planted")
    parser.add_argument("--scale", action="store_true", help="time and memory on stub products instead")
    parser.add_argument("--small", type=int, default=10_000, help="products of the scale")
    parser.add_argument("--large", type=int, default=100_000, help="products of the scale that are compared with it")
    parser.add_argument("--out", type=Path, help="write the result here, as JSON")
    return parser.parse_args()


def drawn(seed: int, per_category: int, copies: int, variants: int) -> Planted:
    products = demo.products(seed, per_category)
    images = {each.product_id: data for each, data in zip(products, pictures(products, seed), strict=True)}
    random = np.random.default_rng(seed)
    left = iter(random.permutation([*images]).tolist())
    found = Planted(dict(images), {}, {}, {})
    for names, count, made in ((COPIES, copies, found.copies), (VARIANTS, variants, found.variants)):
        kinds = [*names]
        while len(made) < count:
            source, kind = next(left), kinds[len(made) % len(kinds)]
            if (data := planted(images[source], kind, random)) is not None:
                name = f"planted-{kind.replace(' ', '-')}-{len(made)}"
                found.images[name], found.kinds[name], made[name] = data, kind, source
    return found


def measured(found: Planted) -> dict[str, Any]:
    names, images = [*found.images], [*found.images.values()]
    network = networks.network(NETWORK)
    form = recipes.form(network, "nearest", "head")
    hashes = [decode_hashed(each, form.size, form.resample, LIMITS)[1] for each in images]
    whole: dict[str, Any] = {"products": len(images) - len(found.kinds), "features": {}}
    kinds: tuple[Features, ...] = ("head", "tuned")
    for features in kinds:
        progress(f"encoding and scanning, {features}")
        rows, colors = encoded(images, NETWORK, WEIGHTS, features)
        if colors is not None:
            rows = learned(rows, recipes.layer_dims(network), colors).apply(rows, colors)
        with filled(points(names, images, hashes, rows)) as index:
            whole["features"][features] = figures(index, found, features)
    return whole


def points(names: Sequence[str], images: Sequence[bytes], hashes: Sequence[str], rows: Vectors) -> Iterator[Point]:
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    for version, (name, image, perceptual, row) in enumerate(zip(names, images, hashes, rows, strict=True), 1):
        yield Point(name, version, row.astype(np.float32), image=sha256_of(image), perceptual=perceptual)


def figures(index: VectorIndex, found: Planted, features: Features) -> dict[str, Any]:
    space = sampled(index, index.count(), features)
    assert space is not None
    result = scanned(index, lambda: space)
    groups = components(links(result.pictures, result.pairs, Decisions()))
    every = {
        product_id: matches(index, point.vector, Hashes(point.image, point.perceptual), -1.0, exclude=[product_id])
        for product_id in found.images
        for point in index.get([product_id], vectors=True)
        if point is not None and point.vector is not None
    }
    tried = {}
    for percentile in PERCENTILES:
        lowest = space.min_score(percentile, FORM)
        tried[f"{percentile:g}"] = judged(components(linked(every, found, lowest)), found)
    scores = [
        each.neighbor.score
        for name, source in found.copies.items()
        for each in every[name]
        if each.neighbor.product_id == source
    ]
    return {
        **judged(groups, found),
        "confirmed": confirmed(index, found),
        "groups": len(groups),
        "percentiles_of_copies": [space.percentile(float(each), FORM) for each in np.quantile(scores, [0, 0.05, 0.5])],
        "tried": tried,
    }


def confirmed(index: VectorIndex, found: Planted) -> dict[str, float]:
    """Of each kind the share of copies that hashes alone confirm: what is not found beyond these was no candidate."""
    shares: dict[str, list[bool]] = {kind: [] for kind in COPIES}
    for name, source in found.copies.items():
        one, other = index.get([name, source])
        assert one is not None and other is not None
        hashes = (Hashes(each.image, each.perceptual) for each in (one, other))
        shares[found.kinds[name]].append(kind_of(*hashes) is not None)
    return {kind: round(float(np.mean(marks)), 4) for kind, marks in shares.items()}


def linked(every: dict[str, list[Match]], found: Planted, lowest: float) -> Any:
    """Links between products whose score is high enough."""
    pictures = {sha256_of(data): [name] for name, data in found.images.items()}
    of = {name: picture for picture, [name] in pictures.items()}
    pairs = {
        pair(of[name], of[each.neighbor.product_id]): each.kind
        for name, some in every.items()
        for each in some
        if each.neighbor.score >= lowest and of[name] != of[each.neighbor.product_id]
    }
    return links(pictures, pairs, Decisions())


def judged(groups: list[Component], found: Planted) -> dict[str, Any]:
    """Recall: the share of planted copies that are in a group with what they were made of. Precision: the share of
    groups that hold nothing else."""
    at = {product: number for number, group in enumerate(groups) for product in group.products}
    hits = {name: name in at and at[name] == at.get(source) for name, source in found.copies.items()}
    sets: dict[str, set[str]] = {}
    for name, source in found.copies.items():
        sets.setdefault(source, {source}).add(name)
    right = [
        set(group.products) <= sets.get(found.copies.get(group.products[0], group.products[0]), set())
        or any(set(group.products) <= each for each in sets.values())
        for group in groups
    ]
    whole = {"recall": figure([*hits.values()]), "precision": figure(right)}
    whole["by_kind"] = {
        kind: round(float(np.mean([hits[n] for n in hits if found.kinds[n] == kind])), 4) for kind in COPIES
    }
    taken = [name in at and at[name] == at.get(source) for name, source in found.variants.items()]
    return whole | {"variants_taken": round(float(np.mean(taken)), 4)}


def figure(marks: Sequence[bool]) -> dict[str, float] | None:
    if not marks:
        return None
    values = np.array(marks, np.float64)[:, None]
    [found] = estimates(values, np.arange(len(values)))
    return {name: round(getattr(found, name), 4) for name in ("mean", "low", "high")}


if __name__ == "__main__":
    main()
