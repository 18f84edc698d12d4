"""What is refused is raised with all that the problem says; only what is safe is sent again; the key stays secret."""

import pickle
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from both_clients import carry_out
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

import lookalike
from api.responses.problems import statuses
from lookalike import Busy, ChangeFailed, Client, LookalikeError, ServiceError, Unanswered, Unauthorized

BOTH = pytest.mark.parametrize("kind", ["sync", "async"])
KEY = "lk_secret-that-nobody-may-see"
PRODUCT = "/v1/catalogs/shop/products/a"


def problem(status: int, code: str, retryable: bool = False, **more: Any) -> Response:
    body = {"code": code, "detail": "Why, and the way out.", "retryable": retryable, "instance": "abc", **more}
    return Response(lookalike.wire.dumped(body), status, content_type="application/problem+json")


class Later:
    """Answers with a problem some times, then well; keeps the requests, and when they came."""

    def __init__(self, times: int, answer: Response, well: str = "{}") -> None:
        self.times, self.answer, self.well = times, answer, well
        self.asked: list[tuple[float, str | None]] = []

    def __call__(self, request: Request) -> Response:
        self.asked.append((time.monotonic(), request.headers.get("Idempotency-Key")))
        return self.answer if len(self.asked) <= self.times else Response(self.well)


JOB = (
    '{"id": "1", "catalog": "shop", "state": "enqueued", "total": 1, "applied": 0, "unchanged": 0, "superseded": 0, '
    '"failed": 0, "canceled": 0, "errors": false, "created_at": "2026-11-30T00:00:00Z", "new_of_a_later_one": 1}'
)


@pytest.mark.parametrize(("code", "status"), sorted(statuses().items()))
def test_an_error_carries_its_problem(httpserver: HTTPServer, code: str, status: int) -> None:
    faults = [{"detail": "x: why.", "code": code, "field": "x"}]
    httpserver.expect_request("/x").respond_with_response(problem(status, code, errors=faults))
    with Client(httpserver.url_for(""), patience=0) as client, pytest.raises(LookalikeError) as raised:
        client.request("GET", "/x")
    for error in (raised.value, pickle.loads(pickle.dumps(raised.value))):  # noqa: S301  it is our own
        assert (error.code, error.status, error.retryable, error.instance) == (code, status, False, "abc")
        assert (str(error), error.detail, error.errors) == ("Why, and the way out.", "Why, and the way out.", faults)
        assert type(error) is lookalike.errors.KINDS.get(status, ServiceError)


@pytest.mark.parametrize(
    "answer", [Response("<html>", 500), Response("[1]", 500), Response("", 302, {"Location": "/"})]
)
def test_what_is_no_answer_of_ours_is_an_error(httpserver: HTTPServer, answer: Response) -> None:
    httpserver.expect_request("/v1/jobs/1").respond_with_response(answer)
    httpserver.expect_request("/").respond_with_data("{}")
    with Client(httpserver.url_for(""), patience=0) as client, pytest.raises(ServiceError):
        client.job("1")
    assert len(httpserver.log) == 1


Asked = Callable[[Any], Any]

ASKED: dict[str, tuple[str, Asked]] = {
    "read": ("/v1/jobs/1", lambda client: client.job("1")),
    "put": (PRODUCT, lambda client: client.catalog("shop").put("a", "https://x/1.jpg")),
    "keyed": ("/x", lambda client: client.request("POST", "/x", json={}, key="k")),
    "bare": ("/x", lambda client: client.request("POST", "/x", json={})),
}
GONE = Response("", 503)

CASES = [
    ("read", GONE, 2),
    ("read", problem(409, "idempotency_conflict", True), 2),
    ("read", problem(404, "job_not_found"), 1),
    ("read", problem(422, "fetch_timeout", True, job={}), 1),
    ("put", problem(503, "ledger_unavailable", True), 2),
    ("put", problem(429, "queue_full", True), 2),
    ("keyed", GONE, 2),
    ("bare", GONE, 1),
    ("bare", problem(503, "ledger_unavailable", True), 1),
    ("bare", problem(429, "rate_limited", True), 2),
]


@BOTH
@pytest.mark.parametrize(("what", "answer", "tries"), CASES)
def test_only_what_can_succeed_later_and_does_no_harm_is_sent_again(
    httpserver: HTTPServer, kind: str, what: str, answer: Response, tries: int
) -> None:
    path, ask = ASKED[what]
    later = Later(1, answer, JOB)
    httpserver.expect_request(path).respond_with_handler(later)

    async def scenario(client: Any) -> None:
        if tries == 1:
            with pytest.raises(LookalikeError):
                await ask(client)
        else:
            await ask(client)

    carry_out(kind, httpserver.url_for(""), scenario)
    assert len(later.asked) == tries
    # Sent again, it is the same request.
    assert len({key for _, key in later.asked}) == 1 and (later.asked[0][1] is not None) == (what in ("put", "keyed"))


@BOTH
def test_retry_after_is_waited_for(httpserver: HTTPServer, kind: str) -> None:
    answer = problem(429, "queue_full", True)
    answer.headers["Retry-After"] = "1"
    later = Later(2, answer, JOB)
    httpserver.expect_request("/v1/jobs/1").respond_with_handler(later)

    async def scenario(client: Any) -> None:
        await client.job("1")

    carry_out(kind, httpserver.url_for(""), scenario)
    times = [at for at, _ in later.asked]
    assert len(times) == 3 and times[1] - times[0] >= 1 and times[2] - times[1] >= 1


def test_a_pause_that_is_too_long_is_not_begun(httpserver: HTTPServer) -> None:
    answer = problem(429, "queue_full", True)
    answer.headers["Retry-After"] = "90"
    httpserver.expect_request("/v1/jobs/1").respond_with_handler(later := Later(2, answer, JOB))
    with Client(httpserver.url_for(""), patience=60) as client, pytest.raises(Busy):
        client.job("1")
    assert len(later.asked) == 1


def test_a_change_that_was_accepted_and_failed_is_an_error_of_its_own(httpserver: HTTPServer) -> None:
    httpserver.expect_request(PRODUCT).respond_with_response(problem(422, "image_corrupt", job={"id": "7"}))
    with Client(httpserver.url_for("")) as client, pytest.raises(ChangeFailed) as failed:
        client.catalog("shop").put("a", b"picture", wait=5)
    assert (failed.value.code, failed.value.problem["job"]) == ("image_corrupt", {"id": "7"})


@BOTH
def test_a_service_that_is_gone_is_an_error_that_names_its_url(kind: str) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"

        async def scenario(client: Any) -> None:
            with pytest.raises(Unanswered, match=f"{url} cannot be reached") as gone:
                await client.request("POST", "/x")
            assert gone.value.never_sent and gone.value.retryable and gone.value.code == "unanswered"

        carry_out(kind, url, scenario, patience=0.5)


@BOTH
@pytest.mark.parametrize(("what", "tries"), [("read", 3), ("keyed", 3), ("bare", 1)])
def test_a_connection_that_breaks_off_is_tried_again_where_that_does_no_harm(kind: str, what: str, tries: int) -> None:
    """The first two connections break off, and the third is answered."""
    answer = f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {len(JOB)}\r\n\r\n{JOB}".encode()
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken: list[bytes] = []

        def take() -> None:
            while True:
                try:
                    line, _ = server.accept()
                except OSError:
                    return
                with line:
                    taken.append(line.recv(1 << 16))
                    if len(taken) > 2:
                        line.sendall(answer)
                        # What is closed before all has been read resets the connection, and the answer is lost.
                        line.shutdown(socket.SHUT_WR)
                        while line.recv(1 << 16):
                            pass

        threading.Thread(target=take, daemon=True).start()

        async def scenario(client: Any) -> None:
            if tries == 1:
                with pytest.raises(Unanswered, match="broke off") as lost:
                    await ASKED[what][1](client)
                assert not lost.value.never_sent
            else:
                await ASKED[what][1](client)

        carry_out(kind, f"http://127.0.0.1:{server.getsockname()[1]}", scenario)
        assert len(taken) == tries
        server.shutdown(socket.SHUT_RDWR)


def test_on_this_machine_no_proxy_has_a_say(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    httpserver.expect_request("/x").respond_with_data("{}")
    with Client(httpserver.url_for("")) as client:
        assert client.request("GET", "/x") == {}


def test_the_key_is_sent_and_never_told(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"Authorization": f"Bearer {KEY}"}
    httpserver.expect_request("/x", headers=given).respond_with_data("{}")
    httpserver.expect_request("/y").respond_with_response(problem(401, "unauthorized"))
    with Client(httpserver.url_for(""), f"{KEY}\n") as client:
        assert client.request("GET", "/x") == {}
        with pytest.raises(Unauthorized) as raised:
            client.request("GET", "/y")
        assert KEY not in f"{raised.value!r} {raised.value} {client!r} {client.catalog('shop')!r}"
    monkeypatch.setenv("LOOKALIKE_API_KEY", KEY)
    with Client(httpserver.url_for("")) as client:
        assert client.request("GET", "/x") == {}


def test_what_is_no_url_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="write it as http://"):
        Client("127.0.0.1:8080")


@pytest.mark.parametrize("key", [f"{KEY}\r\nX: y", f"{KEY} x", f"{KEY}é", f"{KEY}\0"])
def test_a_key_that_is_none_is_refused_and_not_told(key: str) -> None:
    with pytest.raises(ValueError) as raised:
        Client("http://127.0.0.1:1", key)
    assert KEY not in f"{raised.value!r}"
