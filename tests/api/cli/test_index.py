"""`lookalike index`: what goes in, what is said, what is refused."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from api.cli.main import cli

Run = Callable[..., tuple[int, dict[str, Any]]]
Refused = Callable[..., str]

LOOKALIKE = Path(sys.executable).parent / "lookalike"
LITE = ("--encoder", "efficientnet_lite0")
KEYS = [
    "catalog", "total", "applied", "unchanged", "failed", "failures", "left_out", "seconds", "images_per_second",
    "encoder", "features", "fingerprint",
]  # fmt: skip


def test_a_folder_becomes_a_catalog_and_is_skipped_the_second_time(
    run: Run, pictures: Path, new: Path, way: str
) -> None:
    status, first = run("index", pictures, "--data", new, *LITE)
    assert (status, [key for key in first if key != "job"]) == (0, KEYS)
    assert ("job" in first) == (way == "service")
    assert (first["catalog"], first["total"], first["applied"], first["failures"]) == ("products", 12, 12, [])
    assert first["fingerprint"].startswith("efficientnet_lite0/")
    status, second = run("index", pictures, "--data", new)
    assert (status, second["applied"], second["unchanged"]) == (0, 0, 12)


def test_bad_files_are_named_and_the_others_taken(run: Run, pictures: Path, new: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    shutil.copytree(pictures, folder)
    (folder / "note.jpg").write_text("no picture")
    (folder / "cut.jpg").write_bytes((pictures / "red-0.jpg").read_bytes()[:700])
    (folder / "red-0.png").write_bytes((pictures / "red-1.jpg").read_bytes())
    (folder / "wrong-extension.txt").write_bytes((pictures / "red-2.jpg").read_bytes())
    (folder / os.fsdecode(b"caf\xe9.jpg")).write_bytes((pictures / "red-3.jpg").read_bytes())
    (folder / f"{'x' * 200}.jpg").write_bytes(b"")
    status, answer = run("index", folder, "--data", new, *LITE)
    assert (status, answer["total"], answer["applied"], answer["failed"]) == (1, 18, 13, 5)
    assert {(Path(each["path"]).name, each["code"]) for each in answer["failures"]} == {
        ("note.jpg", "image_unsupported"),
        ("cut.jpg", "image_corrupt"),
        ("red-0.png", "product_duplicate"),
        ("caf\\xe9.jpg", "product_id_invalid"),
        (f"{'x' * 200}.jpg", "image_unsupported"),
    }
    for failure in answer["failures"]:
        assert list(failure) == ["product_id", "path", "code", "message"]
        assert failure["product_id"].split("\\")[0] in failure["message"]
    assert run("show", "wrong-extension", "--data", new)[0] == 0


def test_a_list_names_pictures_and_attributes(run: Run, pictures: Path, new: Path, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(f"product_id,image_path,price\nSKU/1,{pictures}/red-0.jpg,9.5\n")
    run("index", path, "--data", new, *LITE)
    _, product = run("show", "SKU/1", "--data", new)
    assert product["attributes"] == {"price": 9.5}


def test_values_that_do_not_fit_a_column_are_said_and_refused(
    run: Run, pictures: Path, new: Path, tmp_path: Path
) -> None:
    def listed(**prices: Any) -> Path:
        path = tmp_path / "list.ndjson"
        lines = [
            {"product_id": name, "image_path": f"{pictures}/red-{n}.jpg", "attributes": {"price": price}}
            for n, (name, price) in enumerate(prices.items())
        ]
        path.write_text("\n".join(map(json.dumps, lines)))
        return path

    table = tmp_path / "prices.csv"
    table.write_text("product_id,price\nc,9.5\n")
    run("index", listed(a="on request", b=12), "--data", new, *LITE)
    arguments = ["index", listed(c=0, d=7, e="ask"), "--data", new, "--attributes", table]
    status, answer = run(*arguments)
    assert (status, answer["applied"]) == (1, 2)
    assert [(each["product_id"], each["code"], each["message"]) for each in answer["failures"]] == [
        (
            "e",
            "attributes_invalid",
            'price is declared as float, and "ask" is none: '
            "send a number, a list of such values, or null to have none.",
        )
    ]
    assert answer["other_kinds"] == {"price": {"kind": "float", "products": 1, "examples": {"a": '"on request"'}}}
    said = CliRunner().invoke(cli, [str(each) for each in arguments]).stdout
    assert (
        """price is declared as float, and 1 product has another value ('a' "on request"): filters on it are""" in said
    )
    # The catalog keeps its kind where a column looks like another, and the run may mend what did not fit.
    table.write_text("product_id,price\nc,9\na,8\n")
    status, answer = run("index", listed(c=0, a=7), "--data", new, "--attributes", table)
    assert (status, answer["failed"], answer.get("other_kinds")) == (0, 0, None)
    assert run("catalogs", "--data", new)[1]["catalogs"][0]["indexed_attributes"] == {"price": "float"}


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        ("source_invalid", ["{tmp}/nowhere"]),
        ("source_invalid", ["{tmp}/empty"]),
        ("source_invalid", ["{pictures}", "--attributes", "{tmp}/nowhere.csv"]),
        ("encoder_unknown", ["{pictures}", "--encoder", "resnet"]),
        ("weights_not_found", ["{pictures}", "--weights", "{tmp}/nowhere.h5"]),
        ("weights_invalid", ["{pictures}", "--weights", "random:x"]),
        ("catalog_invalid", ["{pictures}", "--catalog", "../up"]),
        ("data_not_writable", ["{pictures}", "--data", "{pictures}/red-0.jpg"]),
    ],
)
def test_a_refused_run_leaves_nothing_behind(
    refused: Refused, run: Run, pictures: Path, new: Path, tmp_path: Path, code: str, arguments: list[str]
) -> None:
    (tmp_path / "empty").mkdir()
    given = [each.format(tmp=tmp_path, pictures=pictures) for each in arguments]
    refused(code, "index", "--data", new, *given)
    assert run("catalogs", "--data", new)[1] == {"catalogs": []}


def test_a_damaged_weights_file_is_refused(refused: Refused, run: Run, pictures: Path, new: Path, way: str) -> None:
    file = new.parent / "cut.h5"
    file.write_bytes(b"\x89HDF\r\n\x1a\n")
    message = refused(
        "weights_invalid" if way == "library" else "data_locked", "index", pictures, "--data", new, "--weights", file
    )
    assert "stop it first (Ctrl-C there)" in message or way == "library"
    assert run("catalogs", "--data", new)[1] == {"catalogs": []}


def test_an_encoder_whose_weights_cannot_be_had_leaves_no_catalog(
    refused: Refused, run: Run, pictures: Path, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(new / "keras"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    refused("weights_unreachable", "index", pictures, "--data", new, "--encoder", "inception_v3")
    assert run("catalogs", "--data", new)[1] == {"catalogs": []}


def test_a_catalog_refuses_another_encoder(refused: Refused, run: Run, pictures: Path, indexed: Path) -> None:
    _, before = run("catalogs", "--data", indexed)
    again = ("index", pictures, "--data", indexed)
    assert "efficientnet_lite0" in refused("encoder_mismatch", *again, "--encoder", "inception_v3")
    assert "nearest" in refused("encoder_mismatch", *again, "--resample", "bicubic")
    refused("encoder_mismatch", *again, "--weights", "random:3")
    assert run("catalogs", "--data", indexed)[1] == before


def test_a_full_disk_is_said_and_nothing_is_lost(
    refused: Refused, run: Run, pictures: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKALIKE_MIN_FREE_BYTES", str(1 << 60))
    assert str(own) in refused("data_full", "index", pictures, "--data", own)
    monkeypatch.delenv("LOOKALIKE_MIN_FREE_BYTES")
    assert run("show", "--data", own)[1]["count"] == 12


def test_a_data_folder_in_use_is_refused_by_every_command(refused: Refused, pictures: Path, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom services.storage.folder import DataFolder\n"
        "folder = DataFolder(Path(sys.argv[1])); print('locked', flush=True); sys.stdin.read()\n"
    )
    commands: list[tuple[object, ...]] = [
        ("index", pictures), ("search", "--product", "a"), ("show",), ("remove", "a"), ("catalogs",), ("optimize",),
        ("export", tmp_path / "out", "--format", "npz"), ("demo",),
    ]  # fmt: skip
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout and holder.stdout.readline() == "locked\n"
        for command in commands:
            assert f"process {holder.pid} " in refused("data_locked", *command, "--data", tmp_path)
        holder.kill()


def test_a_refusal_for_people_is_one_sentence_on_stderr(tmp_path: Path) -> None:
    command = [LOOKALIKE, "index", str(tmp_path / "nowhere"), "--data", str(tmp_path / "data")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("Refused (source_invalid): ") and ran.stderr.count("\n") == 1


def test_the_next_step_is_one_that_works(pictures: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(pictures, tmp_path / "mixed"))
    (folder / "a-bad-one.jpg").write_text("no picture")
    index = ["index", str(folder), "--data", str(tmp_path / "data"), *LITE]
    ran = CliRunner().invoke(cli, index, env={"LOOKALIKE_PRECISION": "float32"})
    [line] = [line for line in ran.stdout.splitlines() if line.startswith("Next: lookalike ")]
    again = CliRunner().invoke(cli, shlex.split(line.removeprefix("Next: lookalike ")))
    assert (ran.exit_code, again.exit_code) == (1, 0), again.output


def test_random_weights_say_so(pictures: Path, tmp_path: Path) -> None:
    command = [LOOKALIKE, "index", str(pictures), "--data", str(tmp_path), *LITE, "--weights", "random:1"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "12 applied, 0 unchanged, 0 failed of 12" in ran.stdout
    assert "random" in ran.stdout


@pytest.mark.long
def test_ctrl_c_keeps_what_is_done_and_the_next_run_goes_on(run: Run, pictures: Path, tmp_path: Path) -> None:
    folder, data = tmp_path / "many", tmp_path / "data"
    folder.mkdir()
    for number in range(600):
        source = sorted(pictures.iterdir())[number % 12]
        (folder / f"{number}.jpg").write_bytes(source.read_bytes() + number.to_bytes(2, "big"))
    command = [LOOKALIKE, "index", str(folder), "--data", str(data), *LITE, "--json"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"LOOKALIKE_BATCH_SIZE": "8"},
    ) as process:
        # More originals than all batches in hand have: one has ended.
        while sum(path.is_file() for path in (data / "media").rglob("*")) < 48:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=60)
    answer = json.loads(out)
    assert (process.returncode, answer["interrupted"]) == (130, True)
    assert "Traceback" not in errors
    assert 0 < answer["applied"] < 600
    status, again = run("index", folder, "--data", data)
    assert (status, again["unchanged"] + again["applied"]) == (0, 600)
    assert again["unchanged"] >= answer["applied"]
