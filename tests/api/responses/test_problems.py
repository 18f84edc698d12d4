"""Every error is a problem, with the status that its class has; what nobody expected tells nothing."""

from typing import Any

import pytest
import structlog
from werkzeug.exceptions import default_exceptions

from api.errors import RequestError
from api.responses.problems import status_of, statuses
from services import errors
from services.errors import LookalikeError

OPERATORS = (errors.DataCorrupt, errors.FormatTooNew, errors.IndexRefused)
"""What only whoever runs the service can mend."""


def tree(kind: type[LookalikeError]) -> list[type[LookalikeError]]:
    return [kind, *(each for child in kind.__subclasses__() for each in tree(child))]


def test_every_error_of_the_domain_has_a_status_of_its_own_kind() -> None:
    for kind in tree(LookalikeError):
        if issubclass(kind, errors.IdempotencyConflict | RequestError):
            continue
        status = status_of(kind("why"))
        assert kind is LookalikeError or status != 500 or kind in OPERATORS, f"{kind} has none"
        assert 400 <= status < 600, kind
        if kind.retryable and not issubclass(kind, errors.FetchError):
            assert status in (429, 503), kind
        if issubclass(kind, errors.InvalidInput | errors.NotFound | errors.Conflict | errors.ImageError):
            assert status < 500, kind


def test_codes_are_their_own() -> None:
    kinds = tree(LookalikeError)
    codes = [kind.code for kind in kinds if kind.__name__ != "RequestInvalid"]
    assert len(codes) == len(set(codes))
    assert set(statuses()) == {*codes, "route_not_found", "method_not_allowed", "internal_error"}


def test_what_is_nowhere_is_a_problem(service: Any) -> None:
    answer = service.client.get("/nowhere")
    assert answer.status_code == 404 and answer.content_type == "application/problem+json"
    assert answer.json == {
        "type": "/problems/route_not_found",
        "title": "Route not found",
        "status": 404,
        "detail": "There is nothing here: GET /docs tells what there is.",
        "code": "route_not_found",
        "retryable": False,
        "instance": answer.headers["X-Request-Id"],
    }


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/v1/catalogs", "GET, HEAD, OPTIONS"),
        ("DELETE", "/v1/jobs/1", "GET, HEAD, OPTIONS"),
        ("GET", "/v1/jobs/1/cancel", "OPTIONS, POST"),
        ("PATCH", "/v1/catalogs/shoes", "DELETE, GET, HEAD, OPTIONS, PUT"),
        ("TRACE", "/livez", "GET, HEAD, OPTIONS"),
        ("BREW", "/v1/catalogs/shoes/products", "GET, HEAD, OPTIONS, POST"),
    ],
)
def test_another_method_is_told_which_there_are(service: Any, method: str, path: str, allowed: str) -> None:
    answer = service.client.open(path, method=method)
    assert (answer.status_code, answer.json["code"]) == (405, "method_not_allowed")
    assert ", ".join(sorted(answer.headers["Allow"].split(", "))) == allowed
    options = service.client.options(path)
    assert (options.status_code, options.data) == (200, b"")
    assert ", ".join(sorted(options.headers["Allow"].split(", "))) == allowed


def test_head_is_get_without_its_body(service: Any) -> None:
    for path in ("/v1/catalogs", "/v1/catalogs/shoes", "/livez", "/v1/jobs/9", "/docs"):
        get, head = service.client.get(path), service.client.head(path)
        assert (head.status_code, head.data, head.content_type) == (get.status_code, b"", get.content_type)


def test_what_nobody_expected_is_told_to_the_log_only(service: Any) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("the secret")

    service.app.view_functions["catalogs.scroll"] = broken
    with structlog.testing.capture_logs() as logs:
        answer = service.client.get("/v1/catalogs")
    assert answer.status_code == 500 and answer.content_type == "application/problem+json"
    assert answer.json == {
        "type": "/problems/internal_error",
        "title": "Internal error",
        "status": 500,
        "detail": "Something went wrong here that should not; the log tells under this instance.",
        "code": "internal_error",
        "retryable": False,
        "instance": answer.headers["X-Request-Id"],
    }
    assert "secret" not in answer.text
    assert [log["event"] for log in logs] == ["unexpected", "request"]
    assert isinstance(logs[0]["exc_info"], ZeroDivisionError)


@pytest.mark.parametrize("kind", [each for code, each in default_exceptions.items() if code not in (401, 416)])
def test_whatever_flask_refuses_is_a_problem(service: Any, kind: Any) -> None:
    def refused(*_: object, **__: object) -> None:
        raise kind()

    service.app.view_functions["catalogs.scroll"] = refused
    answer = service.client.get("/v1/catalogs")
    assert (answer.status_code, answer.content_type) == (kind.code, "application/problem+json")
    assert answer.json["status"] == kind.code and "<" not in answer.json["detail"]


@pytest.mark.parametrize(
    ("given", "is_taken"),
    [("a", True), ("A-b_c.9", True), ("x" * 64, True), ("x" * 65, False), ("", False), ("a b", False), ("é", False)],
)
def test_a_request_has_an_id(service: Any, given: str, is_taken: bool) -> None:
    answer = service.client.get("/nowhere", headers={"X-Request-Id": given})
    id = answer.headers["X-Request-Id"]
    assert (id == given) is is_taken and answer.json["instance"] == id
    assert is_taken or len(id) == 32


def test_logs_carry_the_id_of_the_request(service: Any) -> None:
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        service.client.delete("/v1/catalogs/shoes/products/a", headers={"X-Request-Id": "r1"})
        service.client.get("/v1/catalogs", headers={"X-Request-Id": "r2"})
    told = [(log["event"], log["request_id"]) for log in logs]
    assert told == [("accepted", "r1"), ("request", "r1"), ("request", "r2")]
    assert (logs[0]["job_id"], logs[0]["changes"]) == ("1", 1)


def test_every_answer_says_what_a_browser_may_do_with_it(service: Any) -> None:
    for path in ("/v1/catalogs", "/nowhere", "/livez", "/docs", "/metrics", "/openapi.json", "/v1/catalogs/%"):
        headers = service.client.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff", path
        assert headers["Referrer-Policy"] == "no-referrer", path
        assert headers["Content-Security-Policy"].startswith("default-src 'none'"), path
        assert headers["Cache-Control"] == "no-store", path


def test_text_is_utf8(service: Any) -> None:
    service.put("ü", "red", größe="ß")
    answer = service.client.get("/v1/catalogs/shoes/products/%C3%BC")
    assert '"attributes":{"größe":"ß"}'.encode() in answer.data


def test_a_sentence_about_half_a_character_can_be_sent(service: Any) -> None:
    body = b'{"attributes": {"a": "\\ud800"}, "\\ud801": 1}'
    for data in (body, body.replace(b', "\\ud801": 1', b"")):
        answer = service.client.patch("/v1/catalogs/shoes/products/a", data=data, content_type="application/json")
        assert answer.status_code == 422
        assert answer.data.decode() and answer.json["errors"][0]["field"]
