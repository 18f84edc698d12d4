"""The format of a data folder."""

from pathlib import Path

import pytest

from services.errors import DataCorrupt, DataFull, FormatTooNew
from services.formats import Migration
from services.storage.folder import DataFolder
from services.storage.format import MIGRATIONS, folder_format, write_format

CURRENT, NEXT = f"{len(MIGRATIONS)}\n", f"{len(MIGRATIONS) + 1}\n"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A data folder as v0.1 left it: without a number."""
    data = tmp_path / "data"
    DataFolder(data).close()
    (data / "format").unlink()
    return data


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_new_folder_has_the_current_format(tmp_path: Path) -> None:
    with DataFolder(tmp_path / "data") as folder:
        assert (folder.path / "format").read_text() == CURRENT
        assert folder_format(folder.path).pending().steps == []


def test_an_older_folder_is_migrated_when_it_is_opened(old: Path) -> None:
    assert folder_format(old).pending().steps == [
        "Store the format number in the file `format`.",
        "Products may have a perceptual hash and a URL, and catalogs several generations.",
    ]
    DataFolder(old).close()
    assert (old / "format").read_text() == CURRENT


def test_a_folder_of_a_newer_version_is_refused_and_left_as_it_is(old: Path) -> None:
    write_format(old, len(MIGRATIONS) + 1)
    before = contents(old)
    with pytest.raises(FormatTooNew) as caught:
        DataFolder(old)
    assert str(caught.value) == (
        f"The data folder {old} was written by a newer Lookalike (format {len(MIGRATIONS) + 1}, this one knows up to "
        f"{len(MIGRATIONS)}): run that version, or restore a backup into another folder."
    )
    assert contents(old) == before


def test_a_migration_that_was_cut_off_is_repeated(old: Path) -> None:
    def cut(folder: Path) -> None:
        (folder / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        DataFolder(old, migrations=[*MIGRATIONS, Migration("Make it whole.", cut)])
    assert (old / "format").read_text() == CURRENT
    # The lock is free again, and what was half done is done again.
    whole = [*MIGRATIONS, Migration("Make it whole.", lambda folder: (folder / "half").rename(folder / "whole"))]
    DataFolder(old, migrations=whole).close()
    assert ((old / "format").read_text(), (old / "whole").exists()) == (NEXT, True)


def test_on_a_full_disk_an_older_folder_is_left_as_it_is(old: Path) -> None:
    """Where there is something to write: else it is opened, as what has the current format is."""
    writing = [*MIGRATIONS, Migration("Copy all.", needed_bytes=lambda folder: 1)]
    with pytest.raises(DataFull, match="LOOKALIKE_MIN_FREE_BYTES"):
        DataFolder(old, min_free_bytes=1 << 60, migrations=writing)
    assert not (old / "format").exists()
    DataFolder(old, min_free_bytes=1 << 60).close()
    assert (old / "format").read_text() == CURRENT
    DataFolder(old, migrations=writing).close()
    DataFolder(old, min_free_bytes=1 << 60, migrations=writing).close()
    assert (old / "format").read_text() == NEXT


@pytest.mark.parametrize("text", ["", "one", "-1", "1.5", "²"])
def test_a_number_that_is_none_is_damage(old: Path, text: str) -> None:
    (old / "format").write_text(text)
    with pytest.raises(DataCorrupt, match="format is damaged"):
        DataFolder(old)
    assert (old / "format").read_text() == text


def test_a_number_that_was_being_written_is_not_there_yet(old: Path) -> None:
    (old / "format.new").write_text("")
    DataFolder(old).close()
    assert (old / "format").read_text() == CURRENT
    assert not (old / "format.new").exists()
