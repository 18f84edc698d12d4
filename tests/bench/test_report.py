"""The page on performance shows what the benches wrote, and says of each bar whether it was met."""

from functools import partial
from pathlib import Path

import pytest
from duplicates_tables import duplicates_tables
from navigation_tables import navigation_tables
from plots import plot_costs, plot_table
from report import MODELS, NAVIGATION, PAGE, PLOTS, RESULTS, cells, markdown, page, read
from suite import OPTIONS
from tables import Line, Table, tables


def test_every_bench_has_a_full_result_and_the_page_is_what_they_say() -> None:
    results = read(RESULTS)
    assert set(results) == set(OPTIONS)
    again = "write it anew with: python bench/report.py"
    for path in (PAGE, MODELS, NAVIGATION):
        assert path.read_text() == page(path.read_text(), results), again
    assert all(f"<!-- table by-{each['label']} -->" in MODELS.read_text() for each in results["evaluation"]["labels"])
    assert all(f"<!-- table {name} -->" in NAVIGATION.read_text() for name in navigation_tables(results["navigation"]))
    assert all(f"<!-- table {name} -->" in NAVIGATION.read_text() for name in duplicates_tables(results["duplicates"]))
    for table in tables(results):
        assert f"<!-- table {table.name} -->" in PAGE.read_text()
        assert f"performance/{table.name}.svg" in PAGE.read_text()
        assert table.title in (PLOTS / f"{table.name}.svg").read_text()


seen = partial(Line, "a", "1", "2")


@pytest.mark.parametrize(
    ("line", "met", "said"),
    [
        (seen(1.5, 1.5), True, ["a", "1", "2", "1.5", "at least 1.5", "yes"]),
        (seen(1.49, 1.5), False, ["a", "1", "2", "1.49", "at least 1.5", "**no**"]),
        (seen(3.0, 3, at_most=True, unit=" s"), True, ["a", "1", "2", "3.0 s", "at most 3 s", "yes"]),
        (seen(3.1, 3, at_most=True, unit=" s"), False, ["a", "1", "2", "3.1 s", "at most 3 s", "**no**"]),
        (seen(400.0, 100, unit="x", recall=0.99), True, ["a", "1", "2", "400.0x", "at least 100x", "yes"]),
        (seen(400.0, 100, unit="x", recall=0.98), False, ["a", "1", "2", "400.0x", "at least 100x", "**no**"]),
        (Line("a", "none", "", None, 2.5), None, ["a", "none", "", "", "at least 2.5", ""]),
        (seen(2.0), None, ["a", "1", "2", "2.0", "", ""]),
    ],
)
def test_a_bar_is_met_where_the_figure_reaches_it_and_enough_is_found(line: Line, met: bool, said: list[str]) -> None:
    assert (line.met, cells(line)) == (met, said)
    assert markdown(Table("t", "T", [line])).splitlines()[-1] == f"| {' | '.join(said)} |"


def test_a_plot_of_the_same_figures_is_the_same_file(tmp_path: Path) -> None:
    table = Table(
        "t", "Title", [Line("one", "1", "2", 1.5, 1.4), Line("two", "1", "2", 90.0, 100), Line("no", "", "", None, 2)]
    )
    for name in ("first", "second"):
        plot_table(table, tmp_path / f"{name}.svg")
        plot_costs({"fetch": 1.0, "encode": 9.0}, "ms", tmp_path / f"{name}-costs.svg")
    assert (tmp_path / "first.svg").read_bytes() == (tmp_path / "second.svg").read_bytes()
    assert (tmp_path / "first-costs.svg").read_bytes() == (tmp_path / "second-costs.svg").read_bytes()
    drawn = (tmp_path / "first.svg").read_text()
    assert "Title" in drawn and ">one<" in drawn and ">no<" not in drawn
    assert "90%" in (tmp_path / "first-costs.svg").read_text()
