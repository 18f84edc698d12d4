"""What of a folder is a picture, by its name or by its first bytes, and what is left out and counted."""

import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from services.errors import InvalidSource
from services.feeds.picking import Picking, said
from services.feeds.source import IdRule
from services.feeds.sources import sources

OK = Path(__file__).parents[2] / "cases" / "jpeg" / "ok.jpg"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a NAS and a Mac leave beside one picture."""
    texts = {
        "SKU-1.json": "{}",
        "SKU-1.txt": "x",
        "Thumbs.db": "thumbnails",
        "desktop.ini": "[.ShellClassInfo]",
        "__MACOSX/._SKU-1.jpg": "\0\5\x16\7",
        "@eaDir/SKU-1.jpg/SYNOFILE_THUMB_M.jpg": "thumbnail",
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    shutil.copy(OK, tmp_path / "SKU-1.jpg")
    return tmp_path


def taken(folder: Path, *, recursive: bool = True, **options: Any) -> tuple[list[str], dict[str, int]]:
    picking = Picking(**options)
    found = sources([folder], rule=IdRule.RELATIVE, recursive=recursive, picking=picking)
    return [each.product_id for each in found], dict(picking.left_out)


@pytest.mark.parametrize("recursive", [False, True])
def test_what_systems_and_people_leave_beside_pictures_is_left_out(folder: Path, recursive: bool) -> None:
    assert taken(folder, recursive=recursive) == (
        ["SKU-1.jpg"],
        {"@eaDir/": 1, "__MACOSX/": 1, ".json": 1, ".txt": 1, "Thumbs.db": 1, "desktop.ini": 1},
    )


def test_a_file_whose_name_says_nothing_is_what_its_first_bytes_say(tmp_path: Path) -> None:
    for name in ("SKU-1", "10.5", "b.txt", "c.JPG", "d.jpeg.part"):
        shutil.copy(OK, tmp_path / name)
    for name in ("README", "10.6", "e.mp4", "f.7z"):
        (tmp_path / name).write_text("no picture")
    assert taken(tmp_path) == (
        ["10.5", "SKU-1", "b.txt", "c.JPG", "d.jpeg.part"],
        {"without extension": 2, ".mp4": 1, ".7z": 1},
    )


def test_a_picture_that_is_damaged_is_never_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("no picture")
    (tmp_path / "b.heic").write_bytes(b"")
    (tmp_path / "c.png").symlink_to("nowhere")
    assert taken(tmp_path) == (["a.jpg", "b.heic", "c.png"], {})


def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    shutil.copy(OK, tmp_path / "a.jpg")
    os.mkfifo(tmp_path / "pipe")
    assert taken(tmp_path) == (["a.jpg"], {"without extension": 1})


def test_hidden_files_and_folders_are_left_out(tmp_path: Path) -> None:
    for name in (".a.jpg", "._b.jpg", ".DS_Store", ".git/c.jpg", "d.jpg", "in/e.jpg", "#recycle/f.jpg", "@EADIR/g.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(OK, tmp_path / name)
    assert taken(tmp_path) == (["d.jpg", "in/e.jpg"], {"hidden": 4, "#recycle/": 1, "@EADIR/": 1})
    assert taken(tmp_path, recursive=False)[1] == {"hidden": 4, "#recycle/": 1, "@EADIR/": 1, "folders": 1}
    assert taken(tmp_path / "#recycle") == (["f.jpg"], {}), "a folder that is named is looked into"


def test_globs_choose_by_name_and_by_path(tmp_path: Path) -> None:
    for name in ("a.jpg", "a_back.JPG", ".hidden.jpg", "notes.txt", "in/b.jpg", "in/b_back.jpg", "out/c.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(OK, tmp_path / name)
    assert taken(tmp_path, exclude=("*_back.jpg", "out")) == (
        ["a.jpg", "in/b.jpg", "notes.txt"],
        {"--exclude": 3, "hidden": 1},
    )
    assert taken(tmp_path, include=("*_BACK.*",)) == (["a_back.JPG", "in/b_back.jpg"], {"not --include": 5})
    assert taken(tmp_path, include=("in/*", ".hidden*"), exclude=("*_back*",))[0] == [".hidden.jpg", "in/b.jpg"]


def test_globs_are_compared_in_one_form_of_unicode(tmp_path: Path) -> None:
    shutil.copy(OK, tmp_path / "cafe\u0301.jpg")
    assert taken(tmp_path, include=("caf\u00e9*",))[0] == ["caf\u00e9.jpg"]


def test_a_folder_without_pictures_says_what_was_left_out(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt", "Thumbs.db"):
        (tmp_path / name).write_text("no picture")
    with pytest.raises(InvalidSource, match=r"no pictures \(left out: 2 .txt, 1 Thumbs.db\).*--include"):
        taken(tmp_path)


def test_what_a_file_is_named_by_is_taken(folder: Path) -> None:
    picking = Picking(exclude=("*",))
    found = sources([folder / "SKU-1.txt", folder / "__MACOSX" / "._SKU-1.jpg"], picking=picking)
    assert ([each.product_id for each in found], picking.left_out) == (["SKU-1", "._SKU-1"], {})


def test_much_that_is_left_out_is_said_briefly() -> None:
    assert said(Counter({f".{n}x": 20 - n for n in range(10)} | {"folders": 1})).endswith("13 .7x, 24 others")
    assert said(Counter({"folders": 2})) == "2 folders (taken with --recursive)"


def test_a_folder_is_excluded_as_shells_complete_its_name(tmp_path: Path) -> None:
    for name in ("1.jpg", "old/2.jpg", "new/old/3.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(OK, tmp_path / name)
    assert taken(tmp_path, exclude=("OLD/",)) == (["1.jpg"], {"--exclude": 2})
    assert taken(tmp_path, exclude=("new/old/",)) == (["1.jpg", "old/2.jpg"], {"--exclude": 1})
