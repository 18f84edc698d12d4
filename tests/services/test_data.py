"""The data folder: one process at a time, descriptions that survive, a disk that is watched."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from services.data import DataFolder
from services.errors import (
    CatalogNotFound,
    DataCorrupt,
    DataFull,
    DataLocked,
    DataNotWritable,
    InvalidCatalog,
)
from services.records import AttributeKind, CatalogSpec

SPEC = CatalogSpec(
    name="shoes",
    encoder="inception_v3",
    weights="imagenet",
    resample="nearest",
    dim=2048,
    fingerprint=None,
    generation="0a",
    created_at="2026-01-01T00:00:00Z",
    indexed_attributes={"color": AttributeKind.KEYWORD},
)


def test_a_description_comes_back_whole(tmp_path: Path) -> None:
    with DataFolder(tmp_path / "data") as data:
        data.save(SPEC)
        data.save(replace(SPEC, name="hats"))
    with DataFolder(tmp_path / "data") as data:
        assert data.catalog("shoes") == SPEC
        assert [spec.name for spec in data.catalogs()] == ["hats", "shoes"]
        assert data.vectors(SPEC) == tmp_path / "data" / "catalogs" / "shoes" / "0a"


def test_a_catalog_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    with DataFolder(tmp_path) as data:
        with pytest.raises(CatalogNotFound, match="lookalike index"):
            data.catalog("hats")
        data.save(SPEC)
        with pytest.raises(CatalogNotFound, match="it has shoes"):
            data.catalog("hats")


def test_a_removed_catalog_is_gone(tmp_path: Path) -> None:
    with DataFolder(tmp_path) as data:
        data.save(SPEC)
        (data.vectors(SPEC)).mkdir()
        data.remove("shoes")
        assert not data.has_catalog("shoes")
        assert list((tmp_path / "catalogs").iterdir()) == []
        with pytest.raises(CatalogNotFound):
            data.remove("shoes")


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "a" * 65, "-a", "a b", "a\n"])
def test_names_that_could_be_paths_are_refused(tmp_path: Path, name: str) -> None:
    with DataFolder(tmp_path) as data, pytest.raises(InvalidCatalog):
        data.catalog(name)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"name": "shoes", "unknown": 1}'])
def test_a_damaged_description_is_said_so(tmp_path: Path, text: str) -> None:
    with DataFolder(tmp_path) as data:
        data.save(SPEC)
        (tmp_path / "catalogs" / "shoes" / "catalog.json").write_text(text)
        with pytest.raises(DataCorrupt, match=r"catalog\.json"):
            data.catalog("shoes")


def test_a_second_process_is_refused_and_told_who_holds_the_folder(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom services.data import DataFolder\n"
        "folder = DataFolder(Path(sys.argv[1])); print('locked', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout and holder.stdout.readline() == "locked\n"
        with pytest.raises(DataLocked, match=f"process {holder.pid} "):
            DataFolder(tmp_path)
        holder.kill()
    DataFolder(tmp_path).close()


def test_the_lock_ends_with_close(tmp_path: Path) -> None:
    DataFolder(tmp_path).close()
    DataFolder(tmp_path).close()


def test_a_nearly_full_disk_is_refused(tmp_path: Path) -> None:
    with DataFolder(tmp_path, min_free_bytes=1) as data:
        data.check_space()
        with pytest.raises(DataFull):
            data.check_space(1 << 60)
    with DataFolder(tmp_path, min_free_bytes=1 << 60) as data, pytest.raises(DataFull, match=str(tmp_path)):
        data.check_space()


def test_a_folder_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    """Root may write everywhere unless it gives up that capability, so a child does."""
    shut = tmp_path / "shut"
    shut.mkdir(mode=0o555)
    code = (
        "import ctypes, sys\nfrom pathlib import Path\n"
        "from services.data import DataFolder\nfrom services.errors import DataNotWritable\n"
        "try: DataFolder(Path(sys.argv[1]) / 'data')\n"
        "except DataNotWritable as error: print(error)\n"
    )
    without = ["setpriv", "--bounding-set", "-dac_override", "--inh-caps", "-dac_override"] if os.geteuid() == 0 else []
    ran = subprocess.run([*without, sys.executable, "-c", code, str(shut)], capture_output=True, text=True, check=True)
    assert str(shut / "data") in ran.stdout


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(DataNotWritable, match="data"):
        DataFolder(tmp_path / "data")
