"""`lookalike api` without what it needs, and how it ends. That it serves, tests/e2e shows."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx2
import pytest
from click.testing import CliRunner
from harness import ENVIRONMENT, LOOKALIKE
from redis import Redis

from api.cli.main import cli
from services.index.twin import QdrantTwin

REDIS, QDRANT = "LOOKALIKE_REDIS_URL", "LOOKALIKE_QDRANT_URL"


@pytest.mark.parametrize(
    ("given", "arguments", "named"),
    [
        ({}, (), f"{REDIS} is not set"),
        ({QDRANT: "http://127.0.0.1:1"}, (), f"{REDIS} is not set"),
        ({REDIS: "redis://127.0.0.1:1"}, (), f"{QDRANT} is not set"),
        ({REDIS: "http://127.0.0.1:1", QDRANT: "http://127.0.0.1:1"}, (), REDIS),
        ({REDIS: "redis://127.0.0.1:1", QDRANT: "redis://127.0.0.1:1"}, (), QDRANT),
        ({REDIS: "redis://127.0.0.1:1", QDRANT: "http://127.0.0.1:1"}, ("--host", "0.0.0.0"), "--host 0.0.0.0"),
    ],
)
def test_what_is_missing_is_one_sentence(
    given: dict[str, str],
    arguments: tuple[str, ...],
    named: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in (REDIS, QDRANT):
        monkeypatch.setenv(name, given.get(name, ""))
    answer = CliRunner().invoke(cli, ["api", "--data", str(tmp_path / "data"), *arguments])
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert answer.stderr.startswith("Refused (setting_invalid): ") and named in answer.stderr
    assert not (tmp_path / "data").exists()


@pytest.fixture
def api(redis: Redis, valkey_url: str, tmp_path: Path) -> Iterator[tuple["subprocess.Popen[str]", httpx2.Client]]:
    """A real one, with a catalog and nobody who works."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    with QdrantTwin() as twin:
        told = {REDIS: valkey_url, QDRANT: twin.url, "LOOKALIKE_DATA": str(tmp_path / "data")}
        process = subprocess.Popen(
            [str(LOOKALIKE), "api", "--port", port],
            env=os.environ | ENVIRONMENT | told,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            with httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
                until = time.monotonic() + 300
                while not answers(client):
                    assert time.monotonic() < until and process.poll() is None
                    time.sleep(0.05)
                made = client.put("/v1/catalogs/shoes", json={"encoder": "efficientnet_lite0"})
                assert made.status_code == 201, made.text
                yield process, client
        finally:
            process.kill()
            process.communicate()


def answers(client: httpx2.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx2.TransportError:
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_requests_under_way_are_answered_first(
    api: tuple["subprocess.Popen[str]", httpx2.Client], number: signal.Signals
) -> None:
    """Given a request that waits, if I press Ctrl-C, which every process of the terminal gets, I expect its answer."""
    process, client = api
    with ThreadPoolExecutor(1) as pool:
        path = "/v1/catalogs/shoes/products/a?wait=2"
        waits = pool.submit(client.put, path, json={"image_url": "http://127.0.0.1:9/x.jpg"})
        until = time.monotonic() + 10
        while not client.get("/v1/jobs").json()["jobs"]:
            assert time.monotonic() < until
        os.killpg(process.pid, number)
        assert waits.result().status_code == 202
    _, said = process.communicate(timeout=30)
    assert (process.returncode, "Traceback" in said) == (0, False), said


@pytest.mark.long
def test_who_says_nothing_in_the_middle_of_a_request_is_let_go(
    api: tuple["subprocess.Popen[str]", httpx2.Client],
) -> None:
    _, client = api
    place = (client.base_url.host, client.base_url.port or 0)
    silent = [socket.create_connection(place, timeout=30) for _ in range(64)]
    try:
        for each in silent:
            each.sendall(b"GET /livez HTTP/1.1\r\nHost: lo")
        until = time.monotonic() + 8
        with pytest.raises(httpx2.ReadTimeout):
            while time.monotonic() < until:
                client.get("/livez", timeout=0.5)
        assert client.get("/livez").status_code == 200, "within 30 s, and without their hanging up"
    finally:
        for each in silent:
            each.close()
