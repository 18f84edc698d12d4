"""`lookalike search`: by product and by picture, filtered, and on a contact sheet."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from api.cli.main import cli

Run = Callable[..., tuple[int, dict[str, Any]]]
Refused = Callable[..., str]


def ids(answer: dict[str, Any]) -> list[str]:
    return [neighbor["product_id"] for neighbor in answer["neighbors"]]


def test_a_product_finds_its_likes(run: Run, indexed: Path) -> None:
    status, answer = run("search", "--product", "red-0", "-n", 3, "--data", indexed)
    assert (status, list(answer), answer["query"]) == (0, ["query", "neighbors"], {"product_id": "red-0"})
    assert [list(each) for each in answer["neighbors"]] == [
        ["product_id", "score", "percentile", "likeness", "attributes"]
    ] * 3
    assert "red-0" not in ids(answer)
    assert ids(answer)[0].startswith("red-")
    assert answer["neighbors"][0]["attributes"]["color"] == "red"


def test_a_picture_of_the_catalog_finds_itself_first(run: Run, indexed: Path, pictures: Path) -> None:
    status, answer = run("search", pictures / "blue-2.jpg", "-n", 2, "--data", indexed)
    assert (status, answer["query"]) == (0, {"image": str(pictures / "blue-2.jpg")})
    assert answer["neighbors"][0]["product_id"] == "blue-2"
    assert answer["neighbors"][0]["score"] == pytest.approx(1, abs=1e-3)


def test_filter_and_score_narrow(run: Run, indexed: Path) -> None:
    blue = '{"must": [{"key": "color", "match": {"value": "blue"}}, {"key": "price", "range": {"lt": 2}}]}'
    _, answer = run("search", "--product", "red-0", "--filter", blue, "--data", indexed)
    assert sorted(ids(answer)) == ["blue-0", "blue-1"]
    _, everything = run("search", "--product", "red-0", "-n", 20, "--data", indexed)
    middle = everything["neighbors"][5]["score"]
    _, answer = run("search", "--product", "red-0", "-n", 20, "--min-score", middle - 1e-6, "--data", indexed)
    assert ids(answer) == ids(everything)[:6]


UNKNOWN = '{"must": [{"key": "colour", "match": {"value": "blue"}}, {"key": "prices", "range": {"lt": 2}}]}'


@pytest.mark.parametrize("command", [["search", "--product", "red-0"], ["show"]], ids=["search", "show"])
def test_an_empty_answer_says_which_keys_no_product_has(run: Run, indexed: Path, command: list[str]) -> None:
    _, answer = run(*command, "--filter", UNKNOWN, "--data", indexed)
    assert [(each["key"], each["suggestion"]) for each in answer["warnings"]] == [
        ("colour", "color"),
        ("prices", "price"),
    ]
    result = CliRunner().invoke(cli, [*command, "--filter", UNKNOWN, "--data", str(indexed)])
    assert result.exit_code == 0
    assert "No product has a value at colour, so a condition on it matches nothing; perhaps color is meant.\n" in (
        result.stderr
    )
    assert "colour" not in result.stdout
    assert "warnings" not in run(*command, "--data", indexed)[1]


def test_the_contact_sheet_needs_no_other_file(run: Run, indexed: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.html"
    run("search", "--product", "red-0", "-n", 4, "--html", sheet, "--data", indexed)
    html = sheet.read_text()
    assert html.count("data:image/webp;base64,") == 5
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!data:)""", html)
    assert "url(" not in html and "red-0" in html


def test_the_table_is_for_people(indexed: Path) -> None:
    result = CliRunner().invoke(cli, ["search", "--product", "red-0", "-n", "2", "--data", str(indexed)])
    assert result.exit_code == 0
    assert "Like red-0" in result.stdout and "color red" in result.stdout


HOSTILE = "<script>alert(1)</script>[red]x[/blue]\x1b[2J\u202e\nend"


@pytest.fixture
def hostile(run: Run, tmp_path: Path) -> Path:
    """A catalog whose product IDs and attributes are markup, escape sequences and line breaks."""
    features = np.eye(2, 2048, dtype=np.float32) + 1
    attributes = [json.dumps({"name": HOSTILE})] * 2
    ids = np.array([HOSTILE, "plain"])
    np.savez(tmp_path / "a.npz", product_id=ids, features=features, attributes=np.array(attributes))
    assert run("import", tmp_path / "a.npz", "--data", tmp_path / "data")[0] == 0
    return tmp_path / "data"


def test_what_strangers_wrote_is_shown_and_not_obeyed(hostile: Path, run: Run, tmp_path: Path) -> None:
    for arguments in (["search", "--product", "plain"], ["show"], ["show", HOSTILE], ["remove", f"{HOSTILE}!"]):
        result = CliRunner().invoke(cli, [*arguments, "--data", str(hostile)])
        assert result.exit_code == (1 if arguments[0] == "remove" else 0), result.output
        assert not {"\x1b", "\u202e"} & set(result.output)
        assert "[red]x[/blue]" in result.output.replace("\n", "").replace(" ", "") or arguments[0] != "remove"
    sheet = tmp_path / "sheet.html"
    _, answer = run("search", "--product", "plain", "--html", sheet, "--data", hostile)
    assert answer["neighbors"][0]["product_id"] == HOSTILE
    assert "<script" not in sheet.read_text() and "&lt;script&gt;" in sheet.read_text()


def test_a_name_that_looks_like_markup_is_only_a_name(refused: Refused, tmp_path: Path) -> None:
    refused("catalog_not_found", "search", "--product", "a", "--data", tmp_path / "[", "--catalog", "x")
    refused("catalog_invalid", "index", __file__, "--data", tmp_path / "d", "--catalog", "[/x]")


def test_reading_makes_no_data_folder(refused: Refused, run: Run, tmp_path: Path) -> None:
    refused("catalog_not_found", "search", "--product", "a", "--data", tmp_path / "new")
    assert run("catalogs", "--data", tmp_path / "new") == (0, {"catalogs": []})
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        ("product_not_found", ["--product", "nothing"]),
        ("catalog_not_found", ["--product", "red-0", "--catalog", "hats"]),
        ("invalid_input", []),
        ("invalid_input", ["{pictures}/red-0.jpg", "--product", "red-0"]),
        ("invalid_input", ["--product", "red-0", "-n", "0"]),
        ("invalid_input", ["--product", "red-0", "-n", "1001"]),
        ("invalid_input", ["--product", "red-0", "--min-score", "nan"]),
        ("product_id_invalid", ["--product", "\udcff"]),
        ("invalid_input", ["--product", "red-0", "--html", "{pictures}/no/where.html"]),
        ("filter_invalid", ["--product", "red-0", "--filter", "{{"]),
        ("filter_invalid", ["--product", "red-0", "--filter", '{{"most": []}}']),
        ("filter_invalid", ["--product", "red-0", "--filter", '{{"must": [{{"key": "a", "match": {{"valu": 1}}}}]}}']),
        ("image_not_readable", ["{pictures}/nothing.jpg"]),
        ("image_unsupported", ["{attributes}"]),
    ],
)
def test_bad_questions_are_refused(
    refused: Refused, indexed: Path, pictures: Path, attributes: Path, code: str, arguments: list[str]
) -> None:
    given = [each.format(pictures=pictures, attributes=attributes) for each in arguments]
    refused(code, "search", *given, "--data", indexed)
