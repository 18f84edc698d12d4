"""`lookalike keys`: a key is shown once, and only its hash is kept."""

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from api.access.keyring import Keyring
from api.cli.main import cli

Run = Callable[..., tuple[int, dict[str, Any]]]
Refused = Callable[..., str]

SEARCH = ("--scope", "search")


def test_a_key_is_let_in_and_only_its_hash_is_kept(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    status, answer = run("keys", "create", "shop", *SEARCH, "--file", file)
    assert (status, list(answer)) == (0, ["name", "scopes", "catalogs", "key", "file"])
    assert Keyring.load(file).find(answer["key"]).name == "shop"
    assert answer["key"] not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_stdout_holds_the_key_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKALIKE_API_KEYS_FILE", str(tmp_path / "keys"))
    made = CliRunner().invoke(cli, ["keys", "create", "shop", *SEARCH])
    assert Keyring.load(tmp_path / "keys").find(made.stdout.removesuffix("\n")).name == "shop"
    assert "LOOKALIKE_API_KEY" in made.stderr and made.stdout.strip() not in made.stderr


@pytest.mark.parametrize("text", ["", "# ours\n", "old:" + "0" * 64, "old:" + "0" * 64 + " # the first\n\n"])
def test_a_key_is_added_to_those_there_are(run: Run, tmp_path: Path, text: str) -> None:
    file = tmp_path / "keys"
    file.write_text(text)
    file.chmod(0o640)
    keys = [run("keys", "create", name, *SEARCH, "--file", file)[1]["key"] for name in ("one", "two")]
    known = Keyring.load(file)
    assert [known.find(key).name for key in keys] == ["one", "two"]
    assert file.read_text().startswith(text) and stat.S_IMODE(file.stat().st_mode) == 0o640


def test_a_running_service_knows_it_from_then_on(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    run("keys", "create", "one", *SEARCH, "--file", file)
    known = Keyring.load(file)
    key = run("keys", "create", "two", *SEARCH, "--file", file)[1]["key"]
    assert known.find(key).name == "two"


def test_what_would_break_the_file_is_refused_and_nothing_is_written(
    refused: Refused, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "keys"
    refused("invalid_input", "keys", "create", "a:b", *SEARCH, "--file", file)
    refused("invalid_input", "keys", "create", "", *SEARCH, "--file", file)
    assert not file.exists()
    run("keys", "create", "shop", *SEARCH, "--file", file)
    before = file.read_text()
    assert "shop" in refused("key_exists", "keys", "create", "shop", *SEARCH, "--file", file)
    assert file.read_text() == before
    file.write_text("no key\n")
    assert "line 1" in refused("setting_invalid", "keys", "create", "new", *SEARCH, "--file", file)
    assert file.read_text() == "no key\n"
    refused("setting_invalid", "keys", "create", "new", *SEARCH, "--file", tmp_path / "no" / "where")
    refused("setting_invalid", "keys", "create", "new", *SEARCH, "--file", tmp_path)
    monkeypatch.delenv("LOOKALIKE_API_KEYS_FILE", raising=False)
    assert "LOOKALIKE_API_KEYS_FILE" in refused("setting_invalid", "keys", "create", "new", *SEARCH)


def test_keys_are_listed_turned_and_taken_away(run: Run, refused: Refused, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    first = run("keys", "create", "shop", *SEARCH, "--scope", "ingest", "--catalog", "shoes", "--file", file)[1]["key"]
    run("keys", "create", "ops", "--scope", "admin", "--file", file)
    shop = {"name": "shop", "scopes": ["ingest", "search"], "catalogs": ["shoes"]}
    ops = {"name": "ops", "scopes": ["admin"], "catalogs": None}
    assert run("keys", "list", "--file", file) == (0, {"keys": [ops, shop]})
    second = run("keys", "rotate", "shop", "--file", file)[1]["key"]
    known = Keyring.load(file)
    assert (known.find(first), known.find(second).to_json()) == (None, shop)
    assert run("keys", "revoke", "shop", "--file", file) == (0, shop | {"file": str(file)})
    assert known.find(second) is None
    for change in ("rotate", "revoke"):
        assert "shop" in refused("key_not_found", "keys", change, "shop", "--file", file)
    assert run("keys", "list", "--file", file) == (0, {"keys": [ops]})


def test_a_list_is_for_people_without_json(tmp_path: Path) -> None:
    file = str(tmp_path / "keys")
    CliRunner().invoke(cli, ["keys", "create", "shop", *SEARCH, "--catalog", "shoes", "--file", file])
    CliRunner().invoke(cli, ["keys", "create", "ops", "--scope", "admin", "--file", file])
    told = CliRunner().invoke(cli, ["keys", "list", "--file", file]).stdout
    assert told == "ops: admin on *\nshop: search on shoes\n"
    assert CliRunner().invoke(cli, ["keys", "revoke", "ops", "--file", file]).stdout == "The key of ops is no more.\n"


def test_a_key_without_a_scope_is_not_made(tmp_path: Path) -> None:
    made = CliRunner().invoke(cli, ["keys", "create", "shop", "--file", str(tmp_path / "keys")])
    assert made.exit_code == 2 and "--scope" in made.stderr and not (tmp_path / "keys").exists()
