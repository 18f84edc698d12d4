"""`lookalike outliers`: over a folder and over a service, for programs and for people."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from beside import beside
from click.testing import CliRunner
from shelf import picture
from shelf import shelf as shelf

from api.cli.main import cli
from services import bootstrap, settings
from services.records import Change
from services.testing import load_stub

Run = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture(scope="module", params=["library", "service"])
def stocked(shelf: Path, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The shelf with a mug that is filed under socks; either way."""
    data = Path(shutil.copytree(shelf, tmp_path_factory.mktemp("stocked") / "data"))
    with bootstrap.catalogs(settings.load(data=data, decode_processes=1), load=load_stub) as catalogs:
        wrong = Change("wrong", image=picture("red", "mug", 70), attributes={"kind": "sock"})
        [*catalogs.get("products").put([wrong])]
    with beside(data, load=load_stub) if request.param == "service" else nullcontext():
        yield data


def test_what_was_found_is_told_and_kept(run: Run, stocked: Path) -> None:
    status, answer = run("outliers", "--label", "kind", "--data", stocked)
    assert status == 0
    found = {each["product_id"]: each for each in answer["outliers"]}
    assert (found["wrong"]["label"], found["wrong"]["looks_like"]) == ("sock", "mug")
    assert (answer["catalog"], answer["label"], answer["products"], answer["stale"]) == ("products", "kind", 61, False)
    # It is not looked for again, as long as the catalog is what it was.
    assert answer.pop("seconds") >= 0
    _, again = run("outliers", "--label", "kind", "--data", stocked)
    assert again == answer | {"seconds": again["seconds"]}
    _, socks = run("outliers", "--label", "kind", "--value", "sock", "-n", 1, "--data", stocked)
    assert [each["label"] for each in socks["outliers"]] == ["sock"]
    _, isolated = run("outliers", "--isolated", "--data", stocked)
    assert (isolated["label"], isolated["products"], isolated["complete"]) == (None, 61, True)


def test_people_see_a_table_and_a_contact_sheet(stocked: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.html"
    for options in (("--label", "kind"), ("--isolated",)):
        asked = ["outliers", *options, "--html", str(sheet), "--data", str(stocked)]
        result = CliRunner(env={"COLUMNS": "160"}).invoke(cli, asked, catch_exceptions=False)
        assert result.exit_code == 0 and "of 61" in result.stdout, result.output
        page = sheet.read_text()
        assert "Products that" in page
        if "--label" in options:
            assert "looks like" in result.stdout and "wrong" in result.stdout
            assert "looks like mug" in page and "kind: sock" in page and "data:image/webp" in page


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ((), "invalid_input"),
        (("--label", "kind", "--isolated"), "invalid_input"),
        (("--label", "kin"), "label_unusable"),
        (("--isolated", "--value", "mug"), "invalid_input"),
    ],
)
def test_what_is_wrong_is_refused(
    refused: Callable[..., str], stocked: Path, options: tuple[str, ...], code: str
) -> None:
    assert refused(code, "outliers", *options, "--data", stocked)
