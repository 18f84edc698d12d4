"""`lookalike index` of folders as people have them, without a service and with one."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from harness import picture

from api.cli.main import cli
from api.cli.run import Run, index
from api.cli.workspace import opened_catalogs
from services import bootstrap, settings
from services.catalog.opening import open_or_create
from services.feeds.source import Source
from services.records import Change, State
from services.testing import load_stub

Command = Callable[..., tuple[int, dict[str, Any]]]
Refused = Callable[..., str]

LITE = ("--encoder", "efficientnet_lite0")
COMPOSED, DECOMPOSED = "caf\u00e9-gr\u00f6\u00dfe", "cafe\u0301-gro\u0308\u00dfe"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder from a NAS and a Mac."""
    root = tmp_path / "folder"
    for name, data in {
        "SKU-1.jpg": picture(1),
        "SKU-1.json": b"{}",
        "SKU-1.txt": b"x",
        "Thumbs.db": b"\xd0\xcf\x11\xe0",
        "desktop.ini": b"[.ShellClassInfo]",
        "@eaDir/SKU-1.jpg/SYNOFILE_THUMB_M.jpg": picture(2),
        "__MACOSX/._SKU-1.jpg": b"\0\5\x16\7",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


@pytest.fixture
def accents(tmp_path: Path) -> Path:
    """A folder of a Mac, whose file names are decomposed, and a table of a program, whose IDs are not."""
    root = tmp_path / "nfd"
    root.mkdir()
    for number, name in enumerate((DECOMPOSED, "plain")):
        (root / f"{name}.jpg").write_bytes(picture(number))
    (tmp_path / "nfd.csv").write_text(f"product_id,color\n{COMPOSED},rot\nplain,blau\n")
    return root


def colors(run: Command, data: Path) -> dict[str, Any]:
    return {each["product_id"]: each["attributes"].get("color") for each in run("show", "--data", data)[1]["products"]}


@pytest.mark.parametrize("options", [(), ("--recursive",)])
def test_a_folder_of_a_nas_and_a_mac_is_one_product(
    run: Command, folder: Path, new: Path, options: tuple[str, ...]
) -> None:
    status, answer = run("index", folder, "--data", new, *LITE, *options)
    assert (status, answer["total"], answer["applied"], answer["failures"]) == (0, 1, 1, [])
    assert answer["left_out"] == {"@eaDir/": 1, "__MACOSX/": 1, ".json": 1, ".txt": 1, "Thumbs.db": 1, "desktop.ini": 1}
    assert colors(run, new) == {"SKU-1": None}


def test_what_is_left_out_is_said(folder: Path, new: Path) -> None:
    command = ["index", str(folder), "--data", str(new), *LITE]
    said = CliRunner(env={"LOOKALIKE_PRECISION": "float32"}).invoke(cli, command).stdout
    [line] = [line for line in said.splitlines() if line.startswith("Left out of folders: ")]
    parts = line.partition(": ")[2].split(", ")
    assert sorted(parts) == ["1 .json", "1 .txt", "1 @eaDir/", "1 Thumbs.db", "1 __MACOSX/", "1 desktop.ini"]


def test_globs_choose_the_pictures(run: Command, folder: Path, new: Path, refused: Refused) -> None:
    (folder / "SKU-2_back.jpg").write_bytes(picture(3))
    status, answer = run("index", folder, "--data", new, *LITE, "--exclude", "*_back.*", "--include", "*.jpg")
    assert (status, answer["applied"]) == (0, 1)
    assert answer["left_out"] == {"not --include": 4, "--exclude": 1, "@eaDir/": 1, "__MACOSX/": 1}
    assert "--exclude" in refused("source_invalid", "index", folder, "--data", new, "--exclude", "*")


def test_two_files_of_one_product_stay_a_failure(run: Command, folder: Path, new: Path) -> None:
    (folder / "SKU-1.png").write_bytes(picture(3))
    status, answer = run("index", folder, "--data", new, *LITE)
    assert (status, answer["total"], answer["applied"]) == (1, 2, 1)
    assert [(Path(each["path"]).name, each["code"]) for each in answer["failures"]] == [
        ("SKU-1.png", "product_duplicate")
    ]


def test_the_table_in_the_folder_is_none_of_its_files(run: Command, folder: Path, new: Path) -> None:
    table = folder / "attributes.csv"
    table.write_text("product_id,color\nSKU-1,red\n")
    _, answer = run("index", folder, "--attributes", table, "--data", new, *LITE)
    assert (answer["applied"], ".csv" in answer["left_out"], colors(run, new)) == (1, False, {"SKU-1": "red"})


def test_a_decomposed_file_name_and_its_row_meet(run: Command, accents: Path, new: Path) -> None:
    arguments = ("index", accents, "--attributes", accents.parent / "nfd.csv", "--data", new, *LITE)
    status, answer = run(*arguments)
    assert (status, answer["applied"], "decomposed" in answer) == (0, 2, False)
    assert colors(run, new) == {COMPOSED: "rot", "plain": "blau"}
    (accents / f"{DECOMPOSED}.jpg").rename(accents / f"{COMPOSED}.jpg")
    assert run(*arguments)[1]["unchanged"] == 2, "the form of the file's name does not matter"


@pytest.fixture
def stored(run: Command, accents: Path, new: Path) -> Iterator[Path]:
    """A catalog that has had the decomposed ID since before."""
    run("index", accents / "plain.jpg", "--data", new, *LITE)
    with opened_catalogs(settings.load(data=new, precision="float32")) as catalogs:
        catalog = catalogs.get("products")
        changes = [Change(DECOMPOSED, image=picture(0))]
        assert list(catalog.put(changes) if hasattr(catalog, "put") else catalog.feed(changes))
    yield new


@pytest.mark.parametrize("name", [DECOMPOSED, COMPOSED])
def test_a_catalog_that_has_the_decomposed_id_goes_on_with_it(
    run: Command, accents: Path, stored: Path, name: str
) -> None:
    (accents / f"{DECOMPOSED}.jpg").rename(accents / f"{name}.jpg")
    arguments = ["index", accents, "--attributes", accents.parent / "nfd.csv", "--data", stored]
    status, answer = run(*arguments)
    assert (status, answer["failed"], answer["decomposed"]) == (0, 0, 1)
    assert colors(run, stored) == {DECOMPOSED: "rot", "plain": "blau"}
    said = CliRunner(env={"LOOKALIKE_PRECISION": "float32"}).invoke(cli, [str(each) for each in arguments]).stderr
    assert "1 product is in the catalog under another Unicode form of the ID than NFC" in said


def test_the_time_of_a_run_is_that_of_its_pictures(tmp_path: Path) -> None:
    """Not that in which the encoder is loaded."""

    def load(*arguments: Any) -> Any:
        time.sleep(1.0)
        return load_stub(*arguments)

    given = settings.load(data=tmp_path / "data", decode_processes=1)
    shutil.copy(Path(__file__).parents[2] / "cases" / "jpeg" / "ok.jpg", tmp_path / "a.jpg")
    with bootstrap.catalogs(given, load=load) as catalogs:
        catalog, _ = open_or_create(catalogs, "products")
        run = Run([Source("a", tmp_path / "a.jpg")])
        started = time.monotonic()
        index(run, catalog)
        elapsed = time.monotonic() - started
    assert run.counts[State.APPLIED] == 1
    assert run.seconds <= elapsed - 1.0
    assert run.answer(catalog)["images_per_second"] == pytest.approx(1 / run.seconds, rel=0.1)


def test_what_was_canceled_is_no_part_of_the_rate() -> None:
    run = Run([], seconds=2.0)
    run.counts |= {State.APPLIED: 6, State.UNCHANGED: 2, State.FAILED: 2, State.CANCELED: 90}
    assert run.rate == 5.0
