"""Writes what `bench/results` holds into pages of docs: each table between its marks, and plots.

    python bench/report.py

The page's own words stay as they are. A test fails where the page's tables are not those of the results.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from duplicates_tables import duplicates_tables
from map_tables import map_tables
from navigation_tables import navigation_tables
from outliers_tables import outliers_tables
from plots import plot_costs, plot_table
from tables import Line, Result, Table, tables

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench" / "results"
PAGE = ROOT / "docs" / "performance.md"
MODELS = ROOT / "docs" / "models.md"
NAVIGATION = ROOT / "docs" / "navigation.md"
PLOTS = ROOT / "docs" / "performance"
METRICS = {"precision@1": "1-NN", "precision@5": "precision@5", "precision@10": "precision@10", "map": "mAP"}


def main() -> None:
    results = read(RESULTS)
    for path in (PAGE, MODELS, NAVIGATION):
        path.write_text(page(path.read_text(), results))
    PLOTS.mkdir(exist_ok=True)
    for table in tables(results):
        plot_table(table, PLOTS / f"{table.name}.svg")
    if costs := results.get("costs"):
        plot_costs(costs["stages_milliseconds"], "ms of processor time an image", PLOTS / "costs.svg")
        plot_costs(costs["start_seconds"], "seconds of a start", PLOTS / "start-up.svg")


def read(folder: Path) -> dict[str, Result]:
    """What each bench wrote, by its name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def page(text: str, results: Mapping[str, Result]) -> str:
    """The page with the tables of these results between `<!-- table NAME -->` and `<!-- end -->`."""
    blocks = {table.name: markdown(table) for table in tables(results)}
    if costs := results.get("costs"):
        blocks["costs"] = costs_markdown(costs["stages_milliseconds"], "ms of processor time an image")
        blocks["costs"] += f"\n| a whole service, all processes | {costs['whole_milliseconds']:.2f} | |"
        blocks["start-up"] = costs_markdown(costs["start_seconds"], "seconds")
    for found in results.get("evaluation", {}).get("labels", ()):
        blocks[f"by-{found['label']}"] = evaluation_markdown(found)
    if navigation := results.get("navigation"):
        blocks |= navigation_tables(navigation)
        blocks["navigation-machine"] = f"Measured on {described(navigation['machine'])}."
    if outliers := results.get("outliers"):
        blocks |= outliers_tables(outliers)
    if found := results.get("map"):
        blocks |= map_tables(found)
        blocks["map-machine"] = f"Measured on {described(found['machine'])}."
    if duplicates := results.get("duplicates"):
        blocks |= duplicates_tables(duplicates)
        seen = described(duplicates["machine"])
        blocks["duplicates-found"] += f"\n\nMeasured on {seen}."
    blocks["machine"] = "\n".join(machines(results))

    def filled(match: re.Match[str]) -> str:
        return f"<!-- table {match[1]} -->\n{blocks[match[1]]}\n<!-- end -->"

    return re.sub(r"<!-- table (\S+) -->\n.*?<!-- end -->", filled, text, flags=re.DOTALL)


def markdown(table: Table) -> str:
    head = ["| what | seen | against | ratio or figure | bar | met |", "|---|---|---|---|---|---|"]
    return "\n".join([*head, *(f"| {' | '.join(cells(line))} |" for line in table.lines)])


def cells(line: Line) -> list[str]:
    """What, seen, against, figure, bar, met."""
    figure = "" if line.figure is None else f"{line.figure:,}{line.unit}"
    bar = "" if line.bar is None else f"{'at most' if line.at_most else 'at least'} {line.bar:,}{line.unit}"
    return [line.what, line.seen, line.reference, figure, bar, {True: "yes", False: "**no**", None: ""}[line.met]]


def evaluation_markdown(found: Result) -> str:
    """What head and tuned features find, in percent, with 95% intervals; and where tuned ones are not better."""
    lines = ["| | head | tuned | difference | |", "|---|---|---|---|---|"]
    for name, shown in METRICS.items():
        head, tuned = (each[name] for each in found["figures"])
        lines.append(f"| {shown} | {_percent(head)} | {_percent(tuned)} | {_percent(found['differences'][name])} | ")
        lines[-1] += f"{found['differences'][name]['verdict']} |"
    worse = [each for each in found["by_value"] if each["verdict"] == "worse"]
    named = ", ".join(f"{each['value']} ({100 * each['mean']:+.1f})" for each in worse) or "none"
    alike = sum(each["verdict"] not in ("better", "worse") for each in found["by_value"])
    said = f"Of {found['values']} values, precision@5 is worse for {len(worse)}: {named}; not told apart for {alike}."
    return "\n".join([*lines, "", said])


def _percent(figure: Mapping[str, float]) -> str:
    return f"{100 * figure['mean']:.1f} [{100 * figure['low']:.1f}, {100 * figure['high']:.1f}]"


def costs_markdown(parts: Mapping[str, float], title: str) -> str:
    together = sum(parts.values())
    lines = [f"| {name} | {each:.2f} | {each / together:.1%} |" for name, each in parts.items()]
    return "\n".join([f"| | {title} | share |", "|---|---|---|", *lines, f"| together | {together:.2f} | |"])


def machines(results: Mapping[str, Result]) -> list[str]:
    """A sentence for each machine that results are from: mostly one."""
    found: dict[str, list[str]] = {}
    for name, result in results.items():
        found.setdefault(json.dumps(result["machine"], sort_keys=True), []).append(name)
    return [f"{', '.join(names)}: {described(json.loads(machine))}." for machine, names in found.items()]


def described(machine: Mapping[str, Any]) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    features = ", ".join(machine["features"])
    return f"{machine['processors']} processors ({machine['processor']}; {features}); {packages}"


if __name__ == "__main__":
    main()
