"""Pages of sites that are named may call with a key; a cookie opens nothing for them, and others read nothing."""

from pathlib import Path
from typing import Any

import pytest
from key_files import bearer, write

from api.access.keyring import Keyring
from api.access.keys import hashed
from services.errors import InvalidSetting

SHOP, EVIL = "https://shop.example", "https://evil.example"
PREFLIGHT = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization,content-type"}


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return Keyring.load(write(tmp_path / "keys", f"shop:{hashed('a')}"))


def told(answer: Any) -> dict[str, str]:
    return {name: value for name, value in answer.headers if name.startswith("Access-Control-")}


def test_a_preflight_of_a_named_origin_passes_without_a_key(make_service: Any, keyring: Keyring) -> None:
    client = make_service(keyring=keyring, allow_origins=f"https://other.example, {SHOP}").client
    for path in ("/v1/catalogs/shoes", "/v1/nowhere"):
        asked = client.options(path, headers=PREFLIGHT | {"Origin": SHOP})
        headers = told(asked)
        assert (asked.status_code, asked.data, headers["Access-Control-Allow-Origin"]) == (204, b"", SHOP)
        assert "PUT" in headers["Access-Control-Allow-Methods"].split(", ")
        assert {"Authorization", "Content-Type", "Idempotency-Key"} <= {
            *headers["Access-Control-Allow-Headers"].split(", ")
        }
        assert "Access-Control-Allow-Credentials" not in headers and asked.vary.as_set() == {"origin"}
        for origin in (EVIL, "null", f"{SHOP}:444", "http://shop.example", "https://a.shop.example"):
            refused = client.options(path, headers=PREFLIGHT | {"Origin": origin})
            assert (refused.status_code, told(refused)) == (401, {})
    # What is no preflight needs a key as everything does.
    assert client.options("/v1/catalogs", headers={"Origin": SHOP}).status_code == 401


def test_an_answer_is_read_by_pages_of_named_origins_only(make_service: Any, keyring: Keyring) -> None:
    client = make_service(keyring=keyring, allow_origins=SHOP).client
    for path, headers, status in (
        ("/v1/catalogs", bearer("a"), 200),
        ("/v1/catalogs/none", bearer("a"), 404),
        ("/v1/catalogs", {}, 401),
        ("/livez", {}, 200),
    ):
        answer = client.get(path, headers=headers | {"Origin": SHOP})
        found = told(answer)
        assert (answer.status_code, found.pop("Access-Control-Allow-Origin")) == (status, SHOP)
        exposed = {*found.pop("Access-Control-Expose-Headers").split(", ")}
        assert {"ETag", "Location", "Retry-After", "X-Request-Id"} <= exposed and found == {}
        other = client.get(path, headers=headers | {"Origin": EVIL})
        assert (other.status_code, told(other)) == (status, {})
        # A cache must not give one site what it has of another.
        assert all("origin" in each.vary for each in (answer, other, client.get(path, headers=headers)))
    page = client.get("/problems/unauthorized", headers={"Origin": SHOP})
    assert page.vary.as_set() == {"accept", "accept-encoding", "origin"}


def test_a_named_origin_is_no_origin_of_ours(make_service: Any, keyring: Keyring) -> None:
    service = make_service(keyring=keyring, allow_origins=SHOP)
    client = service.app.test_client()
    assert client.post("/v1/session", json={"key": "a"}).status_code == 200
    refused = client.put("/v1/catalogs/shoes", json={}, headers={"Origin": SHOP})
    assert (refused.status_code, refused.json["code"]) == (403, "origin_refused")
    put = client.put("/v1/catalogs/shoes", json={}, headers={"Origin": SHOP} | bearer("a"))
    assert (put.status_code, told(put)["Access-Control-Allow-Origin"]) == (201, SHOP)


def test_by_default_no_origin_is_named(make_service: Any, keyring: Keyring) -> None:
    client = make_service(keyring=keyring).client
    assert client.options("/v1/catalogs", headers=PREFLIGHT | {"Origin": SHOP}).status_code == 401
    answer = client.get("/v1/catalogs", headers=bearer("a") | {"Origin": SHOP})
    assert (answer.status_code, told(answer), "origin" in answer.vary) == (200, {}, False)


def test_without_keys_no_origin_may_be_named(make_service: Any) -> None:
    """Whatever asks from this machine is an admin then."""
    with pytest.raises(InvalidSetting, match="LOOKALIKE_ALLOW_ORIGINS is refused without API keys"):
        make_service(allow_origins=SHOP)
