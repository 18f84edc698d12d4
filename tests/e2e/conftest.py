"""A service and a picture server for each test."""

import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from harness import Pictures, Running, Service, StackService


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A service that is not started yet; whatever happens, nothing of it stays."""
    service = Service(tmp_path / "data")
    yield service
    if service.process and service.process.poll() is None:
        service.end(signal.SIGTERM)


@pytest.fixture(params=["embedded", "stack"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Running]:
    """A service that runs, in one process or as API, three workers, Redis and a Qdrant."""
    service = Service(tmp_path / "data") if request.param == "embedded" else StackService(tmp_path / "stack")
    service.start()
    yield service
    service.end()


@pytest.fixture
def pictures() -> Iterator[Pictures]:
    served = Pictures({}, "")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            served.requests.append(self.path)
            served.answers.get(self.path, lambda handler: handler.send_error(404))(self)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        served.url = f"http://127.0.0.1:{server.server_port}"
        yield served
        server.shutdown()
