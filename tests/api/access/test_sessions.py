"""The cookie of a session opens what its key opens, for twelve hours, and changes nothing for pages of others."""

import io
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from key_files import bearer

from api.access.keyring import Keyring
from api.access.keys import new_key
from api.access.keys_file import add, revoke, rotate
from api.access.secret_file import beside, kept_secret
from api.access.sessions import COOKIE, SECONDS, Sessions

SITE = "https://shop.example"
OWN = {"Origin": SITE}


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    return tmp_path / "keys"


@pytest.fixture
def secrets(keys_file: Path) -> dict[str, str]:
    """The secrets of keys by their names."""
    made = {}
    for name, scopes, catalogs in (("root", ["admin"], None), ("finder", ["search"], ["shoes"])):
        key, made[name] = new_key(name, scopes, catalogs)
        add(keys_file, key)
    return made


@pytest.fixture
def service(make_service: Any, keys_file: Path, secrets: dict[str, str]) -> Any:
    service = make_service(keyring=Keyring.load(keys_file), public_url=f"{SITE}/lookalike")
    assert bare(service).put("/v1/catalogs/shoes", json={}, headers=bearer(secrets["root"])).status_code == 201
    return service


def bare(service: Any) -> FlaskClient:
    """A client that sends the cookies that it is told to send, and keeps none."""
    client: FlaskClient = service.app.test_client(use_cookies=False)
    return client


def cookie(service: Any, secret: str) -> dict[str, str]:
    """The header that sends the cookie of a new session."""
    begun = bare(service).post("/v1/session", json={"key": secret}, headers=OWN)
    assert begun.status_code == 200, begun.text
    return {"Cookie": begun.headers["Set-Cookie"].partition(";")[0]}


def test_a_session_is_a_cookie_that_no_script_and_no_other_site_gets(service: Any, secrets: dict[str, str]) -> None:
    begun = bare(service).post("/v1/session", json={"key": secrets["finder"]}, headers=OWN)
    told = begun.json
    assert (told["name"], told["scopes"], told["catalogs"]) == ("finder", ["search"], ["shoes"])
    pair, *attributes = begun.headers["Set-Cookie"].split("; ")
    assert pair.startswith(f"{COOKIE}=") and secrets["finder"] not in begun.headers["Set-Cookie"]
    kept = {each for each in attributes if not each.startswith("Expires=")}
    assert kept == {"Secure", "HttpOnly", "SameSite=Strict", "Path=/lookalike", f"Max-Age={SECONDS}"}
    again = bare(service).get("/v1/session", headers={"Cookie": pair})
    assert (again.status_code, again.json) == (200, told)


def test_without_tls_a_cookie_is_not_kept_for_it(make_service: Any, keys_file: Path, secrets: dict[str, str]) -> None:
    service = make_service(keyring=Keyring.load(keys_file))
    begun = bare(service).post("/v1/session", json={"key": secrets["root"]})
    told = begun.headers["Set-Cookie"].split("; ")
    assert "Secure" not in told and {"HttpOnly", "SameSite=Strict", "Path=/"} <= {*told}


def test_a_session_goes_as_far_as_its_key(service: Any, secrets: dict[str, str]) -> None:
    finder, root = cookie(service, secrets["finder"]), cookie(service, secrets["root"])
    asked = [("GET", "/v1/catalogs/shoes"), ("GET", "/v1/catalogs/bags"), ("GET", "/v1/jobs"), ("GET", "/v1/keys")]
    statuses = [bare(service).open(path, method=method, headers=finder).status_code for method, path in asked]
    assert statuses == [200, 403, 403, 403]
    assert [bare(service).get(path, headers=root).status_code for _, path in asked] == [200, 404, 200, 200]
    picture = {"image": (io.BytesIO(service.picture()), "x.png")}
    put = bare(service).put("/v1/catalogs/shoes/products/a?wait=30", data=picture, headers=root | OWN)
    assert put.status_code == 200
    assert bare(service).get("/v1/catalogs/shoes/products/a/thumbnail", headers=finder).status_code == 200


def test_with_a_cookie_pages_of_others_change_nothing(service: Any, secrets: dict[str, str]) -> None:
    sent = cookie(service, secrets["root"])
    client = bare(service)
    others = ["", "null", "https://evil.example", "http://shop.example", f"{SITE}:444", "https://a.shop.example"]
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"):
        for origin in ({}, *({"Origin": each} for each in [*others, "http://localhost"])):
            refused = client.open("/v1/catalogs/shoes", method=method, headers=sent | origin)
            assert (refused.status_code, refused.json["code"]) == (403, "origin_refused"), (method, origin)
            assert client.get("/v1/catalogs/shoes", headers=sent | origin).status_code == 200, (method, origin)
        own = client.open("/v1/catalogs/none", method=method, headers=sent | OWN)
        assert own.status_code != 403, method


def test_a_key_needs_no_origin(service: Any, secrets: dict[str, str]) -> None:
    """No browser sends it by itself. Where there is one, the cookie is not asked: a wrong key stays wrong."""
    sent = cookie(service, secrets["root"])
    for headers in (bearer(secrets["root"]), bearer(secrets["root"]) | {"Origin": "https://evil.example"} | sent):
        assert bare(service).put("/v1/catalogs/shoes", json={}, headers=headers).status_code == 200
    assert bare(service).get("/v1/session", headers=sent | bearer("wrong")).status_code == 401


def test_pages_of_others_begin_and_end_no_session(service: Any, secrets: dict[str, str]) -> None:
    sent = cookie(service, secrets["root"])
    evil = {"Origin": "https://evil.example"}
    begun = bare(service).post("/v1/session", json={"key": secrets["finder"]}, headers=evil)
    assert (begun.status_code, begun.json["code"], "Set-Cookie" in begun.headers) == (403, "origin_refused", False)
    for headers in (sent, sent | evil):
        ended = bare(service).delete("/v1/session", headers=headers)
        assert (ended.status_code, ended.json["code"], "Set-Cookie" in ended.headers) == (403, "origin_refused", False)


def test_ending_a_session_has_the_browser_forget_it(service: Any, secrets: dict[str, str]) -> None:
    """A copy of the cookie is good until it expires: nothing is kept of it here."""
    sent = cookie(service, secrets["root"])
    client = bare(service)
    for headers in (sent | OWN, {}):
        ended = client.delete("/v1/session", headers=headers)
        assert ended.status_code == 204
        assert f"{COOKIE}=; " in ended.headers["Set-Cookie"] and "Max-Age=0; " in ended.headers["Set-Cookie"]
        assert "Path=/lookalike" in ended.headers["Set-Cookie"]
    assert client.get("/v1/session", headers=sent).status_code == 200


@pytest.mark.parametrize("change", [rotate, revoke])
def test_a_key_that_is_rotated_or_revoked_ends_its_sessions(
    service: Any, keys_file: Path, secrets: dict[str, str], change: Any
) -> None:
    finder, root = cookie(service, secrets["finder"]), cookie(service, secrets["root"])
    change(keys_file, "finder")
    ended = bare(service).get("/v1/session", headers=finder)
    assert (ended.status_code, ended.json["code"], ended.json["errors"][0]["field"]) == (401, "unauthorized", "Cookie")
    assert bare(service).get("/v1/session", headers=root).status_code == 200


def test_a_name_that_is_given_anew_does_not_revive_sessions(
    service: Any, keys_file: Path, secrets: dict[str, str]
) -> None:
    finder = cookie(service, secrets["finder"])
    revoke(keys_file, "finder")
    add(keys_file, new_key("finder", ["admin"])[0])
    assert bare(service).get("/v1/session", headers=finder).status_code == 401


def test_a_session_lasts_twelve_hours(keys_file: Path, secrets: dict[str, str]) -> None:
    ring, now = Keyring.load(keys_file), 1_800_000_000.0
    clock = [now]
    sessions = Sessions(ring, b"x" * 64, lambda: clock[0])
    key = ring.find(secrets["root"])
    assert key is not None
    made, ends = sessions.begun(key)
    assert ends == now + 12 * 3600
    # The clocks of two machines differ.
    for later, is_known in ((-5, True), (0, True), (SECONDS - 1, True), (SECONDS, False), (SECONDS + 1, False)):
        clock[0] = now + later
        assert (sessions.known(made) == (key, ends)) is is_known, later


def test_a_cookie_that_was_not_signed_here_is_none(service: Any, keys_file: Path, secrets: dict[str, str]) -> None:
    ring = Keyring.load(keys_file)
    key = ring.find(secrets["root"])
    assert key is not None
    forged, _ = Sessions(ring, b"0" * 64).begun(key)
    true = cookie(service, secrets["root"])["Cookie"].partition("=")[2]
    payload, _, signature = true.rpartition(".")
    for each in (
        forged,
        payload,
        f"{payload}.",
        f"{payload[:-1]}x.{signature}",
        f"{payload}.{signature[::-1]}",
        "",
        ".",
    ):
        assert bare(service).get("/v1/session", headers={"Cookie": f"{COOKIE}={each}"}).status_code == 401
    assert bare(service).get("/v1/session", headers={"Cookie": f"{COOKIE}={true}"}).status_code == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [({"key": "wrong"}, 401), ({"key": ""}, 422), ({}, 422), ({"key": 1}, 422), ({"key": "a", "name": "b"}, 422)],
)
def test_only_a_key_begins_a_session(service: Any, body: Any, status: int) -> None:
    refused = bare(service).post("/v1/session", json=body, headers=OWN)
    assert refused.status_code == status and "Set-Cookie" not in refused.headers
    assert bare(service).post("/v1/session", data={"key": "x"}, headers=OWN).status_code == 415


def test_without_keys_the_session_is_that_of_this_machine(make_service: Any) -> None:
    client = bare(make_service())
    told = {"name": "", "scopes": ["admin"], "catalogs": None, "expires_at": None}
    assert client.get("/v1/session").json == told
    assert client.get("/v1/session", headers={"Host": "evil.example"}).status_code == 403
    assert client.post("/v1/session", json={"key": "x"}).status_code == 409


def test_a_key_tells_what_it_opens(service: Any, secrets: dict[str, str]) -> None:
    told = bare(service).get("/v1/session", headers=bearer(secrets["finder"])).json
    assert told == {"name": "finder", "scopes": ["search"], "catalogs": ["shoes"], "expires_at": None}


def test_processes_share_one_secret_that_only_their_owner_reads(keys_file: Path, secrets: dict[str, str]) -> None:
    file = beside(keys_file)
    for _ in range(20):
        together = threading.Barrier(4)

        def made(together: threading.Barrier = together) -> bytes:
            together.wait(300)
            return kept_secret(file)

        with ThreadPoolExecutor(4) as pool:
            found = {each.result() for each in [pool.submit(made) for _ in range(4)]}
        assert found == {file.read_bytes().strip()} and len(found.pop()) == 64
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        file.unlink()


@pytest.mark.parametrize("left", ["", "abc", "0" * 63, "g" * 64, "0" * 65])
def test_what_a_crash_left_of_a_secret_is_replaced(tmp_path: Path, left: str) -> None:
    file = tmp_path / "keys.secret"
    file.write_text(left)
    made = kept_secret(file)
    assert len(made) == 64 and made.decode() != left and kept_secret(file) == made


def test_a_secret_that_was_put_there_is_only_read(tmp_path: Path) -> None:
    file = tmp_path / "keys.secret"
    file.write_text("5" * 64)
    file.chmod(0o400)
    assert kept_secret(file) == b"5" * 64 and file.read_text() == "5" * 64


def test_where_no_secret_can_be_kept_keys_still_open(
    make_service: Any, keys_file: Path, secrets: dict[str, str]
) -> None:
    # A folder in its place cannot be written whoever runs this.
    beside(keys_file).mkdir()
    client = bare(make_service(keyring=Keyring.load(keys_file)))
    assert client.get("/v1/session", headers=bearer(secrets["root"])).status_code == 200
    refused = client.post("/v1/session", json={"key": secrets["root"]})
    assert (refused.status_code, refused.json["code"]) == (409, "conflict")
    assert str(keys_file) not in refused.text


def test_another_process_knows_a_session(
    make_service: Any, service: Any, keys_file: Path, secrets: dict[str, str]
) -> None:
    other = make_service(keyring=Keyring.load(keys_file))
    assert bare(other).get("/v1/session", headers=cookie(service, secrets["root"])).status_code == 200
    beside(keys_file).unlink()
    third = make_service(keyring=Keyring.load(keys_file))
    assert bare(third).get("/v1/session", headers=cookie(service, secrets["root"])).status_code == 401
