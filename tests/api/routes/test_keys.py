"""`/v1/keys`: keys are made, turned and taken away while the service runs, and no secret is kept or told twice."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from key_files import bearer
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from api.access.keyring import Keyring
from api.access.keys import new_key
from api.access.keys_file import add


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    return tmp_path / "keys"


@pytest.fixture
def admin(keys_file: Path) -> dict[str, str]:
    key, secret = new_key("root", ["admin"])
    add(keys_file, key)
    return bearer(secret)


@pytest.fixture
def ask(make_service: Any, keys_file: Path, admin: dict[str, str]) -> Callable[..., Any]:
    """Asks a service with keys, as admin unless told otherwise."""
    service = make_service(keyring=Keyring.load(keys_file))

    def ask(method: str, path: str, key: dict[str, str] | None = None, **options: Any) -> Any:
        return service.client.open(path, method=method, headers=admin if key is None else key, **options)

    return ask


def test_a_key_is_made_turned_and_taken_away(ask: Callable[..., Any], keys_file: Path) -> None:
    made = ask("POST", "/v1/keys", json={"name": "shop", "scopes": ["search"], "catalogs": ["shoes"]})
    secret = made.json["key"]
    shop = {"name": "shop", "scopes": ["search"], "catalogs": ["shoes"]}
    root = {"name": "root", "scopes": ["admin"], "catalogs": None}
    assert (made.status_code, made.json) == (201, shop | {"key": secret})
    assert ask("GET", "/v1/keys").json == {"keys": [root, shop]}
    assert ask("GET", "/v1/catalogs", bearer(secret)).status_code == 200
    assert secret not in keys_file.read_text()
    turned = ask("POST", "/v1/keys/shop/rotate")
    assert (turned.status_code, turned.json) == (200, shop | {"key": turned.json["key"]})
    old, new = (ask("GET", "/v1/catalogs", bearer(each)).status_code for each in (secret, turned.json["key"]))
    assert (old, new) == (401, 200)
    assert (ask("DELETE", "/v1/keys/shop").status_code, ask("DELETE", "/v1/keys/shop").status_code) == (204, 404)
    assert ask("GET", "/v1/catalogs", bearer(turned.json["key"])).status_code == 401
    assert ask("GET", "/v1/keys").json == {"keys": [root]}


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"name": "shop"}, 422, "scopes"),
        ({"name": "a:b", "scopes": ["search"]}, 422, "name"),
        ({"name": "shop", "scopes": []}, 422, "scopes"),
        ({"name": "shop", "scopes": ["root"]}, 422, "scopes.0"),
        ({"name": "shop", "scopes": ["search"], "catalogs": []}, 422, "catalogs"),
        ({"name": "shop", "scopes": ["search"], "catalogs": ["*"]}, 422, "catalogs.0"),
        ({"name": "shop", "scopes": ["search"], "key": "mine"}, 422, "key"),
        ({"name": "root", "scopes": ["search"]}, 409, None),
    ],
)
def test_a_key_that_is_none_is_refused(
    ask: Callable[..., Any], keys_file: Path, body: dict[str, Any], status: int, field: str | None
) -> None:
    before = keys_file.read_text()
    answer = ask("POST", "/v1/keys", json=body)
    assert (answer.status_code, [each["field"] for each in answer.json.get("errors", [])]) == (
        status,
        [field] if field else [],
    )
    assert keys_file.read_text() == before


def test_where_the_file_is_not_the_services_to_change_no_path_is_told(
    ask: Callable[..., Any], keys_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys_file.unlink()
    keys_file.mkdir()
    for method, path in (("DELETE", "/v1/keys/root"), ("POST", "/v1/keys/root/rotate")):
        answer = ask(method, path)
        assert answer.status_code == 409 and str(keys_file) not in answer.text
    assert ask("GET", "/v1/keys").status_code == 200


def test_without_keys_there_are_none_to_list(make_service: Any) -> None:
    answer = make_service().client.get("/v1/keys")
    assert (answer.status_code, answer.json["code"]) == (409, "conflict")
    assert "lookalike keys create" in answer.json["detail"]


def test_no_log_holds_a_secret(
    ask: Callable[..., Any],
) -> None:
    """Which key it was is told by its name."""
    with capture_logs([merge_contextvars]) as lines:
        secret = ask("POST", "/v1/keys", json={"name": "shop", "scopes": ["search"]}).json["key"]
        for path in ("/v1/catalogs", "/v1/nowhere", "/v1/keys"):
            ask("GET", path, bearer(secret))
            ask("GET", path, bearer(secret + "x"))
        turned = ask("POST", "/v1/keys/shop/rotate").json["key"]
    told = [line.get("api_key") for line in lines if line["event"] == "request"]
    assert told == ["root", *["shop", None] * 3, "root"]
    assert not [line for line in lines if secret[3:15] in str(line) or turned[3:15] in str(line)]
