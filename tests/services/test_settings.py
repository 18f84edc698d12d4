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
    [("BATCH_SIZE", "0"), ("BATCH_SIZE", "many"), ("PRECISION", "float16"), ("DECODE_TIMEOUT", "-1")],
)
def test_a_bad_value_is_refused_with_the_variables_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"LOOKALIKE_{name}", value)
    with pytest.raises(InvalidSetting, match=f"LOOKALIKE_{name}={value} "):
        settings.load()
