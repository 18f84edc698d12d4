"""Nobody gets in without a key, and with one no further than it goes; without keys, nobody but this machine's own
programs and pages."""

import io
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from key_files import bearer, write
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from api.access import auth
from api.access.keyring import Keyring
from api.access.keys import Scope, hashed, new_key
from api.access.keys_file import add, rotate

OPENED = frozenset(
    {"health.livez", "health.readyz", "docs.page", "docs.openapi", "problems.problem", "static"}
    | {"session.begin", "session.end"}
)
"""What answers without a key: what load balancers ask, how the API works, the same everywhere, and the door."""
READ = frozenset(Scope)
OPENED_BY: dict[str, tuple[frozenset[str], bool]] = {
    "catalogs.scroll": (READ, False),
    "catalogs.read": (READ, False),
    "catalogs.put": (frozenset({"admin"}), False),
    "catalogs.delete": (frozenset({"admin"}), False),
    "products.scroll": (READ, False),
    "products.read": (READ, False),
    "products.post": (frozenset({"ingest", "admin"}), False),
    "products.read_many": (READ, False),
    "products.delete_many": (frozenset({"ingest", "admin"}), False),
    "products.put": (frozenset({"ingest", "admin"}), False),
    "products.patch": (frozenset({"ingest", "admin"}), False),
    "products.delete": (frozenset({"ingest", "admin"}), False),
    "uploads.post": (frozenset({"ingest", "admin"}), False),
    "uploads.missing": (frozenset({"ingest", "admin"}), False),
    "images.image": (READ, False),
    "images.thumbnail": (READ, False),
    "facets.post": (READ, False),
    "search.neighbors": (frozenset({"search", "admin"}), False),
    "search.search": (frozenset({"search", "admin"}), False),
    "jobs.scroll": (frozenset({"ingest", "admin"}), False),
    "jobs.read": (frozenset({"ingest", "admin"}), False),
    "jobs.items": (frozenset({"ingest", "admin"}), False),
    "jobs.cancel": (frozenset({"ingest", "admin"}), False),
    "jobs.retry": (frozenset({"ingest", "admin"}), False),
    "tasks.optimize": (frozenset({"admin"}), False),
    "generations.scroll": (READ, False),
    "generations.post": (frozenset({"admin"}), False),
    "generations.compare": (frozenset({"admin"}), False),
    "generations.behind": (frozenset({"admin"}), False),
    "generations.promote": (frozenset({"admin"}), False),
    "generations.delete": (frozenset({"admin"}), False),
    "evaluations.post": (frozenset({"admin"}), False),
    "queries.query": (frozenset({"search", "admin"}), False),
    "directions.scroll": (frozenset({"search", "admin"}), False),
    "directions.put": (frozenset({"admin"}), False),
    "directions.read": (frozenset({"search", "admin"}), False),
    "directions.remove": (frozenset({"admin"}), False),
    "directions.axis": (frozenset({"search", "admin"}), False),
    "directions.path": (frozenset({"search", "admin"}), False),
    "outliers.put": (frozenset({"admin"}), False),
    "outliers.read": (frozenset({"search", "admin"}), False),
    "maps.put": (frozenset({"admin"}), False),
    "maps.read": (frozenset({"search", "admin"}), False),
    "maps.points": (frozenset({"search", "admin"}), False),
    "maps.ids": (frozenset({"search", "admin"}), False),
    "maps.column": (frozenset({"search", "admin"}), False),
    "duplicates.put": (frozenset({"admin"}), False),
    "duplicates.scroll": (frozenset({"search", "admin"}), False),
    "duplicates.decide": (frozenset({"admin"}), False),
    "duplicates.undo": (frozenset({"admin"}), False),
    "duplicates.forget": (frozenset({"admin"}), False),
    "duplicates.of": (frozenset({"search", "admin"}), False),
    "session.read": (READ, False),
    "keys.scroll": (frozenset({"admin"}), True),
    "backup.post": (frozenset({"admin"}), True),
    "keys.post": (frozenset({"admin"}), True),
    "keys.rotate": (frozenset({"admin"}), True),
    "keys.delete": (frozenset({"admin"}), True),
    "health.stats": (READ, True),
    "health.metrics": (READ, True),
}
"""What opens each route that asks for a key, and whether only a key for all catalogs does: said a second time."""


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    return tmp_path / "keys"


@pytest.fixture
def make_key(keys_file: Path) -> Any:
    """Adds a key to the file and gives its header."""

    def make(name: str, scopes: list[str], catalogs: list[str] | None = None) -> dict[str, str]:
        key, secret = new_key(name, scopes, catalogs)
        add(keys_file, key)
        return bearer(secret)

    return make


def paths(service: Any) -> list[tuple[str, str]]:
    """Every route of the app, whoever adds one, and what is none."""
    app = service.app
    found = [("GET", "/nowhere"), ("GET", "/"), ("BREW", "/v1/catalogs"), ("GET", "/v1/catalogs/%")]
    with app.test_request_context():
        for rule in app.url_map.iter_rules():
            if rule.endpoint in OPENED:
                continue
            path = app.url_map.bind("localhost").build(rule.endpoint, dict.fromkeys(rule.arguments, "x"))
            found += [(method, path) for method in rule.methods]
    return found


def test_every_route_needs_a_key(make_service: Any, keys_file: Path) -> None:
    service = make_service(keyring=Keyring.load(write(keys_file, f"shop:{hashed('a')}")))
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


def routes(app: Flask, catalog: str) -> list[tuple[str, str, str]]:
    """Endpoint, method and path of every route, of that catalog where it is of one."""
    urls, found = app.url_map.bind("localhost"), []
    for rule in app.url_map.iter_rules():
        values = {name: {"catalog": catalog, "filename": "docs.css"}.get(name, "1") for name in rule.arguments}
        path = urls.build(rule.endpoint, values)
        # The OPTIONS of a path are one route's, whichever of it comes first.
        found += [(urls.match(path, method)[0], method, path) for method in sorted(rule.methods or ())]
    return found


def test_every_route_says_what_opens_it(make_service: Any) -> None:
    app = make_service().app
    told = {rule.endpoint: auth.access(app, rule.endpoint) for rule in app.url_map.iter_rules()}
    closed = {name: access for name, access in told.items() if access.scopes}
    assert {name: ({*access.scopes, Scope.ADMIN}, access.everywhere) for name, access in closed.items()} == OPENED_BY
    assert told.keys() - closed.keys() == OPENED


def test_an_app_with_a_route_that_does_not_say_what_opens_it_does_not_start(make_service: Any) -> None:
    app = Flask("api")
    app.add_url_rule("/open", view_func=auth.opened_by()(lambda: ""), endpoint="open")
    app.view_functions["static"] = auth.opened_by(Scope.ADMIN)(app.view_functions["static"])
    auth.check_routes(app)
    app.add_url_rule("/new", view_func=lambda: "", endpoint="new")
    with pytest.raises(TypeError, match="new"):
        auth.check_routes(app)


@pytest.mark.parametrize("catalogs", [None, ["shoes"]], ids=["all", "shoes"])
@pytest.mark.parametrize("scope", list(Scope))
def test_a_key_opens_the_routes_of_its_scope_and_catalogs(
    make_service: Any, keys_file: Path, make_key: Any, scope: str, catalogs: list[str] | None
) -> None:
    admin = make_key("root", ["admin"])
    asked = 0
    for catalog in ("shoes", "bags"):
        key = make_key(f"key.{catalog}", [scope], catalogs)
        service = make_service(keyring=Keyring.load(keys_file))
        for endpoint, method, path in routes(service.app, catalog):
            if endpoint in OPENED:
                continue
            if endpoint == "catalogs.delete":
                service.client.put(path, json={}, headers=admin)
            with service.client.open(path, method=method, headers=key) as answer:
                status = answer.status_code
            scopes, everywhere = OPENED_BY[endpoint]
            is_of_another = "catalog" in path and "/catalogs/" in path and catalogs is not None and catalog == "bags"
            may = scope in scopes and not (everywhere and catalogs) and not is_of_another
            assert (status not in (401, 403)) is may and status != 429, (method, path, status)
            asked += 1
    assert asked > 100


def test_no_key_is_in_an_answer_or_a_log(make_service: Any, keys_file: Path, make_key: Any) -> None:
    """One that is known and one that is not, on every route, and in the wrong places, too."""
    known = make_key("root", ["admin"])["Authorization"].removeprefix("Bearer ")
    service = make_service(keyring=Keyring.load(keys_file))
    assert known not in keys_file.read_text()
    told, asked = bytearray(), 0
    with capture_logs([merge_contextvars]) as logs:
        for secret in (known, "lk_canary_that_nobody_knows"):
            ways = [{"Authorization": f"{scheme}{secret}"} for scheme in ("Bearer ", "Basic ", "", "Bearer")]
            for _, method, path in routes(service.app, "shoes"):
                for headers in [*ways, {"X-Api-Key": secret, "Cookie": f"key={secret}"}]:
                    for query in ("", f"?api_key={secret}"):
                        with service.client.open(path + query, method=method, headers=headers) as answer:
                            told += answer.data + str(answer.headers).encode()
                        asked += 1
    logged = str(logs)
    assert asked > 300 and logged.count("'request_id'") > 300
    for secret in (known, "canary"):
        assert secret.encode() not in told and secret not in logged


def test_a_key_of_another_catalog_does_not_learn_what_there_is(
    make_service: Any, keys_file: Path, make_key: Any
) -> None:
    admin, shoes = make_key("root", ["admin"]), make_key("shoes", ["search", "ingest"], ["shoes"])
    service = make_service(keyring=Keyring.load(keys_file))
    for name in ("shoes", "bags"):
        assert service.client.put(f"/v1/catalogs/{name}", json={}, headers=admin).status_code == 201
    jobs = {}
    for name in ("shoes", "bags"):
        form = {"image": (io.BytesIO(service.picture()), "x.png")}
        put = service.client.put(f"/v1/catalogs/{name}/products/a?wait=30", data=form, headers=admin)
        assert put.status_code == 200, put.text
        jobs[name] = put.json["id"]

    def ask(path: str, method: str = "GET") -> Any:
        return service.client.open(f"/v1{path}", method=method, headers=shoes)

    assert [each["name"] for each in ask("/catalogs").json["catalogs"]] == ["shoes"]
    assert [each["id"] for each in ask("/jobs").json["jobs"]] == [jobs["shoes"]]
    assert ask("/jobs?catalog=shoes").status_code == 200 and ask("/jobs?catalog=bags").status_code == 403
    assert ask(f"/jobs/{jobs['shoes']}").status_code == ask(f"/jobs/{jobs['shoes']}/items").status_code == 200
    # There or not, it looks the same.
    assert ask("/catalogs/bags").status_code == ask("/catalogs/none").status_code == 403
    for path, method in (("", "GET"), ("/items", "GET"), ("/cancel", "POST"), ("/retry", "POST")):
        theirs, nobodys = ask(f"/jobs/{jobs['bags']}{path}", method), ask(f"/jobs/999{path}", method)
        assert theirs.status_code == nobodys.status_code == 404
        assert theirs.json["detail"].replace(jobs["bags"], "999") == nobodys.json["detail"]


def test_an_idempotency_key_is_its_api_keys_own(make_service: Any, keys_file: Path, make_key: Any) -> None:
    """Also where the secret is another one by now: the name says whose it is."""
    one, two = make_key("one", ["admin"]), make_key("two", ["admin"])
    service = make_service(keyring=Keyring.load(keys_file))
    service.client.put("/v1/catalogs/shoes", json={}, headers=one)

    def put(key: dict[str, str]) -> str:
        headers = key | {"Idempotency-Key": "x", "Content-Type": "image/png"}
        picture = service.picture()
        return str(service.client.put("/v1/catalogs/shoes/products/a", data=picture, headers=headers).json["id"])

    first = put(one)
    _, secret = rotate(keys_file, "one")
    assert (put(bearer(secret)), put(two) == first) == (first, False)


def test_a_key_that_asks_too_often_is_told_when_to_come_again(
    make_service: Any, keys_file: Path, make_key: Any
) -> None:
    one, two = make_key("one", ["search"]), make_key("two", ["search"])
    service = make_service(keyring=Keyring.load(keys_file), rate_limit=5)
    statuses = [service.client.get("/v1/catalogs", headers=one).status_code for _ in range(7)]
    assert statuses == [200] * 5 + [429] * 2
    refused = service.client.get("/v1/nowhere", headers=one)
    assert (refused.json["code"], refused.json["retryable"]) == ("rate_limited", True)
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert service.client.get("/v1/catalogs", headers=two).status_code == 200
    assert service.client.get("/livez").status_code == 200


def test_without_a_limit_a_key_may_ask_any_number_of_times(make_service: Any, keys_file: Path, make_key: Any) -> None:
    key = make_key("one", ["search"])
    service = make_service(keyring=Keyring.load(keys_file))
    assert {service.client.get("/v1/nowhere", headers=key).status_code for _ in range(300)} == {404}


def test_only_life_and_readiness_are_open(make_service: Any, keys_file: Path) -> None:
    service = make_service(keyring=Keyring.load(write(keys_file, f"shop:{hashed('a')}")))
    for path in ("/livez", "/readyz"):
        assert service.client.get(path, headers={"Host": "example.com"}).status_code == 200
        assert service.client.get(f"/{path}").status_code == service.client.get(f"{path}/").status_code == 401


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
    service = make_service(keyring=Keyring.load(write(keys_file, f"shop:{hashed('a')}")))
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
