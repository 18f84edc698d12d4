"""What tuned features find against head features, on demo products, by category and by color.

    python bench/evaluation.py --out bench/results/evaluation.json && python bench/report.py

It draws a demo catalog of another seed than the tests', indexes it, builds a generation of tuned features and evaluates
both, with the commands that users have. `report.py` writes what was found into docs/models.md. It takes some ten
minutes on two processors.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from results import keep

from services import demo

ENCODER = "efficientnet_lite0"
LABELS = ("category", "color")


def main() -> None:
    arguments = parsed()
    with tempfile.TemporaryDirectory() as work:
        pictures = Path(work) / "pictures"
        demo.write(pictures, seed=arguments.seed, per_category=arguments.per_category)
        options = ["--data", f"{work}/data", "--json"]
        table = ["--attributes", f"{pictures}/attributes.csv"]
        run("index", str(pictures), *table, "--encoder", ENCODER, *options)
        run("reindex", "--features", "tuned", *options)
        found = run("evaluate", *(f"--label={label}" for label in LABELS), *options)
    labels = [{name: each[name] for name in ("label", "queries", "values", "figures")} for each in found["labels"]]
    for label, whole in zip(labels, found["labels"], strict=True):
        label["differences"] = whole["compared"][0]["differences"]
        label["by_value"] = whole["compared"][0]["values"]
    keep({"seed": arguments.seed, "products": found["products"], "encoder": ENCODER, "labels": labels}, arguments.out)
    print(json.dumps(labels, indent=2))


def run(*command: str) -> dict[str, Any]:
    """What a command says."""
    ran = subprocess.run([Path(sys.executable).with_name("lookalike"), *command], capture_output=True, text=True)
    if ran.returncode:
        raise SystemExit(f"{' '.join(command)} failed: {ran.stdout} {ran.stderr}")
    said: dict[str, Any] = json.loads(ran.stdout)
    return said


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=11, help="of the drawings")
    parser.add_argument("--per-category", type=int, default=170, help="products of each of 18 categories")
    parser.add_argument("--out", type=Path, help="write the result here, as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
