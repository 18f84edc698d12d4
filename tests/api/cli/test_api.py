"""`lookalike api` without what it needs. That it serves, tests/e2e shows."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from api.cli.main import cli

REDIS, QDRANT = "LOOKALIKE_REDIS_URL", "LOOKALIKE_QDRANT_URL"


@pytest.mark.parametrize(
    ("given", "arguments", "named"),
    [
        ({}, (), f"{REDIS} is not set"),
        ({QDRANT: "http://127.0.0.1:1"}, (), f"{REDIS} is not set"),
        ({REDIS: "redis://127.0.0.1:1"}, (), f"{QDRANT} is not set"),
        ({REDIS: "http://127.0.0.1:1", QDRANT: "http://127.0.0.1:1"}, (), REDIS),
        ({REDIS: "redis://127.0.0.1:1", QDRANT: "redis://127.0.0.1:1"}, (), QDRANT),
        ({REDIS: "redis://127.0.0.1:1", QDRANT: "http://127.0.0.1:1"}, ("--host", "0.0.0.0"), "--host 0.0.0.0"),
    ],
)
def test_what_is_missing_is_one_sentence(
    given: dict[str, str],
    arguments: tuple[str, ...],
    named: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in (REDIS, QDRANT):
        monkeypatch.setenv(name, given.get(name, ""))
    answer = CliRunner().invoke(cli, ["api", "--data", str(tmp_path / "data"), *arguments])
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert answer.stderr.startswith("Refused (setting_invalid): ") and named in answer.stderr
    assert not (tmp_path / "data").exists()
