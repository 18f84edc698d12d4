"""`lookalike facets`, and `show --sort`: by the library and through a service."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from api.cli.main import cli

Run = Callable[..., tuple[int, dict[str, Any]]]
Refused = Callable[..., str]
RED = '{"must": [{"key": "color", "match": {"value": "red"}}]}'
COLOUR = '{"must": [{"key": "colour", "match": {"value": "red"}}]}'
COLORS = [{"value": "blue", "count": 4}, {"value": "green", "count": 4}, {"value": "red", "count": 4}]


def test_facets_of_all_or_some_attributes(run: Run, indexed: Path) -> None:
    status, answer = run("facets", "--data", indexed)
    assert (status, answer["catalog"]) == (0, "products")
    color, price = answer["facets"]
    assert color == {"key": "color", "kind": "keyword", "values": COLORS, "numbers": None}
    numbers = price["numbers"]
    assert (price["kind"], price["values"], numbers["count"]) == ("float", None, 12)
    assert (numbers["min"], numbers["max"], sum(each["count"] for each in numbers["histogram"])) == (0.5, 3.5, 12)
    _, answer = run("facets", "color", "--filter", RED, "--limit", 1, "--data", indexed)
    assert [each["values"] for each in answer["facets"]] == [[COLORS[2]]]
    assert run("facets", "color", "--filter", COLOUR, "--data", indexed)[1]["warnings"][0]["suggestion"] == "color"


def test_facets_are_tables_with_bars(indexed: Path) -> None:
    told = CliRunner().invoke(cli, ["facets", "price", "color", "-n", "2", "--data", str(indexed)])
    assert told.exit_code == 0
    lines = [line.split() for line in told.stdout.splitlines()]
    assert ["price", "(float):", "12", "products,", "0.5", "to", "3.5"] in lines
    assert ["color", "(keyword):", "the", "2", "most", "frequent", "values"] in lines
    bars = {line[1]: line[-2] for line in lines if "█" in "".join(line)}
    assert bars["blue"] == bars["green"] and len(bars["blue"]) == 30
    assert bars["0.5"] == bars["3.5"] == bars["blue"] and "1.0" not in bars


def test_what_has_no_facets_is_refused_by_name(refused: Refused, indexed: Path) -> None:
    assert "'weight' has no facets" in refused("attribute_not_indexed", "facets", "weight", "--data", indexed)
    refused("filter_invalid", "facets", "--filter", "{", "--data", indexed)
    refused("invalid_input", "facets", "color", "--limit", 0, "--data", indexed)


def test_show_sorts_page_by_page(run: Run, refused: Refused, indexed: Path) -> None:
    prices: list[float] = []
    after: list[object] = []
    for _ in range(3):
        _, page = run("show", "-n", 5, "--sort", "-price", *after, "--data", indexed)
        prices += [each["attributes"]["price"] for each in page["products"]]
        after = ["--after", page["next"]]
    assert prices == sorted(prices, reverse=True) and len(prices) == 12
    _, page = run("show", "-n", 5, "--sort", "price", "--data", indexed)
    for sort in (["--sort", "-price"], []):
        refused("invalid_input", "show", *sort, "--after", page["next"], "--data", indexed)
    assert "there are price" in refused("attribute_not_sortable", "show", "--sort", "color", "--data", indexed)
