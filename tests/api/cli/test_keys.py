"""`lookalike keys create`: a key is shown once, and only its hash is kept."""

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from api.auth import Keys
from api.cli.main import cli

Run = Callable[..., tuple[int, dict[str, Any]]]
Refused = Callable[..., str]


def test_a_key_is_let_in_and_only_its_hash_is_kept(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    status, answer = run("keys", "create", "shop", "--file", file)
    assert (status, list(answer)) == (0, ["name", "key", "file"])
    assert Keys.load(file).name_of(answer["key"]) == "shop"
    assert answer["key"] not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_stdout_holds_the_key_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKALIKE_API_KEYS_FILE", str(tmp_path / "keys"))
    made = CliRunner().invoke(cli, ["keys", "create", "shop"])
    assert Keys.load(tmp_path / "keys").name_of(made.stdout.removesuffix("\n")) == "shop"
    assert "LOOKALIKE_API_KEY" in made.stderr and made.stdout.strip() not in made.stderr


@pytest.mark.parametrize("text", ["", "# ours\n", "old:" + "0" * 64, "old:" + "0" * 64 + " # the first\n\n"])
def test_a_key_is_added_to_those_there_are(run: Run, tmp_path: Path, text: str) -> None:
    file = tmp_path / "keys"
    file.write_text(text)
    file.chmod(0o640)
    keys = [run("keys", "create", name, "--file", file)[1]["key"] for name in ("one", "two")]
    known = Keys.load(file)
    assert [known.name_of(key) for key in keys] == ["one", "two"]
    assert file.read_text().startswith(text) and stat.S_IMODE(file.stat().st_mode) == 0o640


def test_a_running_service_knows_it_from_then_on(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    run("keys", "create", "one", "--file", file)
    known = Keys.load(file)
    key = run("keys", "create", "two", "--file", file)[1]["key"]
    assert known.name_of(key) == "two"


def test_what_would_break_the_file_is_refused_and_nothing_is_written(
    refused: Refused, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "keys"
    refused("invalid_input", "keys", "create", "a:b", "--file", file)
    refused("invalid_input", "keys", "create", "", "--file", file)
    assert not file.exists()
    run("keys", "create", "shop", "--file", file)
    before = file.read_text()
    assert "shop" in refused("invalid_input", "keys", "create", "shop", "--file", file)
    assert file.read_text() == before
    file.write_text("no key\n")
    assert "line 1" in refused("setting_invalid", "keys", "create", "new", "--file", file)
    assert file.read_text() == "no key\n"
    refused("setting_invalid", "keys", "create", "new", "--file", tmp_path / "no" / "where")
    refused("setting_invalid", "keys", "create", "new", "--file", tmp_path)
    monkeypatch.delenv("LOOKALIKE_API_KEYS_FILE", raising=False)
    assert "LOOKALIKE_API_KEYS_FILE" in refused("setting_invalid", "keys", "create", "new")
