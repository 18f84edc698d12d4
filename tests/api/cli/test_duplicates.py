"""`lookalike duplicates`: looks where it is due, lists, decides, and what was decided is found again wherever the
catalog goes."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from beside import beside
from click.testing import CliRunner
from shelf import picture

from api.cli.main import cli
from services import bootstrap, settings
from services.catalog.generations import Generations
from services.catalog.opening import new_spec
from services.records import Change, State
from services.testing import load_stub

Run = Callable[..., tuple[int, dict[str, Any]]]
NONE = {f"none-{n}" for n in range(11)}


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with 29 pictures, of which one is on two products and one on 11."""
    data = tmp_path_factory.mktemp("stock") / "data"
    with bootstrap.catalogs(settings.load(data=data, decode_processes=1), load=load_stub) as catalogs:
        catalog = catalogs.create(new_spec("products", "efficientnet_lite0", "random:1", "nearest"))
        changes = [Change(f"red-{n}", image=picture("red", "mug", n), attributes={"n": n}) for n in range(28)]
        changes.append(Change("again", image=picture("red", "mug", 4)))
        changes += [Change(each, image=picture("blue", "sock", 1)) for each in sorted(NONE)]
        assert {each.state for each in catalog.put(changes)} == {State.APPLIED}
    return data


@pytest.fixture(params=["library", pytest.param("service", marks=pytest.mark.long)])
def data(request: pytest.FixtureRequest, stock: Path, tmp_path: Path) -> Iterator[Path]:
    data = Path(shutil.copytree(stock, tmp_path / "data"))
    with beside(data, load=load_stub) if request.param == "service" else nullcontext():
        yield data


def listed(run: Run, *options: object) -> list[set[str]]:
    status, answer = run("duplicates", *options)
    assert status == 0, answer
    return [{each["product_id"] for each in group["members"]} for group in answer["groups"]]


def test_it_looks_lists_decides_and_undoes(run: Run, refused: Callable[..., str], data: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.html"
    status, found = run("duplicates", "--data", data, "--html", sheet)
    assert (status, found["total"], found["products"], found["complete"], found["stale"]) == (0, 2, 40, True, False)
    none, same = found["groups"]
    assert (none["placeholder"], none["products"], same["kind"]) == (True, 11, "same_bytes")
    assert (same["keep"], same["why"]) == (["red-4"], "the most attributes (1)")
    assert same["members"][0]["width"] == same["members"][0]["height"] == 32
    page = sheet.read_text()
    assert (
        page.count("data:image/webp") == 8
        and "+5" in page
        and "keep: the most attributes (1)" in page
        and "again" in page
    )
    assert listed(run, "--data", data, "--kind", "same_bytes", "--no-placeholder") == [{"red-4", "again"}]
    status, decided = run("duplicates", "decide", same["id"], "remove", "--keep", "again", "--data", data)
    assert (status, decided["to_remove"], decided["keep"]) == (0, ["red-4"], ["again"])
    assert listed(run, "--data", data) == [NONE]
    assert listed(run, "--data", data, "--decision", "remove") == [{"red-4", "again"}]
    assert run("duplicates", "undo", same["id"], "--data", data)[0] == 0
    assert listed(run, "--data", data, "-n", "1") == [NONE] and len(listed(run, "--data", data)) == 2
    refused("group_not_found", "duplicates", "undo", same["id"], "--data", data)
    assert run("duplicates", "decide", none["id"], "keep", "--data", data)[0] == 0
    assert "is not lost" in refused("conflict", "duplicates", "forget", "--data", data)
    for file in data.glob("media/objects/*/*/*"):
        if b'"decision"' in file.read_bytes():
            file.unlink()
    said = refused("decisions_not_found", "duplicates", "--data", data)
    assert "forget it with `lookalike duplicates forget --catalog products`" in said
    assert run("duplicates", "forget", "--data", data) == (0, {"catalog": "products"})
    assert len(listed(run, "--data", data)) == 2
    refused("group_not_found", "duplicates", "decide", "0" * 16, "keep", "--data", data)
    refused("invalid_input", "duplicates", "decide", same["id"], "keep", "--keep", "again", "--data", data)


def test_what_people_read_says_what_to_do(stock: Path, tmp_path: Path) -> None:
    data = shutil.copytree(stock, tmp_path / "data")
    runner = CliRunner(env={"COLUMNS": "200"})
    found = runner.invoke(cli, ["duplicates", "--data", str(data)])
    assert found.exit_code == 0 and "2 groups of duplicates, open, of 40 products" in found.stdout
    assert "placeholder" in found.stdout and "and 5 more" in found.stdout
    group = next(word for line in found.stdout.splitlines() if "same file" in line for word in line.split()[1:2])
    said = runner.invoke(cli, ["duplicates", "decide", group, "remove", "--data", str(data)]).stdout
    assert said.splitlines() == [
        "products: decided remove about 2 products; red-4 stays, and these are to go:",
        "  again",
    ]
    misplaced = runner.invoke(cli, ["duplicates", "--data", str(data), "undo", group])
    assert misplaced.exit_code == 2 and "Give options after undo" in misplaced.stderr


def test_what_changed_is_looked_for_when_it_is_asked_for(run: Run, stock: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(stock, tmp_path / "data"))
    assert len(listed(run, "--data", data)) == 2
    with bootstrap.catalogs(settings.load(data=data, decode_processes=1), load=load_stub) as catalogs:
        catalogs.get("products").apply([Change("more", image=picture("red", "mug", 9))])
    assert {"more", "red-9"} in listed(run, "--data", data)


def test_decisions_are_found_again_after_a_restart_a_reindex_a_backup_and_a_migration(
    run: Run, stock: Path, tmp_path: Path
) -> None:
    data = Path(shutil.copytree(stock, tmp_path / "data"))
    _, found = run("duplicates", "--data", data)
    none, same = (each["id"] for each in found["groups"])
    assert run("duplicates", "decide", none, "distinct", "--data", data)[0] == 0
    assert run("duplicates", "decide", same, "remove", "--data", data)[0] == 0

    def assert_decided(data: Path) -> None:
        assert listed(run, "--data", data) == []
        for decision, group in (("distinct", none), ("remove", same)):
            [told] = run("duplicates", "--data", data, "--decision", decision)[1]["groups"]
            assert (told["id"], told["decision"]) == (group, decision)

    assert_decided(data)
    with bootstrap.catalogs(settings.load(data=data, decode_processes=1), load=load_stub) as catalogs:
        Generations(catalogs, "products").reindex({"resample": "bilinear"}, promote=True)
        page = catalogs.get("products").duplicates.page()
        assert (page.stale, page.total) == (True, 0)
    assert_decided(data)
    _, backup = run("backup", tmp_path / "backups", "--data", data)
    for group in (none, same):
        assert run("duplicates", "undo", group, "--data", data)[0] == 0
    assert run("restore", backup["file"], "--data", tmp_path / "other")[0] == 0
    assert_decided(tmp_path / "other")
    assert run("restore", backup["file"], "--data", data)[0] == 0
    assert_decided(data)
    assert run("migrate", "--catalog", "products", "--data", data, "--to", tmp_path / "there")[0] == 0
    assert_decided(tmp_path / "there")
