"""The data folder: one process at a time, descriptions that survive, a disk that is watched."""

import fcntl
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from services.descriptions import AttributeKind, CatalogSpec
from services.errors import (
    CatalogNotFound,
    DataCorrupt,
    DataFull,
    DataLocked,
    DataNotWritable,
    InvalidCatalog,
)
from services.storage.folder import DataFolder, service_url

SPEC = CatalogSpec(
    name="shoes",
    id="c0",
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
        "import sys\nfrom pathlib import Path\nfrom services.storage.folder import DataFolder\n"
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


SERVICE = """
import sys
from pathlib import Path
from services.storage.folder import DataFolder
folder = DataFolder(Path(sys.argv[1]))
folder.announce(sys.argv[2])
print("ready", flush=True)
sys.stdin.read()
"""


@contextmanager
def service(path: Path, url: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", SERVICE, str(path), url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def test_a_running_service_is_found_by_its_folder(tmp_path: Path) -> None:
    url = "http://127.0.0.1:8080"
    assert service_url(tmp_path / "nowhere") is None
    with service(tmp_path, url) as process:
        assert service_url(tmp_path) == url
        with pytest.raises(DataLocked, match=f"process {process.pid} .*{url}"):
            DataFolder(tmp_path)
        process.kill()
        process.wait()
        assert "8080" in (tmp_path / "lock").read_text()
        assert service_url(tmp_path) is None
    with DataFolder(tmp_path) as data:
        assert service_url(tmp_path) is None
        data.announce("http://127.0.0.1:1")
        data.announce(url)
        assert service_url(tmp_path) == url
    assert service_url(tmp_path) is None


def test_who_looks_for_a_service_is_in_nobodys_way(tmp_path: Path) -> None:
    DataFolder(tmp_path).close()
    with (tmp_path / "lock").open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        gone = threading.Timer(0.03, lambda: fcntl.flock(looking, fcntl.LOCK_UN))
        gone.start()
        DataFolder(tmp_path).close()
        gone.join()


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"pid": 7}', '{"url": null}'])
def test_a_lock_that_says_nothing_names_no_service(tmp_path: Path, text: str) -> None:
    with DataFolder(tmp_path):
        (tmp_path / "lock").write_text(text)
        assert service_url(tmp_path) is None
        with pytest.raises(DataLocked):
            DataFolder(tmp_path)


def test_a_description_of_the_first_version_has_its_generation_for_an_id(tmp_path: Path) -> None:
    with DataFolder(tmp_path) as data:
        data.save(SPEC)
        file = tmp_path / "catalogs" / "shoes" / "catalog.json"
        fields = json.loads(file.read_text())
        del fields["id"]
        file.write_text(json.dumps(fields))
        assert data.catalog("shoes") == replace(SPEC, id=SPEC.generation)


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
        "from services.storage.folder import DataFolder\nfrom services.errors import DataNotWritable\n"
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
