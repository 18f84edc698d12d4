"""The service as its users run it: real processes, a real port, and pictures on a server of its own."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any, Self
from uuid import uuid4

import httpx2
import numpy as np
from PIL import Image
from stack import Stack
from waiting import until

from services import settings
from services.settings import Settings

LOOKALIKE = Path(sys.executable).with_name("lookalike")
CATALOG = "products"
ENDS = ("applied", "unchanged", "superseded", "failed", "canceled")
"""What becomes of the changes of a job, as it counts them."""
ENVIRONMENT = {"LOOKALIKE_FETCH_ALLOW": "127.0.0.1", "LOOKALIKE_PRECISION": "float32"}


FEED_SECONDS = 300.0


class Running:
    """A service under test, and what callers ask it."""

    url = ""
    key = ""
    _http: httpx2.Client | None = None

    @property
    def log(self) -> str:
        raise NotImplementedError

    @property
    def settings(self) -> Settings:
        raise NotImplementedError

    def start(self) -> object:
        """Starts it and waits until it is ready."""
        raise NotImplementedError

    def end(self) -> object:
        """Ends what runs; again is harmless."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        """Does not start it: a test may want to change it first."""
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def client(self) -> httpx2.Client:
        # Nothing here is encrypted, and reading certificates takes as long as many requests.
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        return httpx2.Client(base_url=self.url + "/v1", timeout=70, trust_env=False, verify=False, headers=headers)

    def get(self, path: str, **options: Any) -> Any:
        assert self._http is not None, "it is not started"
        answer = self._http.get(path, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def create_catalog(self, name: str = CATALOG, **body: object) -> None:
        """Creates a catalog of the encoder in whose place stubs encode, unless the body names another."""
        with self.client() as client:
            created = client.put(f"/catalogs/{name}", json={"encoder": "efficientnet_lite0"} | body)
        assert created.status_code == 201, created.text

    def feed(self, lines: Iterable[dict[str, Any]], **query: str) -> str:
        """Sends changes to the catalog in one request, again while the service asks for that. Returns the ID of their
        job."""
        headers = {"Content-Type": "application/x-ndjson", "Idempotency-Key": uuid4().hex}
        until = time.monotonic() + FEED_SECONDS
        with self.client() as client:
            content = "\n".join(json.dumps(line) for line in lines)
            path = f"/catalogs/{CATALOG}/products"
            accepted = client.post(path, params=query, content=content, headers=headers)
            while accepted.status_code == 503 and time.monotonic() < until:
                time.sleep(float(accepted.headers["Retry-After"]))
                accepted = client.post(path, params=query, content=content, headers=headers)
        assert accepted.status_code == 202, accepted.text
        return str(accepted.json()["id"])

    def ready(self) -> bool:
        """Whether the service says that it and what it stands on are ready."""
        assert self._http is not None, "it is not started"
        try:
            return self._http.get(self.url + "/readyz").status_code == 200
        except httpx2.TransportError:
            return False

    def done(self, job: str) -> int:
        """How many changes of a job have ended; -1 while nobody can tell."""
        now = self.job(job)
        return -1 if now is None else sum(int(now[name]) for name in ENDS)

    def job(self, job: str) -> dict[str, Any] | None:
        """A job; None while nobody can tell."""
        assert self._http is not None, "it is not started"
        try:
            answer = self._http.get(f"/jobs/{job}")
        except httpx2.TransportError:
            return None
        if answer.status_code == 503:
            return None
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def failures(self, job: str) -> dict[str, str]:
        """Why up to 1,000 changes of a job failed: codes, by product."""
        items = self.get(f"/jobs/{job}/items", params={"state": "failed", "limit": 1000})["items"]
        return {item["product_id"]: item["code"] for item in items}

    def finished(self, job: str, deadline: float = 900.0) -> dict[str, Any]:
        """A job when it has finished; its counts never go back meanwhile."""
        before: dict[str, Any] = {}
        until = time.monotonic() + deadline
        while time.monotonic() < until:
            now = self.job(job)
            if now is None:
                continue
            for name in ENDS:
                assert before.get(name, 0) <= now[name] <= now["total"]
            before = now
            if now["finished_at"]:
                return dict(now)
            time.sleep(0.05)
        raise AssertionError(f"job {job} did not finish: {before}\n{self.log[-3000:]}")


class StackService(Running):
    """What compose.yaml runs, as plain processes: API, workers, Redis and a Qdrant."""

    def __init__(self, folder: Path, workers: int = 3, **options: Any) -> None:
        environment = ENVIRONMENT | {"LOOKALIKE_DECODE_PROCESSES": "1"} | options.pop("environment", {})
        self.stack = Stack(folder, workers=workers, environment=environment, **options)
        self.url = self.stack.url
        self._started = ExitStack()

    def start(self) -> None:
        self.key = self.stack.new_key("test")
        self._started.enter_context(self.stack)
        self._http = self.client()

    def end(self) -> None:
        if self._http:
            self._http.close()
        self._started.close()

    @property
    def settings(self) -> Settings:
        """Those with which the library finds the same catalogs."""
        return settings.load(
            data=self.stack.folder / "library",
            qdrant_url=self.stack.qdrant_url,
            qdrant_api_key=self.stack.qdrant_key,
            precision="float32",
        )

    @property
    def log(self) -> str:
        return "\n".join(f"{name}: {self.stack.log(name)[-1500:]}" for name in self.stack.processes)


@dataclass
class Service(Running):
    """`lookalike up` on a data folder; started, ended and killed as often as wanted."""

    data: Path
    environment: dict[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    process: "subprocess.Popen[str] | None" = None

    def start(self, deadline: float = 300.0) -> float:
        """Starts it. Returns the seconds until it said that it is ready."""
        started = time.monotonic()
        log = (self.data.parent / "service.log").open("a")
        self.process = subprocess.Popen(
            [str(LOOKALIKE), "up", "--port", "0", "--data", str(self.data), *self.arguments],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=os.environ | ENVIRONMENT | self.environment,
        )
        log.close()
        assert self.process.stdout is not None
        timer = threading.Timer(deadline, self.process.kill)
        timer.start()
        for line in self.process.stdout:
            if found := re.search(r"ready: (http://\S+)", line):
                self.url = found[1]
                break
        timer.cancel()
        assert self.url, f"it did not become ready:\n{self.log[-3000:]}"
        self._http = self.client()
        threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True).start()
        return time.monotonic() - started

    @staticmethod
    def _read(stream: IO[str]) -> None:
        with stream:
            stream.read()

    @property
    def settings(self) -> Settings:
        """Those with which the library finds the same catalogs, once this has ended."""
        return settings.load(data=self.data, precision="float32")

    @property
    def log(self) -> str:
        return (self.data.parent / "service.log").read_text()

    @property
    def valkey(self) -> int:
        """The process ID of the Valkey that it runs."""
        return int(json.loads((self.data / "queue" / "valkey.pid").read_text())["pid"])

    @property
    def queue_url(self) -> str:
        """Where its Valkey listens."""
        return "unix://" + str(json.loads((self.data / "queue" / "lock").read_text())["socket"])

    def end(self, signal: int = signal.SIGTERM, deadline: float = 300.0) -> int:
        """Ends it with a signal and waits. Returns its status; 0 where it was never started."""
        if self.process is None:
            return 0
        if self._http:
            self._http.close()
        if self.process.poll() is None:
            self.process.send_signal(signal)
        status = self.process.wait(deadline)
        self.url = ""
        return status


@dataclass
class Pictures:
    """A web server that answers as the functions in `answers` say, by path."""

    answers: dict[str, Callable[[BaseHTTPRequestHandler], None]]
    url: str
    requests: list[str] = field(default_factory=list)


class _PictureServer(ThreadingHTTPServer):
    # As many as a web server has. With Python's 5 a burst of connections on a busy machine is dropped and times out.
    request_queue_size = 511
    daemon_threads = True


@contextmanager
def serving(address: str = "127.0.0.1") -> Iterator[Pictures]:
    """A web server at an address of this machine while the block runs."""
    served = Pictures({}, "")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            served.requests.append(self.path)
            served.answers.get(self.path, lambda handler: handler.send_error(404))(self)

        def log_message(self, *_: object) -> None:
            pass

    with _PictureServer((address, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        served.url = f"http://{address}:{server.server_port}"
        yield served
        server.shutdown()


def picture(seed: int, side: int = 96, format: str = "JPEG") -> bytes:
    """A picture of colored patches and lines, another one for each seed."""
    random = np.random.default_rng(seed)
    patches = random.integers(0, 256, (6, 6, 3), np.uint8)
    pixels = np.kron(patches, np.ones((side // 6, side // 6, 1), np.uint8))
    pixels[random.integers(0, side, 8)] = random.integers(0, 256, 3, np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, format, quality=90)
    return out.getvalue()


def answer(data: bytes, status: int = 200, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    """Answers with bytes."""

    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in ({"Content_Length": str(len(data))} | headers).items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(data)

    return send


def children(pid: int) -> list[int]:
    """The living processes that a process has started, and theirs."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
            if parent == pid:
                found += [int(entry.name), *children(int(entry.name))]
    return found


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def assert_gone(pids: list[int], seconds: float = 120.0) -> None:
    """Waits until none of these processes runs."""

    def left() -> list[bytes]:
        return [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids if is_alive(pid)]

    until(lambda: not any(is_alive(pid) for pid in pids), seconds, left)
