"""Settings come from the environment and are refused by name."""

from pathlib import Path

import pytest

from services import settings
from services.errors import InvalidSetting


def test_every_setting_has_a_default_and_a_meaning() -> None:
    for name, field in settings.Settings.model_fields.items():
        assert field.description, name
        assert not field.is_required(), name


def test_the_environment_is_read_and_options_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKALIKE_DATA", "/somewhere")
    monkeypatch.setenv("LOOKALIKE_BATCH_SIZE", "32")
    assert settings.load().data == Path("/somewhere")
    assert settings.load(data="/else", precision=None).data == Path("/else")
    assert settings.load().batch_size == 32


@pytest.mark.parametrize(
    ("name", "value"),
    [("BATCH_SIZE", "0"), ("BATCH_SIZE", "many"), ("PRECISION", "float8"), ("DECODE_TIMEOUT", "-1")],
)
def test_a_bad_value_is_refused_with_the_variables_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"LOOKALIKE_{name}", value)
    with pytest.raises(InvalidSetting, match=f"LOOKALIKE_{name}={value} "):
        settings.load()


def test_a_secret_comes_from_a_file_and_the_environment_before_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LOOKALIKE_SECRETS", str(tmp_path))
    (tmp_path / "lookalike_qdrant_api_key").write_text("s3cret\n")
    (tmp_path / "lookalike_redis_url").write_text("redis://:pass@host/0")
    assert settings.load().qdrant_api_key.get_secret_value() == "s3cret"
    assert settings.load().redis_url == "redis://:pass@host/0"
    monkeypatch.setenv("LOOKALIKE_REDIS_URL", "redis://other/0")
    assert settings.load().redis_url == "redis://other/0"
    assert "s3cret" not in repr(settings.load())


@pytest.mark.parametrize("url", ["qdrant:6333", "ftp://qdrant", "http://", "http://user:secret@qdrant"])
def test_a_qdrant_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(InvalidSetting, match="LOOKALIKE_QDRANT_URL"):
        settings.load(qdrant_url=url)
