"""`lookalike up` and the other commands beside it, as processes of their own."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from harness import ENVIRONMENT, LOOKALIKE, Service, picture

from services import bootstrap
from services.catalog.opening import new_spec
from services.records import Embedding

LITE = ("--encoder", "efficientnet_lite0")
COUNT = 400
COMMAND_LINE = (
    "import sys\n"
    "from functools import partial\n"
    "from api.cli.main import main\n"
    "from api.client import catalogs\n"
    "from api.client.timings import Timings\n"
    "catalogs.RemoteCatalogs = partial(catalogs.RemoteCatalogs, timings=Timings(patience={0}, away={0}))\n"
    "sys.argv[0] = 'lookalike'\n"
    "main()\n"
)
"""The command line, which waits for a service that is away for another number of seconds."""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    service = Service(tmp_path / "data", arguments=("--port", str(port)))
    yield service
    if service.process and service.process.poll() is None:
        service.end(signal.SIGTERM)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    for number in range(COUNT):
        (folder / f"p{number}.jpg").write_bytes(picture(number))
    return folder


def indexing(folder: Path, data: Path) -> "subprocess.Popen[str]":
    # How long a start takes is the machine's affair.
    command = [sys.executable, "-c", COMMAND_LINE.format(600.0), "index", folder, "--data", data, *LITE, "--json"]
    return subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def products(service: Service) -> int:
    try:
        return int(service.get("/catalogs/products")["products"])
    except AssertionError:
        return 0


def until_products(service: Service, count: int, process: "subprocess.Popen[str]") -> None:
    while products(service) < count:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def uploaded(service: Service) -> list[Path]:
    return [path for path in (service.data / "media" / "originals").rglob("*") if path.is_file()]


def until_uploaded(service: Service, count: int, process: "subprocess.Popen[str]") -> None:
    while len(uploaded(service)) < count:
        assert process.poll() is None, process.communicate()


@pytest.mark.long
def test_ctrl_c_while_pictures_are_uploaded_leaves_nothing_accepted(service: Service, many: Path) -> None:
    service.start()
    with indexing(many, service.data) as process:
        until_uploaded(service, 20, process)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=30)
    answer = json.loads(out)
    assert (process.returncode, answer["interrupted"], errors) == (130, True, "")
    assert (answer["applied"], "job" in answer, service.get("/jobs")["jobs"]) == (0, False, [])


@pytest.mark.long
def test_ctrl_c_tells_what_was_done_and_the_next_run_goes_on(service: Service, many: Path) -> None:
    service.start()
    with indexing(many, service.data) as process:
        until_products(service, 60, process)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=30)
    answer = json.loads(out)
    assert (process.returncode, answer["interrupted"], errors) == (130, True, "")
    # All that was accepted has ended and is told.
    assert 60 <= answer["applied"] == products(service) < COUNT
    with indexing(many, service.data) as process:
        out, errors = process.communicate(timeout=120)
    again = json.loads(out)
    assert (process.returncode, again["unchanged"], again["applied"]) == (
        0,
        answer["applied"],
        COUNT - answer["applied"],
    )


@pytest.mark.long
def test_a_service_that_is_killed_and_comes_back_costs_the_run_nothing(service: Service, many: Path) -> None:
    service.start()
    with indexing(many, service.data) as process:
        until_uploaded(service, 50, process)
        service.end(signal.SIGKILL)
        assert len(uploaded(service)) < COUNT, "it was killed between uploads"
        service.start()
        for count in (50, 150):
            until_products(service, count, process)
            service.end(signal.SIGKILL)
            service.start()
        out, errors = process.communicate(timeout=240)
    answer = json.loads(out)
    assert (process.returncode, errors) == (0, ""), out
    assert (answer["applied"], answer["unchanged"], answer["failed"]) == (COUNT, 0, 0)
    [job] = service.get("/jobs")["jobs"]
    assert job["total"] == COUNT == job["applied"] == products(service)


@pytest.mark.long
def test_a_service_that_stays_away_ends_the_run_with_one_sentence(service: Service, many: Path) -> None:
    service.start()
    command = [sys.executable, "-c", COMMAND_LINE.format(3.0), "index", many, "--data", service.data, *LITE]
    with subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        until_products(service, 30, process)
        url = service.url
        service.end(signal.SIGKILL)
        out, errors = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, "")
    assert re.fullmatch(rf"Refused \(service_unavailable\): The service at {url} [^\n]+\n", errors), errors


def test_a_port_that_is_taken_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [str(LOOKALIKE), "up", "--port", str(port), "--data", str(tmp_path)]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.count("\n") == 1 and f"127.0.0.1:{port} " in ran.stderr
    assert "--port" in ran.stderr and "make run PORT=8081" in ran.stderr


def test_a_second_service_on_a_folder_is_told_of_the_first(service: Service) -> None:
    service.start()
    command = [str(LOOKALIKE), "up", "--port", "0", "--data", str(service.data)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert service.url in ran.stderr and "stop it first (Ctrl-C there)" in ran.stderr


class Demo:
    """`lookalike up --demo`, and what it says."""

    def __init__(self, data: Path, **environment: str) -> None:
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [str(LOOKALIKE), "up", "--demo", "--port", "0", "--data", str(data)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | ENVIRONMENT | environment,
        )

    def said(self, lines: int, seconds: float = 600.0) -> list[str]:
        """Its next lines. Where they do not come in time it is killed, and what it said of errors is told."""
        assert self.process.stdout and self.process.stderr
        timer = threading.Timer(seconds, self.process.kill)
        timer.start()
        said = [self.process.stdout.readline().rstrip("\n") for _ in range(lines)]
        timer.cancel()
        assert self.process.poll() is None, self.process.stderr.read()
        return said

    def end(self) -> tuple[int, str, str]:
        self.process.send_signal(signal.SIGINT)
        out, errors = self.process.communicate(timeout=40)
        return self.process.returncode, out, errors


@pytest.mark.long
def test_the_demo_loads_itself_once_and_what_it_says_to_try_works(tmp_path: Path) -> None:
    data = tmp_path / "data"
    first = Demo(data)
    try:
        ready, done, try_, curl, docs = first.said(5)
        assert re.fullmatch(r"Lookalike is ready: http://127\.0\.0\.1:\d+   \(Ctrl-C stops it\)", ready)
        assert re.fullmatch(r"demo: 432 products, 432 of them new, in [0-9.]+ s \(efficientnet_lite0\)", done)
        answer = subprocess.run(["bash", "-c", f"{curl} -sf"], capture_output=True, text=True, check=True).stdout
        neighbors = json.loads(answer)["neighbors"]
        assert [each["attributes"]["category"] for each in neighbors] == ["backpack"] * 3
        page = subprocess.run(["curl", "-sf", docs.strip()], capture_output=True, text=True, check=True).stdout
        assert "Lookalike" in page and "terminal" in try_
        shown = subprocess.run(
            [str(LOOKALIKE), "demo", "--data", str(data), "--json"], capture_output=True, text=True, check=True
        )
        told = json.loads(shown.stdout)
        assert (told["products"], told["applied"], told["failed"]) == (432, 0, 0)
        assert Path(told["html"]).read_text().count("data:image/webp;base64,") >= 30
    finally:
        status, out, errors = first.end()
    assert (status, out) == (0, "") and "Traceback" not in errors
    shutil.rmtree(data / "media" / "thumbnails")
    second = Demo(data)
    try:
        _, done, *_ = second.said(5)
        assert "432 products, 0 of them new" in done
        assert time.monotonic() - second.started < 20
    finally:
        assert second.end()[0] == 0


@pytest.mark.long
def test_a_demo_that_is_stopped_goes_on_at_the_next_start(tmp_path: Path) -> None:
    first = Demo(tmp_path)
    [ready] = first.said(1)
    url = ready.split()[3]
    until = time.monotonic() + 300
    while (
        json.loads(subprocess.run(["curl", "-s", f"{url}/v1/catalogs/demo"], capture_output=True).stdout).get(
            "products", 0
        )
        < 50
    ):
        assert time.monotonic() < until
        time.sleep(0.1)
    status, out, errors = first.end()
    assert (status, out) == (0, "") and "Traceback" not in errors and "could not be loaded" not in errors
    second = Demo(tmp_path)
    try:
        _, done, *_ = second.said(5)
        found = re.fullmatch(r"demo: 432 products, (\d+) of them new, .*", done)
        assert found and int(found[1]) < 432, "what was accepted goes on by itself"
    finally:
        assert second.end()[0] == 0


@pytest.mark.long
def test_the_demo_needs_a_key_where_the_service_does_and_tells_none(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    make = [str(LOOKALIKE), "keys", "create", "demo", "--scope", "admin", "--file", str(file)]
    key = subprocess.run(make, capture_output=True, text=True, check=True).stdout.strip()
    closed = Demo(tmp_path / "closed", LOOKALIKE_API_KEYS_FILE=str(file), LOOKALIKE_API_KEY="lk_unknown")
    closed.said(1)
    time.sleep(5)
    status, out, errors = closed.end()
    assert status == 0 and "LOOKALIKE_API_KEY" in errors and "lk_unknown" not in out + errors
    let_in = Demo(tmp_path / "open", LOOKALIKE_API_KEYS_FILE=str(file), LOOKALIKE_API_KEY=key)
    said = let_in.said(5)
    environment = os.environ | {"LOOKALIKE_API_KEY": key}
    answer = subprocess.run(
        ["bash", "-c", f"{said[3]} -sf"], capture_output=True, text=True, env=environment, check=True
    )
    assert len(json.loads(answer.stdout)["neighbors"]) == 3
    status, out, errors = let_in.end()
    assert status == 0 and key not in "".join(said) + out + errors


@pytest.mark.long
def test_neighbors_are_answered_before_tensorflow_is_imported(service: Service) -> None:
    with bootstrap.catalogs(service.settings) as catalogs:
        catalog = catalogs.create(new_spec("products", "efficientnet_lite0", "imagenet", "nearest"))
        made = [Embedding(name, np.eye(catalog.spec.dim, dtype=np.float32)[n], {}) for n, name in enumerate("abc")]
        assert all(outcome.code is None for outcome in catalog.put_embeddings(made))
    service.start()
    assert service.process
    answer = service.get("/catalogs/products/products/a/neighbors")
    assert sorted(each["product_id"] for each in answer["neighbors"]) == ["b", "c"]
    mapped = Path(f"/proc/{service.process.pid}/maps")
    assert "libtensorflow" not in mapped.read_text()
    # And where it is, this would tell.
    with service.client() as client:
        put = client.put(
            "/catalogs/products/products/d?wait=60", content=picture(1), headers={"Content-Type": "image/jpeg"}
        )
    assert put.status_code == 200
    assert "libtensorflow" in mapped.read_text()
