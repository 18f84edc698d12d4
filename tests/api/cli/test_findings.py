"""Findings that are older than the catalog: whoever may only search is shown them, and told so."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from beside import beside
from click.testing import CliRunner
from shelf import picture
from shelf import shelf as shelf

from api.access.keyring import Keyring
from api.access.keys import hashed, new_secret
from api.cli.main import cli
from services.records import Change, State
from services.testing import load_stub

Run = Callable[..., tuple[int, dict[str, Any]]]
COMMANDS = (["duplicates"], ["outliers", "--label", "kind"], ["outliers", "--isolated"], ["map"])


@pytest.mark.long
def test_a_key_for_searching_shows_what_was_found_before_and_says_how_to_bring_it_up_to_date(
    run: Run, refused: Callable[..., str], shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = Path(shutil.copytree(shelf, tmp_path / "data"))
    admin, search = new_secret(), new_secret()
    (tmp_path / "keys").write_text(f"ops:{hashed(admin)}\nshop:search:*:{hashed(search)}\n")

    def said(command: list[str]) -> tuple[int, str]:
        result = CliRunner(env={"COLUMNS": "400"}).invoke(cli, [*command, "--data", str(data)])
        return result.exit_code, result.stderr

    with beside(data, keyring=Keyring.load(tmp_path / "keys"), load=load_stub) as service:
        for command in COMMANDS:
            monkeypatch.setenv("LOOKALIKE_API_KEY", search)
            assert "takes one for admin" in refused("forbidden", *command, "--data", data)
            monkeypatch.setenv("LOOKALIKE_API_KEY", admin)
            assert said(command)[0] == 0 and "changed since" not in said(command)[1]
        [outcome] = service.catalogs.get("products").put([Change("more", image=picture("red", "mug", 77))])
        assert outcome.state is State.APPLIED
        for command in COMMANDS:
            monkeypatch.setenv("LOOKALIKE_API_KEY", search)
            status, answer = run(*command, "--data", data)
            assert (status, answer["products"], answer["stale"]) == (0, 60, True) and answer["seconds"] >= 0
            status, told = said(command)
            assert status == 0 and "The catalog has changed since this was found, at 20" in told, told
            way = f"`lookalike {' '.join(command)} --catalog products` brings it up to date"
            assert f"{way}, with a key for admin in LOOKALIKE_API_KEY." in told
            monkeypatch.setenv("LOOKALIKE_API_KEY", admin)
            assert "changed since" not in said(command)[1]


def test_numbers_of_answers_are_checked_alike() -> None:
    for command in COMMANDS:
        for number in ("0", "1001", "many"):
            result = CliRunner().invoke(cli, [*command, "-n", number])
            assert result.exit_code == 2 and "Invalid value for '-n' / '--limit'" in result.stderr
