"""All benches, one after the other, and a table of what they found.

    python bench/suite.py [--full] [NAME ...]

Without `--full` sizes are small, for twenty minutes: enough to see that a change did not cost half of something, too
few for the last digit. With it (two hours) figures are those that docs/performance.md shows, which is written anew.
Names choose benches: `python bench/suite.py --full search serving` keeps what was found
of the others.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from report import RESULTS, cells, main, read
from rich.console import Console
from rich.table import Table as Grid
from tables import Table, tables

HERE = Path(__file__).parent
SHORT = HERE / "results" / "short"

OPTIONS = {
    "encode": ("--rounds 1 --seconds 2 --batch 16", "--rounds 5 --seconds 8"),
    "costs": ("--images 16", "--images 512"),
    "decode": ("--images 200 --rounds 1", ""),
    "ingest": ("--small 10 --large 50 --rounds 1", "--rounds 2"),
    "pipeline": ("--small 16 --large 64 --rounds 1 --many 0 --batch 16", "--rounds 3"),
    "search": ("--products 2000 --queries 20", ""),
    "filters": ("--products 2000 --dim 2048 --queries 6", "--vectors clustered features"),
    "serving": ("--images 64 --rounds 1 --starts 1", "--rounds 2"),
    "building": ("--products 2000 --images 64 --rounds 1", "--products 20000 --images 1500 --rounds 2"),
    "service": ("--lines 20000 --images 64 --rounds 1", "--images 600 --rounds 2"),
    "evaluation": ("--per-category 60", ""),
    "navigation": ("--per-category 60 --untrained 40", ""),
    "outliers": ("--per-category 20 --draws 1", ""),
    "map": ("--per-category 60 --small 1000 --large 5000", ""),
    "duplicates": ("--per-category 34", ""),
    "scaling": ("--workers 1 2 --batches 8 --rounds 1", "--rounds 2"),
    "tuned": ("--rounds 1 --seconds 1 --batch 16", ""),
    "tuned_folder": ("--old 54 --new 36 --rounds 1", ""),
    "tuned_search": ("--products 5000 --queries 20", ""),
    "queries": ("--products 5000 --queries 20", ""),
}
"""The options of each bench, in short and in full."""


def run() -> None:
    arguments = parsed()
    folder = RESULTS if arguments.full else SHORT
    for name in arguments.name or OPTIONS:
        options = OPTIONS[name][arguments.full].split()
        command = [sys.executable, str(HERE / f"{name}.py"), *options, "--out", str(folder / f"{name}.json")]
        print(f"\n{name} {' '.join(options)}", file=sys.stderr, flush=True)
        started = time.monotonic()
        if subprocess.run(command, stdout=sys.stderr).returncode:
            raise SystemExit(f"{name} failed; the others are not run.")
        print(f"{name} took {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    show(tables(read(folder)))
    if arguments.full:
        main()
    else:
        print("The bars are for the sizes of make bench-full.")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="take the time for figures worth showing")
    parser.add_argument("name", nargs="*", choices=[[], *OPTIONS], help="only these benches")
    return parser.parse_args()


def show(found: list[Table]) -> None:
    console = Console()
    for table in found:
        grid = Grid("what", "seen", "against", "figure", "bar", "met", title=table.title, title_justify="left")
        for line in table.lines:
            grid.add_row(*(each.replace("**", "") for each in cells(line)))
        console.print(grid)


if __name__ == "__main__":
    run()
