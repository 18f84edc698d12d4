"""A whole service in this process: the app over a real ledger and real catalogs, a stub in place of the encoder."""

import http.client
import io
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from prometheus_client import CollectorRegistry
from redis import Redis

from api.access.keyring import Keyring
from api.app import create_app
from services import bootstrap, settings
from services.catalog.catalogs import Catalogs
from services.errors import FetchNotFound, LookalikeError
from services.ledger import Claims, Ledger, connect
from services.records import Change, Lane, Outcome, RemoteImage, State
from services.storage.media import Media
from services.testing import load_stub
from workers.removing import remove


def picture(color: str = "red", side: int = 32, format: str = "PNG") -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (side, side), color).save(data, format)
    return data.getvalue()


@dataclass
class Service:
    """The app and what it works with. What comes in is worked on at once, unless `works` is False."""

    catalogs: Catalogs
    ledger: Ledger
    claims: Claims
    media: Media
    web: dict[str, bytes] = field(default_factory=dict)
    works: bool = True
    woken: list[int] = field(default_factory=list)
    app: Flask = field(init=False)

    picture = staticmethod(picture)

    @property
    def client(self) -> FlaskClient:
        return self.app.test_client()

    def fetch(self, url: str) -> bytes:
        if url not in self.web:
            raise FetchNotFound(f"{url} answers 404.")
        return self.web[url]

    def wake(self, changes: int) -> None:
        self.woken.append(changes)
        if self.works:
            self.work()

    def accepted_before(self, product_id: str, url: str) -> None:
        """Accepts a put as a version did that judged less of it."""
        spec = self.catalogs.get("shoes").spec
        change = Change(product_id, image=RemoteImage(url))
        self.ledger.accept(spec.id, spec.name, [change], lane=Lane.BULK, max_version=lambda: 0)

    def work(self) -> None:
        """Does what waits; images come out of `web`."""
        while claim := self.claims.claim("test", 64).claim:
            if claim.removal:
                remove(self.claims, claim, self.catalogs.by_id(claim.catalog_id), lambda: False)
                continue
            outcomes = [self._apply(claim.catalog_id, change) for change in claim.changes]
            assert self.claims.record(claim, list(zip(claim.refs, outcomes, strict=True)))

    def _apply(self, catalog_id: str, change: Change) -> Outcome:
        try:
            if isinstance(change.image, RemoteImage):
                change = replace(change, image=self.fetch(change.image.url))
            return self.catalogs.by_id(catalog_id).apply([change])[0]
        except LookalikeError as error:
            return Outcome(change.product_id, State.FAILED, error.code, str(error))

    def catalog(self, name: str = "shoes", **body: Any) -> None:
        answer = self.client.put(f"/v1/catalogs/{name}", json=body)
        assert answer.status_code == 201, answer.text

    def put(self, product_id: str, paint: str = "red", /, **attributes: Any) -> None:
        form = {"image": (io.BytesIO(picture(paint)), "x.png"), "attributes": json.dumps(attributes)}
        answer = self.client.put(f"/v1/catalogs/shoes/products/{product_id}?wait=30", data=form)
        assert answer.status_code == 200, answer.text


MakeService = Callable[..., Service]


@pytest.fixture
def make_service(redis: "Redis[bytes]", valkey_url: str, tmp_path: Path) -> Iterator[MakeService]:
    """Makes a service; `keyring` and settings may be given."""
    made: list[Service] = []

    def make(
        keyring: Keyring | None = None,
        url: str = valkey_url,
        data: Path | None = None,
        media: Callable[..., Media] | None = None,
        check_weights: Callable[[str, str], None] = lambda encoder, weights: None,
        **overrides: Any,
    ) -> Service:
        given = settings.load(data=data or tmp_path / f"data{len(made)}", decode_processes=1, **overrides)
        web: dict[str, bytes] = {}
        ledger = Ledger(connect(url), max_waiting=given.max_waiting)
        catalogs = bootstrap.catalogs(given, load=load_stub, exclusive=ledger.exclusive)
        originals = media(catalogs.registry.media, keep=given.media_keep) if media else catalogs.intake.media
        service = Service(catalogs, ledger, Claims(ledger.store), originals, web)
        made.append(service)
        service.app = create_app(
            settings=given,
            catalogs=catalogs,
            ledger=ledger,
            media=service.media,
            fetch=service.fetch,
            wake=service.wake,
            keyring=keyring,
            metrics=CollectorRegistry(),
            check_weights=check_weights,
        )
        return service

    yield make
    for service in made:
        service.catalogs.close()
        service.ledger.store.close()


@pytest.fixture
def service(make_service: MakeService) -> Service:
    """A service with a catalog `shoes`."""
    made = make_service()
    made.catalog()
    return made


@dataclass(frozen=True)
class Server:
    """The app behind a real server in a process of its own."""

    kind: str
    port: int
    process: "subprocess.Popen[bytes]"

    def ask(self, request: bytes, *, cut: bool = False) -> tuple[int, dict[str, str], bytes]:
        """Sends these bytes, as they are, and reads the answer; with `cut` the sending half of the line is closed.

        A server that closes without an answer is status 0.
        """
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as line:
            line.sendall(request)
            if cut:
                line.shutdown(socket.SHUT_WR)
            answer = http.client.HTTPResponse(line)
            try:
                answer.begin()
            except (http.client.RemoteDisconnected, ConnectionResetError):
                return 0, {}, b""
            return answer.status, dict(answer.getheaders()), answer.read()

    def send(self, method: str, target: str, body: bytes = b"", type: str = "") -> tuple[int, dict[str, str], Any]:
        head = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {len(body)}\r\n"
        head += f"Content-Type: {type}\r\n" if type else ""
        status, headers, answer = self.ask(head.encode() + b"\r\n" + body)
        return status, headers, json.loads(answer) if "json" in headers.get("Content-Type", "") else answer


@pytest.fixture(scope="module", params=["waitress", "gunicorn"])
def server(
    request: pytest.FixtureRequest, valkey_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Each server that is used, with a catalog `shoes` and no job: how fast one goes on changes what is told of it."""
    with Redis.from_url(valkey_url) as client:
        client.flushall()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = tmp_path_factory.mktemp(request.param)
    command = [
        sys.executable,
        str(Path(__file__).parent / "served.py"),
        request.param,
        str(port),
        str(data),
        valkey_url,
    ]
    with (data / "log").open("wb") as log, subprocess.Popen(command, stderr=log) as process:
        server = Server(request.param, port, process)
        deadline = time.monotonic() + 300
        while True:
            try:
                assert server.send("PUT", "/v1/catalogs/shoes", b"{}", "application/json")[0] == 201
                break
            except ConnectionRefusedError:
                assert time.monotonic() < deadline and process.poll() is None, (data / "log").read_text()
                time.sleep(0.05)
        yield server
        process.terminate()
