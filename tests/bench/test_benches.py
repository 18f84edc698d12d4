"""Every bench runs, on a little, and gives the figures that its tables show. What they are is nothing to a test."""

import json
import math
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ingest import Run, summary, watched
from search import Side
from suite import OPTIONS
from tables import tables

BENCH = Path(__file__).parent.parent.parent / "bench"
LITTLE = {
    "decode": "--images 4 --rounds 1 --side 100",
    "search": "--products 700 --queries 3",
    "filters": "--products 400 --dim 32 --queries 2",
    "scaling": "--workers 1 2 --batches 5 --seconds 0.1 --rounds 1",
    "tuned_search": "--products 60 --queries 2",
    "queries": "--products 60 --queries 2",
}
LITTLE_BUT_LONG = {
    "encode": "--encoder efficientnet_lite0 --rounds 1 --seconds 0.1",
    "costs": "--images 4 --side 100 --encoder efficientnet_lite0",
    "ingest": "--small 3 --large 6 --rounds 1 --side 100 --precision float32",
    "pipeline": "--small 3 --large 6 --rounds 1 --side 100 --few 5 --many 10 --precision float32",
    "serving": "--products 50 --images 80 --rounds 1 --starts 1 --side 100 --encoder efficientnet_lite0",
    "building": "--products 300 --images 20 --rounds 1 --side 100 --encoder efficientnet_lite0",
    "tuned": "--rounds 1 --seconds 0.1 --batch 2 --pictures 20",
    "tuned_folder": "--old 4 --new 2 --rounds 1",
    "evaluation": "--per-category 56",
    "navigation": "--per-category 40 --untrained 40",
    "outliers": "--per-category 12 --draws 1",
    "map": "--per-category 40 --small 600 --large 1700",
    "duplicates": "--per-category 12 --copies 12 --variants 12",
    "service": "--lines 400 --images 8 --clients 4 --rounds 1 --side 100 --encoder efficientnet_lite0",
}
"""Whole commands that load encoders, most of them several times."""


def ran(name: str, options: str, out: Path) -> dict[str, Any]:
    command = [sys.executable, str(BENCH / f"{name}.py"), *shlex.split(options), "--out", str(out)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout
    return dict(json.loads(out.read_text()))


def check_its_tables_are_full(name: str, result: dict[str, Any]) -> None:
    assert result["machine"]["processors"] > 0
    for table in tables({name: result}):
        assert table.lines
        for line in table.lines:
            if "bfloat16" not in line.what:
                assert line.figure is not None and math.isfinite(line.figure), line


def test_every_bench_is_tried() -> None:
    assert {*LITTLE, *LITTLE_BUT_LONG} == {*OPTIONS}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.long if name in ("search", "scaling") else ()) for name in LITTLE]
)
def test_a_bench_gives_the_figures_of_its_tables(tmp_path: Path, name: str) -> None:
    check_its_tables_are_full(name, ran(name, LITTLE[name], tmp_path / "result.json"))


@pytest.mark.nightly
@pytest.mark.parametrize("name", LITTLE_BUT_LONG)
def test_a_longer_bench_gives_the_figures_of_its_tables(tmp_path: Path, name: str) -> None:
    result = ran(name, LITTLE_BUT_LONG[name], tmp_path / "result.json")
    check_its_tables_are_full(name, result)
    if name == "costs":
        assert min(result["start_seconds"].values()) >= 0 < sum(result["stages_milliseconds"].values())


@pytest.mark.nightly
def test_what_pollers_cost_is_told(tmp_path: Path) -> None:
    found = ran("pollers", "--pollers 5 --products 50 --rounds 2 --seconds 2 --every 0.2", tmp_path / "result.json")
    assert len(found["rounds"]) == 2 and found["ratio"] > 0
    assert found["answers_to_pollers"].keys() == {"200", "304"} and found["answers_to_pollers"]["304"] > 0


def test_copies_are_found_at_once_as_one_by_one(tmp_path: Path) -> None:
    found = ran("together", "--products 400 --dim 32", tmp_path / "result.json")
    assert (found["copies"], found["alone_missed"], found["together_missed"]) == (8, 0, 0)
    assert min(found["alone_ms"], found["together_ms"]) > 0


@pytest.mark.nightly
def test_what_refusing_costs_is_told(tmp_path: Path) -> None:
    options = "--products 50 --images 8 --rounds 2 --side 100 --encoder efficientnet_lite0"
    found = ran("refusing", options, tmp_path / "result.json")
    assert len(found["ratios"]) == len(found["processor_ratios"]) == 2
    assert min(*found["ratios"], *found["processor_ratios"], found["share"]) > 0


def test_ratios_are_taken_round_by_round() -> None:
    """Given a machine that halves its speed after the first round, I expect the ratio that both rounds have."""
    fast = {"script": {200: Run(30, 900), 1000: Run(110, 5000)}, "float32": {200: Run(20, 900), 1000: Run(60, 900)}}
    slow = {side: {n: Run(2 * run.seconds, run.megabytes) for n, run in runs.items()} for side, runs in fast.items()}
    row: Any = summary([fast, slow], 200, 1000)["float32"]
    assert (row["marginal_ratio"], row["marginal_ratios"], row["small_speedup"]) == (2.0, [2.0, 2.0], 1.5)
    assert (row["seconds_small"], row["megabytes_large"]) == (30, 900)


def test_the_memory_of_a_command_is_that_of_its_children_too() -> None:
    code = "import subprocess, sys; held = bytearray(60_000_000); subprocess.run([sys.executable, '-c', {!r}])"
    child = "import time; held = bytearray(60_000_000); time.sleep(1)"
    assert 120 < watched([sys.executable, "-c", code.format(child)]).megabytes < 200


def test_a_neighbor_counts_as_found_where_its_score_is_among_the_ten_best() -> None:
    scores = np.concatenate([np.linspace(0.9, 1, 10, dtype=np.float32), np.full(90, 0.5, np.float32)])
    side = Side("a", lambda query, filtered: [9, 8, 7, 6, 5, 4, 3, 2, 1, 50])
    side.ask(np.zeros(1, np.float32), False, scores)
    assert side.summary(False)["recall_at_10"] == 0.9
