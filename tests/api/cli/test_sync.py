"""`lookalike index --sync`: what nothing names any more is removed, without a service and with one."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from commands import worked_on
from harness import picture

from api.cli.main import cli

Command = Callable[..., tuple[int, dict[str, Any]]]
Refused = Callable[..., str]

LITE = ("--encoder", "efficientnet_lite0")
COUNTS = ("total", "applied", "unchanged", "failed", "removed", "not_removed")


def filled(root: Path) -> Path:
    """Ten pictures, a to j."""
    for number, name in enumerate("abcdefghij"):
        (root / f"{name}.jpg").write_bytes(picture(number))
    return root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir()
    return filled(tmp_path / "folder")


@pytest.fixture(scope="module")
def stocked(run: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a catalog of such a folder, which nothing works on."""
    data = tmp_path_factory.mktemp("stocked")
    status, _ = run("index", filled(tmp_path_factory.mktemp("folder")), "--data", data, *LITE)
    assert status == 0
    return data


@pytest.fixture
def new(stocked: Path, way: str, tmp_path: Path) -> Iterator[Path]:
    """The same, for one test; either way."""
    with worked_on(Path(shutil.copytree(stocked, tmp_path / "data")), way) as data:
        yield data


@pytest.fixture
def sync(run: Command, folder: Path, new: Path) -> Callable[..., tuple[Any, ...]]:
    """Indexes the folder, or what is given; the exit status and the counts."""

    def sync(*options: object, path: Path = folder) -> tuple[Any, ...]:
        status, answer = run("index", path, "--data", new, "--sync", *options)
        return (status, *(answer[name] for name in COUNTS))

    return sync


@pytest.fixture
def stored(run: Command, new: Path) -> Callable[[], str]:
    return lambda: "".join(sorted(each["product_id"] for each in run("show", "--data", new)[1]["products"]))


def test_a_file_that_is_gone_is_a_product_that_is_removed(folder: Path, sync: Any, stored: Any) -> None:
    assert sync() == (0, 10, 0, 10, 0, 0, None)
    for name in "abc":
        (folder / f"{name}.jpg").unlink()
    (folder / "k.jpg").write_bytes(picture(10))
    assert sync() == (0, 11, 4, 7, 0, 3, None)
    assert stored() == "defghijk"


def test_too_many_are_not_removed_unless_that_is_allowed(folder: Path, sync: Any, stored: Any) -> None:
    for name in "abcd":
        (folder / f"{name}.jpg").unlink()
    (folder / "e.jpg").write_bytes(picture(11))
    assert sync() == (1, 6, 1, 5, 0, 0, "too_many_removed")
    assert stored() == "abcdefghij"
    assert sync("--max-removed", 0.4) == (0, 10, 4, 6, 0, 4, None)
    assert stored() == "efghij"
    (folder / "only").mkdir()
    (folder / "e.jpg").rename(folder / "only" / "e.jpg")
    assert sync("--max-removed", 1, path=folder / "only") == (0, 6, 5, 1, 0, 5, None)
    assert stored() == "e"


def test_what_fails_is_named_all_the_same(folder: Path, sync: Any, stored: Any) -> None:
    """By its file: damaged, too large, and a link that leads nowhere."""
    (folder / "a.jpg").write_bytes(picture(12)[:300])
    (folder / "b.jpg").unlink()
    (folder / "b.jpg").symlink_to("nowhere")
    with (folder / "c.jpg").open("wb") as file:
        file.truncate(30_000_000)
    (folder / "d.jpg").unlink()
    assert sync() == (1, 11 - 1, 1, 6, 3, 1, None)
    assert stored() == "abcefghij"


def test_a_row_that_is_wrong_is_named_by_its_id(run: Command, folder: Path, sync: Any, stored: Any) -> None:
    list = folder.parent / "list.csv"
    rows = [f"{name},folder/{name}.jpg" for name in "bcdefghij"]
    list.write_text("\n".join(["product_id,image_path", "a,", *rows[:-1], ""]))
    assert sync(path=list) == (1, 10, 1, 8, 1, 1, None)
    assert stored() == "abcdefghi"
    list.write_text("\n".join(["product_id,image_path", ",folder/x.jpg", *rows[:-2], ""]))
    assert sync(path=list) == (1, 8, 0, 7, 1, 0, "lines_without_id")
    assert stored() == "abcdefghi"


def test_why_nothing_was_removed_is_said(folder: Path, sync: Any, new: Path) -> None:
    for name in "abcd":
        (folder / f"{name}.jpg").unlink()
    command = ["index", str(folder), "--data", str(new), "--sync"]
    environment = {"LOOKALIKE_PRECISION": "float32"}
    said = CliRunner(env=environment).invoke(cli, command).stdout
    assert "Nothing was removed: more than 30% of the products would go; check the source, or raise" in said
    said = CliRunner(env=environment).invoke(cli, [*command, "--max-removed", "1"]).stdout
    assert "4 products were removed: nothing here names them any more." in said


def test_a_share_without_a_sync_and_a_sync_of_nothing_are_refused(folder: Path, new: Path, refused: Refused) -> None:
    assert "--sync" in refused("invalid_input", "index", folder, "--data", new, "--max-removed", "1")
    nothing = folder.parent / "nothing.csv"
    nothing.write_text("product_id,image_path\n")
    assert "every product" in refused("invalid_input", "index", nothing, "--data", new, "--sync")
