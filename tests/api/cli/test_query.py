"""`lookalike query`, `path`, `axis` and `directions`: over a folder and over a service, for programs and for people."""

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from beside import beside
from click.testing import CliRunner
from shelf import CHANCE
from shelf import shelf as shelf

from api.cli.main import cli
from services.testing import load_stub

Run = Callable[..., tuple[int, dict[str, Any]]]
Refused = Callable[..., str]

BLUE = '{"must": {"key": "color", "match": {"value": "blue"}}}'
RED = '{"must":[{"key":"color","match":{"value":"red"}}]}'
COMMANDS: dict[str, tuple[object, ...]] = {
    "one": ("query", "mug-red-1", "-n", 3),
    "several": ("query", "mug-red-1 - 0.5 sock-blue-2 + direction:red", "--explain", "-n", 3),
    "words": ("query", "mug-red-1", "-", "0.5", "sock-blue-2", "+", "direction:red", "--explain", "-n", 3),
    "examples": ("query", "--like", "mug-red-1", "--like", "product:sock-red-1", "--unlike", "mug-blue-1", "-n", 2),
    "groups": ("query", "mug-red-1", "--group-by", "color", "--group-size", 2, "-n", 2, "--exclude", "mug-red-2"),
    "diverse": ("query", "mug-red-1", "--diversity", 0.5, "-n", 3, "--filter", BLUE),
    "none": ("query", "mug-red-1", "--filter", BLUE.replace("color", "colour")),
    "path": ("path", "mug-red-1", "sock-blue-2", "--steps", 3),
    "axis": ("axis", "red", "-n", 3, "--reverse"),
    "stops": ("axis", "red", "--stops", 4, "--filter", BLUE),
    "directions": ("directions", "list"),
    "direction": ("directions", "show", "red"),
    "search": ("search", "--product", "mug-red-1", "-n", 2),
}


@pytest.fixture(scope="module", params=["library", "service"])
def stocked(shelf: Path, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The shelf for tests that only read; either way."""
    data = Path(shutil.copytree(shelf, tmp_path_factory.mktemp("stocked") / "data"))
    with beside(data, load=load_stub) if request.param == "service" else nullcontext():
        yield data


@pytest.fixture(scope="module")
def answers() -> dict[str, Any]:
    """What was answered one way, to be compared with the other."""
    return {}


@pytest.mark.parametrize("name", COMMANDS)
def test_both_ways_tell_the_same(run: Run, stocked: Path, name: str, answers: dict[str, Any]) -> None:
    status, answer = run(*COMMANDS[name], "--data", stocked)
    assert status == 0
    assert answers.setdefault(name, answer) == answer


def ids(answer: dict[str, Any]) -> list[str]:
    return [each["product_id"] for each in answer["neighbors"]]


def test_an_answer_has_the_fields_of_the_api(run: Run, stocked: Path) -> None:
    _, answer = run(*COMMANDS["several"], "--data", stocked)
    assert list(answer) == ["query", "neighbors", "good", "color_weight", "notes"]
    assert answer["query"] == {
        "near": [
            {"product_id": "mug-red-1", "weight": 1.0},
            {"product_id": "sock-blue-2", "weight": -0.5},
            {"direction": "red", "weight": 1.0},
        ]
    }
    assert [each["code"] for each in answer["notes"]] == ["filter_would_do"]
    for each in answer["neighbors"]:
        assert list(each) == ["product_id", "score", "percentile", "likeness", "attributes", "explanation"]
        shares = [term["share"] for term in each["explanation"]["terms"]]
        assert sum(shares) == pytest.approx(each["score"], abs=1e-5)
        assert each["explanation"]["in_common"]["color"] == "red"
    _, grouped = run(*COMMANDS["groups"], "--data", stocked)
    assert [each["group"] for each in grouped["neighbors"]] == ["red", "red", *[grouped["neighbors"][2]["group"]] * 2]
    assert not {"mug-red-1", "mug-red-2"} & {*ids(grouped)}


def shown(*arguments: object) -> tuple[str, str]:
    """What a command prints for people."""
    result = CliRunner(env={"COLUMNS": "160"}).invoke(cli, [*map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout, result.stderr


def test_people_read_likeness_groups_shares_and_notes(stocked: Path) -> None:
    table, notes = shown("query", "mug-red-1 + direction:red", "--explain", "--group-by", "color", "--data", stocked)
    assert table.startswith("mug-red-1 + direction:red ") and "group: color" in table and "percentile" in table
    assert re.search(r"very alike|alike|weak", table) and re.search(r"[+-]0\.\d{3} direction:red", table)
    assert (
        "in common: color red" in table and "\\n" not in table and "Direction red leads to what a filter finds" in notes
    )
    far, _ = shown("query", "mug-red-1", "--filter", BLUE, "--data", stocked)
    assert "No good match: none of these is alike." in far
    assert "No good match" in shown("search", "--product", "mug-red-1", "--filter", BLUE, "--data", stocked)[0]
    assert "No good match" not in table


SHEETS: dict[str, tuple[tuple[object, ...], int]] = {
    "query": (("query", "mug-red-1 - 0.5 sock-blue-2 + direction:red", "-n", 3), 5),
    "path": (("path", "mug-red-1", "sock-blue-2", "--steps", 3), 5),
    "axis": (("axis", "red", "--stops", 4), 4),
}


@pytest.mark.parametrize("name", SHEETS)
def test_a_contact_sheet_needs_no_other_file(run: Run, stocked: Path, tmp_path: Path, name: str) -> None:
    arguments, pictures = SHEETS[name]
    sheet = tmp_path / "sheet.html"
    _, answer = run(*arguments, "--html", sheet, "--data", stocked)
    html = sheet.read_text()
    assert html.count("data:image/webp;base64,") == pictures
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!data:)""", html) and "url(" not in html
    places = [html.index(f"<b>{each}</b>") for each in ids(answer)]
    assert places == sorted(places)
    if name == "query":
        assert '<p class="label">-0.5</p>' in html and '<div class="none">direction</div>' in html
        assert f"<small>percentile {answer['neighbors'][0]['percentile']:.2f}</small><small>" in html


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        ("query_invalid", ["query"]),
        ("query_invalid", ["query", "mug-red-1 mug-red-2"]),
        ("query_invalid", ["query", "red"]),
        ("query_invalid", ["query", "mug-red-1 - mug-red-1"]),
        ("product_not_found", ["query", "nothing"]),
        ("product_not_found", ["query", "--like", "nothing"]),
        ("product_id_invalid", ["query", "x" * 513]),
        ("product_id_invalid", ["query", "\udcff"]),
        ("direction_not_found", ["query", "mug-red-1 + direction:nothing"]),
        ("image_not_readable", ["query", "file:nothing.jpg"]),
        ("filter_invalid", ["query", "mug-red-1", "--filter", "["]),
        ("invalid_input", ["query", "mug-red-1", "--min-percentile", "nan"]),
        ("invalid_input", ["query", "mug-red-1", "--color-weight", "2"]),
        ("invalid_input", ["query", "mug-red-1", "--diversity", "0.5", "--rerank"]),
        ("invalid_input", ["query", "mug-red-1", "--html", "no/where.html"]),
        ("invalid_input", ["path", "mug-red-1", "mug-red-2", "--steps", "51"]),
        ("query_invalid", ["path", "mug-red-1", "mug-red-1"]),
        ("product_not_found", ["path", "mug-red-1", "nothing"]),
        ("direction_not_found", ["axis", "mid century"]),
        ("direction_not_found", ["axis", "\udcff", "--stops", "3"]),
        ("invalid_input", ["axis", "red", "--stops", "1"]),
        ("invalid_input", ["axis", "red", "--stops", "5", "--reverse"]),
        ("invalid_input", ["axis", "red", "-n", "0"]),
        ("direction_not_found", ["directions", "show", "nothing"]),
        ("direction_not_found", ["directions", "remove", "a/b"]),
        ("invalid_input", ["directions", "learn", "new"]),
        ("invalid_input", ["directions", "learn", "new", "--toward-filter", RED, "--toward-ids", "ids"]),
        ("invalid_input", ["directions", "learn", "new", "--toward-ids", "no/where"]),
        ("invalid_input", ["directions", "learn", "new name", "--toward-filter", RED]),
        ("invalid_input", ["directions", "learn", "new", "--toward-filter", RED, "--color-weight", "2"]),
        ("filter_invalid", ["directions", "learn", "new", "--toward-filter", '{"must": [{"key": "color"}]}']),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_sentence(refused: Refused, stocked: Path, code: str, arguments: list[str]) -> None:
    refused(code, *arguments, "--data", stocked)


def test_directions_are_learned_from_files_of_ids_shown_and_removed(
    run: Run, refused: Refused, stocked: Path, tmp_path: Path
) -> None:
    toward, away = tmp_path / "toward", tmp_path / "away"
    toward.write_text("\ufeff" + "\r\n".join([*CHANCE, "", CHANCE[0]]), encoding="utf-8")
    away.write_text("\n".join(f"{kind}-blue-{n}" for kind in ("mug", "sock") for n in range(10)))
    forced = ["directions", "learn", "chance", "--toward-ids", toward, "--force", "--data", stocked]
    assert re.search(rf"learned direction chance from {len(CHANCE)} and .* quality 0\.\d\d \(weak\)", shown(*forced)[0])
    _, listed = run("directions", "list", "--data", stocked)
    assert [(each["name"], each["weak"]) for each in listed["directions"]] == [("chance", True), ("red", False)]
    for arguments in (["directions", "list"], ["directions", "show", "chance"]):
        assert "(weak)" in shown(*arguments, "--data", stocked)[0]
    for arguments in (["query", "mug-red-1 + direction:chance"], ["axis", "chance"], ["axis", "chance", "--stops", 2]):
        sheet = tmp_path / "sheet.html"
        assert "is weak" in shown(*arguments, "--html", sheet, "--data", stocked)[1].replace("\n", " ")
        assert "Direction chance is weak" in sheet.read_text()
    _, told = run("directions", "show", "chance", "--data", stocked)
    assert (told["toward"], told["away_from"]) == ({"product_ids": [*CHANCE]}, None)
    _, learned = run("directions", "learn", "chance", "--toward-filter", RED, "--away-ids", away, "--within", "kind",
                     "--data", stocked)  # fmt: skip
    assert (learned["weak"], learned["positives"], learned["negatives"], learned["categories"]) == (False, 20, 20, 2)
    assert run("directions", "remove", "chance", "--data", stocked)[1]["removed"]
    assert [each["name"] for each in run("directions", "list", "--data", stocked)[1]["directions"]] == ["red"]


@pytest.mark.long
def test_pictures_are_terms_and_ends(run: Run, refused: Refused, indexed: Path, pictures: Path, tmp_path: Path) -> None:
    blue, red, bad = pictures / "blue-2.jpg", tmp_path / "a b.jpg", tmp_path / "bad.jpg"
    red.write_bytes((pictures / "red-1.jpg").read_bytes())
    bad.write_bytes(red.read_bytes()[:700])
    sheet = tmp_path / "sheet.html"
    _, answer = run("query", f"file:{blue}", "-n", 1, "--html", sheet, "--data", indexed)
    assert answer["query"] == {"near": [{"image": str(blue), "weight": 1.0}]}
    assert (ids(answer), answer["neighbors"][0]["likeness"]) == (["blue-2"], "same_picture")
    assert sheet.read_text().count("data:image/webp;base64,") == 2 and "<b>blue-2.jpg</b>" in sheet.read_text()
    _, answer = run("query", f'file:{blue} - 0.5 file:"{red}"', "--explain", "-n", 1, "--data", indexed)
    assert [each["term"] for each in answer["neighbors"][0]["explanation"]["terms"]] == [str(blue), str(red)]
    _, answer = run("path", f"file:{blue}", f"file:{red}", "--steps", 2, "--data", indexed)
    assert len(answer["neighbors"]) == 2
    assert refused("image_corrupt", "query", f"file:{bad}", "--data", indexed).startswith(f"{bad}: ")
    both = refused("image_corrupt", "query", f"file:{blue}", "--like", f"file:{bad}", "--data", indexed)
    assert both.startswith(f"One of {blue}, {bad}: ")


def test_what_strangers_wrote_is_shown_and_not_obeyed(stocked: Path) -> None:
    result = CliRunner().invoke(cli, ["query", "\x1b[2J\u202e", "--data", str(stocked)])
    assert result.exit_code == 2 and not {"\x1b", "\u202e"} & set(result.output)
