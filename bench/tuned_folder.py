"""A folder of new pictures into a catalog with tuned features, against the same into one with head features.

    python bench/tuned_folder.py [--old 1008] [--new 612] [--rounds 3] [--precision auto] [--out FILE]

Two data folders with the same drawn products are made beforehand, of which one has tuned features. Then
`lookalike index` puts the same new pictures into a fresh copy of each in turn, and the ratio is taken round by round.
Method and caveats are in bench/README.md.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from math import ceil
from multiprocessing import get_context
from pathlib import Path
from typing import Any, get_args

from ingest import LOOKALIKE
from results import keep, progress

from services import bootstrap, demo, settings
from services.catalog.generations import Generations
from services.catalog.learning import FEWEST
from services.demo.catalog import KINDS, DemoProduct
from services.descriptions import Features
from services.settings import Precision

CATALOG = "products"
ENCODER = "efficientnet_lite0"
SIDES = get_args(Features)


def main() -> None:
    arguments = parsed()
    with tempfile.TemporaryDirectory(prefix="lookalike-bench-") as folder:
        work = Path(folder)
        made = products(arguments.old + arguments.new)
        progress(f"drawing {len(made):,} pictures")
        old = drawn(made[: arguments.old], work / "old")
        new = drawn(made[arguments.old :], work / "new")
        catalogs(old, work, arguments)
        rounds = []
        for number in range(arguments.rounds):
            # Whatever the machine does, it does to the first as often as to the second.
            order = SIDES if number % 2 == 0 else SIDES[::-1]
            row = {side: put(new, work / side, work / "run", side, arguments) for side in order}
            progress(f"round {number + 1}: {row}")
            rounds.append(row)
    result = summary(rounds, arguments)
    show(result)
    keep(result, arguments.out)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--old", type=int, default=1008, help="products that both catalogs have beforehand")
    parser.add_argument("--new", type=int, default=612, help="pictures of the folder")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", default="auto", choices=get_args(Precision))
    parser.add_argument("--out", type=Path, help="write the result as JSON, too")
    return parser.parse_args()


def products(count: int) -> list[DemoProduct]:
    """So many products, the categories in turn: any part of them in a row has all."""
    made = demo.products(per_category=ceil(count / len(KINDS)))
    return sorted(made, key=lambda product: product.product_id.rpartition("-")[2])[:count]


def drawn(of: Sequence[DemoProduct], folder: Path) -> Path:
    """A folder of their pictures, which are drawn in processes of their own."""
    folder.mkdir()
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        for product, picture in zip(of, pool.map(demo.draw, of, chunksize=8), strict=True):
            (folder / f"{product.product_id}.jpg").write_bytes(picture)
    return folder


def catalogs(pictures: Path, work: Path, arguments: argparse.Namespace) -> None:
    """Makes the data folders `head` and `tuned`, with these pictures in each."""
    progress("making the catalog with head features")
    run(pictures, work / "head", arguments.precision, "--encoder", ENCODER)
    shutil.copytree(work / "head", work / "tuned")
    progress("making the one with tuned features")
    # In a process of its own, so that no TensorFlow is beside those that are measured.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        pool.submit(make_tuned, work / "tuned", arguments.precision, arguments.old).result()


def make_tuned(data: Path, precision: Precision, count: int) -> None:
    """Gives the catalog tuned features and nothing else: as long as it kept the head ones, too, every picture would be
    encoded twice."""
    with bootstrap.catalogs(settings.load(data=data, precision=precision)) as opened:
        generations = Generations(opened, CATALOG, fewest=min(FEWEST, count))
        generations.reindex({"features": "tuned"}, promote=True)
        generations.drop(generations.candidate())


def put(pictures: Path, data: Path, copy: Path, side: Features, arguments: argparse.Namespace) -> dict[str, float]:
    """What a whole command on a fresh copy of the data folder takes, and of that the work without its start."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(data, copy)
    began = time.monotonic()
    answer = run(pictures, copy, arguments.precision)
    whole = time.monotonic() - began
    if (answer["applied"], answer["features"]) != (arguments.new, side):
        raise SystemExit(f"{side} features: {answer}")
    return {"seconds": answer["seconds"], "whole_seconds": round(whole, 3)}


def run(pictures: Path, data: Path, precision: str, *options: str) -> dict[str, Any]:
    """`lookalike index`, and what it says."""
    command = [str(LOOKALIKE), "index", str(pictures), "--catalog", CATALOG, "--data", str(data), "--json"]
    ran = subprocess.run([*command, "--precision", precision, *options], capture_output=True, text=True)
    if ran.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {ran.returncode}:\n{ran.stderr}")
    return dict(json.loads(ran.stdout))


def summary(rounds: Sequence[dict[Features, dict[str, float]]], arguments: argparse.Namespace) -> dict[str, Any]:
    """Of each figure both medians, and the ratios of tuned to head of the rounds."""
    result: dict[str, Any] = {"old": arguments.old, "new": arguments.new, "rounds": len(rounds)}
    for key in ("seconds", "whole_seconds"):
        ratios = [each["tuned"][key] / each["head"][key] for each in rounds]
        result[key] = {side: round(statistics.median(each[side][key] for each in rounds), 2) for side in SIDES} | {
            "ratio": round(statistics.median(ratios), 3),
            "ratios": [round(each, 3) for each in ratios],
        }
    return result


def show(result: dict[str, Any]) -> None:
    for key, what in (("seconds", "from a folder to searchable"), ("whole_seconds", "the whole command")):
        row = result[key]
        print(
            f"{result['new']} pictures, {what}: tuned {row['tuned']:.1f} s, head {row['head']:.1f} s, "
            f"ratio {row['ratio']} of {row['ratios']}"
        )


if __name__ == "__main__":
    main()
