"""The client of commands: what is refused keeps its name, what is asked for is waited for, the key stays secret."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from api.client.connection import Client
from api.responses.problems import statuses
from services.errors import InvalidSetting, LookalikeError, QueueFull, ServiceUnavailable

KEY = "lk_secret-that-nobody-may-see"
NOT_OURS = {"idempotency_conflict", "feed_invalid", "route_not_found", "method_not_allowed", "internal_error"}
NEVER_SENT = {"request_error"}


def problem(status: int, code: str, retryable: bool = False, **headers: str) -> Response:
    body = f'{{"code": "{code}", "detail": "Why, and the way out.", "retryable": {str(retryable).lower()}}}'
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(body, status, given, content_type="application/problem+json")


@pytest.fixture
def client(httpserver: HTTPServer) -> Iterator[Client]:
    made = Client(httpserver.url_for("").rstrip("/"), KEY)
    yield made
    made.close()


@pytest.mark.parametrize(("code", "status"), sorted(statuses().items()))
def test_a_problem_is_raised_as_the_error_it_tells(
    httpserver: HTTPServer, client: Client, code: str, status: int
) -> None:
    httpserver.expect_request("/x").respond_with_response(problem(status, code))
    with pytest.raises(LookalikeError) as raised:
        client.ask("GET", "/x")
    if code in NOT_OURS | NEVER_SENT:
        assert type(raised.value) is ServiceUnavailable
        assert str(raised.value).endswith(f"answers {status}: Why, and the way out.")
    elif status == 401:
        assert "LOOKALIKE_API_KEY" in str(raised.value)
    else:
        assert (raised.value.code, str(raised.value)) == (code, "Why, and the way out.")


@pytest.mark.parametrize(
    "answer", [Response("<html>", 502), Response("[1]", 500), Response("", 302, {"Location": "/"})]
)
def test_what_is_no_answer_of_ours_is_one_sentence(httpserver: HTTPServer, client: Client, answer: Response) -> None:
    httpserver.expect_request("/x").respond_with_response(answer)
    httpserver.expect_request("/").respond_with_data("{}")
    with pytest.raises(ServiceUnavailable):
        client.json("GET", "/x")
    assert len(httpserver.log) == 1


class Later:
    """Answers with a problem some times, then well; keeps the times."""

    def __init__(self, times: int, answer: Response) -> None:
        self.times, self.answer, self.asked = times, answer, list[float]()

    def __call__(self, request: Request) -> Response:
        self.asked.append(time.monotonic())
        return self.answer if len(self.asked) <= self.times else Response("{}")


def test_retry_after_is_waited_for(httpserver: HTTPServer, client: Client) -> None:
    later = Later(2, problem(429, "queue_full", True, Retry_After="1"))
    httpserver.expect_request("/x").respond_with_handler(later)
    assert client.send("PUT", "/x", patience=60).status_code == 200
    first, second, third = later.asked
    assert second - first >= 1 and third - second >= 1


def test_a_pause_that_is_too_long_is_not_begun(httpserver: HTTPServer, client: Client) -> None:
    later = Later(2, problem(503, "ledger_unavailable", True, Retry_After="90"))
    httpserver.expect_request("/x").respond_with_handler(later)
    started = time.monotonic()
    assert client.send("PUT", "/x", patience=60).status_code == 503
    assert (len(later.asked), time.monotonic() - started < 30) == (1, True)


@pytest.mark.parametrize(
    ("answer", "patience", "tries"),
    [
        (problem(429, "queue_full", True), 0, 1),
        (problem(429, "queue_full", True), 5, 2),
        (problem(409, "idempotency_conflict", True), 5, 2),
        (Response("busy", 503), 5, 2),
        (problem(404, "catalog_not_found"), 5, 1),
        (problem(422, "fetch_timeout", False), 5, 1),
        (Response('{"code": "fetch_timeout", "retryable": true, "job": {}}', 422), 5, 1),
    ],
)
def test_only_what_can_succeed_later_is_sent_again(
    httpserver: HTTPServer, client: Client, answer: Response, patience: float, tries: int
) -> None:
    later = Later(1, answer)
    httpserver.expect_request("/x").respond_with_handler(later)
    client.send("PUT", "/x", patience=patience)
    assert len(later.asked) == tries


def test_whoever_hurries_waits_no_more(httpserver: HTTPServer, client: Client) -> None:
    httpserver.expect_request("/x").respond_with_response(problem(429, "queue_full", True, Retry_After="30"))
    threading.Timer(0.3, client.hurry.set).start()
    started = time.monotonic()
    with pytest.raises(QueueFull):
        client.ask("PUT", "/x", patience=60)
    assert time.monotonic() - started < 25


def test_a_service_that_is_gone_is_one_sentence() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        client = Client(f"http://127.0.0.1:{nobody.getsockname()[1]}", KEY)
        started = time.monotonic()
        with pytest.raises(ServiceUnavailable, match="cannot be reached"):
            client.ask("GET", "/x", patience=1)
        assert 0.3 < time.monotonic() - started < 30
        client.close()


def test_a_service_that_is_away_is_not_waited_for_as_one_that_is_busy() -> None:
    client = Client("http://127.0.0.1:1", KEY, away_seconds=1.0)
    started = time.monotonic()
    with pytest.raises(ServiceUnavailable):
        client.ask("GET", "/x", patience=60)
    assert 0.3 < time.monotonic() - started < 30
    client.close()


def test_a_service_that_is_silent_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = Client(f"http://127.0.0.1:{silent.getsockname()[1]}", KEY)
        with pytest.raises(ServiceUnavailable, match="does not answer in time"):
            client.ask("GET", "/x", seconds=0.2)
        client.close()


def test_a_service_that_hangs_up_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=lambda: server.accept()[0].close(), daemon=True).start()
        client = Client(f"http://127.0.0.1:{server.getsockname()[1]}", KEY)
        with pytest.raises(ServiceUnavailable, match="broke off"):
            client.ask("GET", "/x")
        client.close()


def test_no_proxy_has_a_say(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    httpserver.expect_request("/x").respond_with_data("{}")
    client = Client(httpserver.url_for("").rstrip("/"))
    assert client.json("GET", "/x") == {}
    client.close()


def test_the_key_is_sent_and_never_told(httpserver: HTTPServer, client: Client) -> None:
    httpserver.expect_request("/x", headers={"Authorization": f"Bearer {KEY}"}).respond_with_data("{}")
    httpserver.expect_request("/y").respond_with_response(problem(401, "unauthorized"))
    assert client.json("GET", "/x") == {}
    with pytest.raises(LookalikeError) as raised:
        client.ask("GET", "/y")
    assert raised.value.code == "unauthorized" and KEY not in f"{raised.value!r} {raised.value}"


@pytest.mark.parametrize("key", [f"{KEY}\r\nX: y", f"{KEY} x", f"{KEY}é", f"{KEY}\0"])
def test_a_key_that_is_none_is_refused_and_not_told(key: str) -> None:
    with pytest.raises(InvalidSetting) as raised:
        Client("http://127.0.0.1:1", key)
    assert KEY not in f"{raised.value!r}"


def test_a_key_may_end_with_its_line(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/x", headers={"Authorization": f"Bearer {KEY}"}).respond_with_data("{}")
    client = Client(httpserver.url_for("").rstrip("/"), f"{KEY}\n")
    assert client.json("GET", "/x") == {}
    client.close()
