"""`lookalike backup` and `lookalike restore`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services import bootstrap, settings
from services.catalog.opening import new_spec
from services.descriptions import AttributeKind
from services.testing import load_stub, picture

Run = Callable[..., tuple[int, dict[str, Any]]]
Refused = Callable[..., str]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with a catalog of three products."""
    from services.records import Change

    with bootstrap.catalogs(settings.load(data=tmp_path / "data"), load=load_stub) as catalogs:
        shoes = catalogs.create(new_spec("shoes", "efficientnet_lite0", "random:1", "nearest"))
        list(shoes.put([Change(f"p{n}", image=picture((n, 40, 90), size=8), attributes={"n": n}) for n in range(3)]))
    return tmp_path / "data"


def points(data: Path) -> list[Any]:
    with bootstrap.catalogs(settings.load(data=data), load=load_stub, create=False) as catalogs:
        return sorted(catalogs.get("shoes").points(), key=lambda point: point.product_id)


def test_a_data_folder_comes_back(run: Run, data: Path, tmp_path: Path) -> None:
    status, told = run("backup", tmp_path / "backups", "--data", data)
    [file] = (tmp_path / "backups").iterdir()
    assert (status, told["file"], told["bytes"]) == (0, str(file), file.stat().st_size)
    assert (told["catalogs"], told["products"], told["originals"], told["changes"]) == (["shoes"], 3, 3, 0)
    for _ in range(2):
        status, told = run("restore", file, "--data", tmp_path / "again")
        assert (status, told["products"]) == (0, 3)
    assert points(tmp_path / "again") == points(data)


def test_what_commands_copy_with_values_of_other_kinds_is_said(run: Run, data: Path, tmp_path: Path) -> None:
    with bootstrap.catalogs(settings.load(data=data), load=load_stub) as catalogs:
        shoes = catalogs.get("shoes")
        shoes.patch("p1", {"n": "one"})
        shoes.declare({"n": AttributeKind.INTEGER})
    others = {"n": {"kind": "integer", "products": 1, "examples": {"p1": '"one"'}}}
    _, told = run("backup", tmp_path / "backups", "--data", data)
    status, told = run("restore", told["file"], "--data", tmp_path / "again")
    assert (status, told["other_kinds"]) == (0, {"shoes": others})
    status, told = run("migrate", "--catalog", "shoes", "--data", data, "--to", tmp_path / "there")
    assert (status, told["other_kinds"]) == (0, others)


def test_a_backup_that_fails_leaves_no_file(refused: Refused, data: Path, tmp_path: Path) -> None:
    with bootstrap.data_folder(settings.load(data=data)):
        refused("data_locked", "backup", tmp_path / "backups", "--data", data)
    refused("catalog_not_found", "backup", tmp_path / "backups", "--data", tmp_path / "none")
    assert [*(tmp_path / "backups").iterdir()] == []


def test_a_file_that_is_no_backup_is_refused(refused: Refused, tmp_path: Path) -> None:
    file = tmp_path / "x.tar"
    file.write_bytes(b"x" * 4096)
    refused("source_invalid", "restore", file, "--data", tmp_path / "data")
    refused("source_invalid", "restore", tmp_path / "none.tar", "--data", tmp_path / "data")
    assert not (tmp_path / "data").exists()
