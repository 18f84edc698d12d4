"""Nobody gets in without a key; without keys, nobody but this machine's own programs and pages."""

import os
from pathlib import Path
from typing import Any

import pytest

from api.auth import OPEN, Keys, hashed, new_key
from services.errors import InvalidSetting


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def write(file: Path, *lines: str) -> Path:
    """Writes it so that it is seen to have changed, however coarse the clock of the disk is."""
    before = file.stat().st_mtime_ns if file.exists() else 0
    file.write_text("".join(f"{line}\n" for line in lines))
    os.utime(file, ns=(before + 1_000_000_000, before + 1_000_000_000))
    return file


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_a_key_is_long_and_random_and_its_hash_is_a_sha256() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100 and all(key.startswith("lk_") and len(key) >= 46 for key in keys)
    assert hashed("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_key_is_known_by_its_name(keys_file: Path) -> None:
    keys = Keys.load(write(keys_file, "# keys", "", f"shop:{hashed('a')} # of the shop", f"pim:{hashed('b')}"))
    assert [keys.name_of(key) for key in ("a", "b", "c", "", hashed("a"), "\udcff")] == ["shop", "pim", *[None] * 4]


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([], "holds none"),
        (["# nothing"], "holds none"),
        (["shop"], "line 1"),
        (["", f"shop {hashed('a')}"], "line 2"),
        ([f"shop:{hashed('a').upper()}"], "line 1"),
        ([f"shop:{hashed('a')[:63]}"], "line 1"),
        ([f"the shop:{hashed('a')}"], "line 1"),
        ([f":{hashed('a')}"], "line 1"),
        ([f"shop:{hashed('a')}", f"shop:{hashed('b')}"], "line 2"),
        (["shop:lk_plain_key"], "line 1"),
    ],
)
def test_a_file_that_is_none_is_refused_with_its_line(keys_file: Path, lines: list[str], says: str) -> None:
    with pytest.raises(InvalidSetting) as refused:
        Keys.load(write(keys_file, *lines))
    assert says in str(refused.value) and str(keys_file) in str(refused.value)
    assert "plain_key" not in str(refused.value)


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read_is_refused(keys_file: Path, content: bytes | None) -> None:
    if content:
        keys_file.write_bytes(content)
    with pytest.raises(InvalidSetting):
        Keys.load(keys_file)


def test_keys_come_and_go_with_the_file(keys_file: Path) -> None:
    keys = Keys.load(write(keys_file, f"a:{hashed('a')}"))
    write(keys_file, f"a:{hashed('a')}", f"b:{hashed('b')}")
    assert (keys.name_of("a"), keys.name_of("b")) == ("a", "b")
    write(keys_file, f"b:{hashed('b')}")
    assert (keys.name_of("a"), keys.name_of("b")) == (None, "b")
    write(keys_file)  # all are revoked
    assert keys.name_of("b") is None


def test_while_the_file_is_broken_or_away_the_keys_stay(keys_file: Path) -> None:
    keys = Keys.load(write(keys_file, f"a:{hashed('a')}"))
    write(keys_file, f"a:{hashed('a')}", "b:half a li")
    assert (keys.name_of("a"), keys.name_of("b")) == ("a", None)
    keys_file.unlink()
    assert keys.name_of("a") == "a"
    write(keys_file, f"b:{hashed('b')}")
    assert (keys.name_of("a"), keys.name_of("b")) == (None, "b")


def paths(service: Any) -> list[tuple[str, str]]:
    """Every route of the app, whoever adds one, and what is none."""
    app = service.app
    found = [("GET", "/nowhere"), ("GET", "/"), ("BREW", "/v1/catalogs"), ("GET", "/v1/catalogs/%")]
    with app.test_request_context():
        for rule in app.url_map.iter_rules():
            path = app.url_map.bind("localhost").build(rule.endpoint, dict.fromkeys(rule.arguments, "x"))
            found += [(method, path) for method in rule.methods if path not in OPEN]
    return found


def test_every_route_needs_a_key(make_service: Any, keys_file: Path) -> None:
    service = make_service(keys=Keys.load(write(keys_file, f"shop:{hashed('a')}")))
    asked = paths(service)
    detail = "This needs an API key that is known here: send the header Authorization: Bearer KEY."
    assert len(asked) > 50
    for method, path in asked:
        answer = service.client.open(path, method=method)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer"), (method, path)
        if method != "HEAD":
            assert answer.json == {
                "type": "/problems/unauthorized",
                "title": "Unauthorized",
                "status": 401,
                "detail": detail,
                "code": "unauthorized",
                "retryable": False,
                "instance": answer.headers["X-Request-Id"],
                "errors": [
                    {
                        "detail": detail,
                        "code": "unauthorized",
                        "field": "Authorization",
                    }
                ],
            }
    for method, path in asked:
        assert service.client.open(path, method=method, headers=bearer("a")).status_code != 401, (method, path)


def test_only_life_and_readiness_are_open(make_service: Any, keys_file: Path) -> None:
    service = make_service(keys=Keys.load(write(keys_file, f"shop:{hashed('a')}")))
    for path in ("/livez", "/readyz"):
        assert service.client.get(path, headers={"Host": "example.com"}).status_code == 200
        assert service.client.get(f"/{path}").status_code == service.client.get(f"{path}/").status_code == 401
    assert sorted(OPEN) == ["/livez", "/readyz"]


@pytest.mark.parametrize(
    ("header", "is_let_in"),
    [
        ("Bearer a", True),
        ("bearer a", True),
        ("BEARER  a ", True),
        ("Bearer b", False),
        ("Bearer", False),
        ("Bearer ", False),
        ("Basic a", False),
        ("a", False),
        (f"Bearer {hashed('a')}", False),
        ("Bearer a a", False),
        ("Bearer \xe9", False),
    ],
)
def test_a_key_is_a_bearer_token(make_service: Any, keys_file: Path, header: str, is_let_in: bool) -> None:
    service = make_service(keys=Keys.load(write(keys_file, f"shop:{hashed('a')}")))
    answer = service.client.get("/v1/catalogs", headers={"Authorization": header, "Host": "shop.example.com"})
    assert (answer.status_code == 200) is is_let_in


@pytest.mark.parametrize(
    ("host", "is_let_in"),
    [
        ("localhost", True),
        ("LOCALHOST:8080", True),
        ("127.0.0.1", True),
        ("127.1.2.3:8080", True),
        ("[::1]", True),
        ("[::1]:8080", True),
        ("example.com", False),
        ("localhost.example.com", False),
        ("127.0.0.1.example.com", False),
        ("10.0.0.1", False),
        ("0.0.0.0", False),
        ("[::2]", False),
        ("[::ffff:10.0.0.1]", False),
        ("2130706433", False),
        ("127.1", False),
        ("localhost:x", False),
        ("[localhost]", False),
        ("127.0.0.1@example.com", False),
        ("", False),
    ],
)
def test_without_keys_only_this_machine_is_answered(service: Any, host: str, is_let_in: bool) -> None:
    """A name of someone else that leads to 127.0.0.1 makes a browser ask us (DNS rebinding)."""
    answer = service.client.get("/v1/catalogs", headers={"Host": host})
    if is_let_in:
        assert answer.status_code == 200
    else:
        assert answer.status_code in (400, 403) and answer.content_type == "application/problem+json"
        assert service.client.get("/v1/nowhere", headers={"Host": host}).status_code == answer.status_code


@pytest.mark.parametrize(
    ("origin", "method", "is_let_in"),
    [
        ("http://localhost:8080", "PUT", True),
        (None, "PUT", True),
        ("http://localhost:8081", "PUT", False),
        ("https://localhost:8080", "PUT", False),
        ("http://example.com", "PUT", False),
        ("null", "PUT", False),
        ("", "PUT", False),
        ("http://example.com", "POST", False),
        ("http://example.com", "PATCH", False),
        ("http://example.com", "DELETE", False),
        ("http://example.com", "GET", True),
        ("http://example.com", "HEAD", True),
    ],
)
def test_pages_of_other_sites_change_nothing(service: Any, origin: str | None, method: str, is_let_in: bool) -> None:
    headers = {"Host": "localhost:8080"} | ({} if origin is None else {"Origin": origin})
    answer = service.client.open("/v1/catalogs/shoes", method=method, json={}, headers=headers)
    assert (answer.status_code != 403) is is_let_in
    assert service.client.get("/v1/catalogs/shoes").status_code == 200


def test_no_answer_lets_other_sites_read_it(service: Any) -> None:
    answer = service.client.get("/v1/catalogs", headers={"Origin": "http://example.com"})
    assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]
