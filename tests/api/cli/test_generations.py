"""`lookalike reindex` and the commands around it: another encoder for a catalog, and back."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from beside import beside
from click.testing import CliRunner

from api.cli.main import cli
from services import settings

Run = Callable[..., tuple[int, dict[str, Any]]]

pytestmark = pytest.mark.long


@pytest.fixture
def folder(own: Path, tmp_path: Path) -> Path:
    """A data folder of one test, which nothing works on."""
    return Path(shutil.copytree(own, tmp_path / "data"))


@pytest.fixture(params=["library", "service"])
def shop(request: pytest.FixtureRequest, folder: Path) -> Iterator[Path]:
    """A data folder of one test, which nothing works on, or a service."""
    if request.param == "library":
        yield folder
        return
    with beside(folder):
        yield folder


def listed(run: Run, data: Path) -> list[tuple[str, str, int]]:
    status, answer = run("generations", "--data", data)
    assert status == 0
    return [(each["resample"], each["state"], each["products"]) for each in answer["generations"]]


def test_a_catalog_gets_another_encoder_and_goes_back(run: Run, refused: Callable[..., str], shop: Path) -> None:
    here = ("--data", shop)
    assert listed(run, shop) == [("nearest", "live", 12)]
    status, built = run("reindex", "--resample", "bilinear", *here)
    assert (status, built["products"], built["missing"], built["promoted"]) == (0, 12, 0, False)
    assert listed(run, shop) == [("nearest", "live", 12), ("bilinear", "next", 12)]
    assert "being built already" in refused("generation_exists", "reindex", "--resample", "bicubic", *here)
    assert run("reindex", *here)[1]["id"] == built["id"], "it goes on with the one that is being built"
    status, compared = run("compare", "--html", shop.parent / "sheet.html", *here)
    assert (status, compared["sample"], compared["missing"], compared["generation"]) == (0, 12, [], built["id"])
    assert compared["common"].keys() == {"1", "5", "10", "50"} and compared["common"]["50"] == 1.0
    sheet = (shop.parent / "sheet.html").read_text()
    assert sheet.count("<section>") == 24 and sheet.count("data:image/webp") > 100
    status, promoted = run("promote", *here)
    assert (status, promoted["id"], promoted["resample"], promoted["state"]) == (0, built["id"], "bilinear", "live")
    assert listed(run, shop) == [("bilinear", "live", 12), ("nearest", "previous", 12)]
    assert run("catalogs", *here)[1]["catalogs"][0]["resample"] == "bilinear"
    assert run("search", "--product", "red-0", *here)[0] == 0
    assert run("rollback", *here)[1]["resample"] == "nearest"
    refused("generation_live", "drop", run("generations", *here)[1]["generations"][0]["id"], *here)
    assert run("drop", built["id"], *here)[0] == 0
    assert listed(run, shop) == [("nearest", "live", 12)]
    refused("generation_not_found", "rollback", *here)


def test_products_without_their_originals_are_named(run: Run, refused: Callable[..., str], shop: Path) -> None:
    shutil.rmtree(shop / "media" / "originals")
    status, built = run("reindex", "--resample", "bilinear", "--data", shop)
    assert (status, built["products"], built["missing"]) == (1, 0, 12)
    assert {each["code"] for each in built["faults"]} == {"media_not_found"}
    assert "lacks 12 of 12 products" in refused("generation_incomplete", "promote", "--data", shop)
    assert listed(run, shop) == [("nearest", "live", 12), ("bilinear", "next", 0)]


def test_what_is_due_is_dropped_by_the_next_command(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKALIKE_GENERATION_KEEP", "0")
    assert settings.load().generation_keep == 0
    assert run("reindex", "--resample", "bilinear", "--promote", "--data", folder)[1]["promoted"]
    assert listed(run, folder) == [("bilinear", "live", 12)]


def test_people_read_sentences(shop: Path) -> None:
    def said(*arguments: object) -> str:
        result = CliRunner(env={"LOOKALIKE_PRECISION": "float32"}).invoke(
            cli, [*map(str, arguments), "--data", str(shop)]
        )
        assert result.exit_code == 0, result.output
        return result.stdout

    assert "12 products in generation" in said("reindex", "--resample", "bilinear")
    assert "of 12 products, both find" in said("compare")
    assert "next" in said("generations")
    assert "answers now, from generation" in said("promote")
