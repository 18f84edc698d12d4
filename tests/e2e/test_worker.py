"""`lookalike worker` as its users run it."""

import json
import os
import re
import signal
import socket
import subprocess
import urllib.request
from pathlib import Path

import pytest
from harness import ENVIRONMENT, LOOKALIKE, Service, picture
from redis import Redis
from stack import free_port

from services import bootstrap, settings
from services.catalog.opening import new_spec
from services.ledger import Ledger, Store
from services.records import Change, Lane, StoredImage


def command(data: Path, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
    told = {f"LOOKALIKE_{name.upper()}": value for name, value in environment.items()}
    return subprocess.Popen(
        [str(LOOKALIKE), "worker", "--data", str(data), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | ENVIRONMENT | {"LOOKALIKE_REDIS_URL": ""} | told,
    )


def refused(data: Path, *arguments: str, **environment: str) -> str:
    """The sentence with which it refuses."""
    with command(data, *arguments, **environment) as process:
        out, errors = process.communicate(timeout=60)
    assert process.returncode == 2, errors
    assert out == "" and errors.startswith("Refused (") and errors.count("\n") == 1 and errors.endswith(".\n"), errors
    return errors


def test_it_refuses_what_it_cannot_run_with(tmp_path: Path) -> None:
    assert "LOOKALIKE_REDIS_URL is not set" in refused(tmp_path / "data")
    sentence = refused(tmp_path / "data", redis_url="http://:lk_secret@host")
    assert "LOOKALIKE_REDIS_URL is no URL" in sentence and "lk_secret" not in sentence
    for device in ("gpu", "gpu:x", "cpu:0", "tpu:0"):
        assert f"--device {device} is no device" in refused(
            tmp_path / "data", "--device", device, redis_url="redis://127.0.0.1:1"
        )
    assert not (tmp_path / "data").exists()


@pytest.mark.long
def test_it_refuses_a_gpu_that_is_not_there(tmp_path: Path) -> None:
    if bootstrap.gpus().driver:
        pytest.skip("there may be a GPU here")
    sentence = refused(tmp_path / "data", "--device", "gpu:0", redis_url="redis://127.0.0.1:1")
    assert "--device gpu:0: TensorFlow finds no GPU here, because no NVIDIA driver is loaded" in sentence


def test_it_refuses_a_data_folder_in_use(tmp_path: Path) -> None:
    with bootstrap.catalogs(settings.load(data=tmp_path / "data", decode_processes=1)):
        assert f"process {os.getpid()} " in refused(tmp_path / "data", redis_url="redis://127.0.0.1:1")


def test_it_refuses_a_metrics_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        sentence = refused(tmp_path / "data", redis_url="redis://127.0.0.1:1", metrics_port=port)
    assert f"127.0.0.1:{port} cannot be listened on" in sentence


def test_a_redis_that_is_away_is_said_and_waited_for(tmp_path: Path) -> None:
    given = {"redis_url": "redis://:lk_secret@127.0.0.1:1/0", "log_format": "json"}
    with command(tmp_path / "data", **given) as process:
        assert process.stderr
        line = process.stderr.readline()
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        _, rest = process.communicate(timeout=30)
    assert process.returncode == 0, rest
    said = [json.loads(each) for each in [line, *rest.splitlines()]]
    assert "Cannot connect to redis://:**@127.0.0.1:1/0" in said[0]["event"] and said[0]["level"] == "error"
    assert "lk_secret" not in line + rest and "Traceback" not in rest


@pytest.mark.long
def test_it_works_and_tells_metrics(tmp_path: Path, redis: "Redis[bytes]", valkey_url: str) -> None:
    data = tmp_path / "data"
    with bootstrap.catalogs(settings.load(data=data, decode_processes=1)) as catalogs:
        spec = new_spec("products", "efficientnet_lite0", "imagenet", "nearest")
        catalogs.create(spec)
        media = catalogs.intake.media
        changes = [Change(f"p{n}", image=StoredImage(media.put(picture(n))), attributes={}) for n in range(80)]
    ledger = Ledger(Store(redis))
    job = ledger.accept(spec.id, spec.name, changes, lane=Lane.BULK, max_version=lambda: 0)
    port = str(free_port())
    given = {"redis_url": valkey_url, "log_format": "json", "metrics_port": port}
    with command(data, "--concurrency", "3", **given) as process:
        assert process.stdout
        assert re.fullmatch(r"Worker \S+ is ready\.\n", process.stdout.readline())
        assert ledger.wait(job.id, 60).applied == 80
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            metrics = answer.read().decode()
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert 'lookalike_changes_total{state="applied"} 80.0' in metrics
    assert "lookalike_batch_changes_sum 80.0" in metrics and "lookalike_ledger_up 1.0" in metrics
    batches = [each for each in map(json.loads, errors.splitlines()) if each["event"] == "batch"]
    assert sum(each["changes"] for each in batches) == 80
    assert all(each["jobs"] == [job.id] and each["catalog"] == "products" and each["claim"] for each in batches)


@pytest.mark.long
def test_no_log_has_a_key(service: Service, tmp_path: Path) -> None:
    from api.access.keys import hashed, new_secret

    key = new_secret()
    (tmp_path / "keys").write_text(f"shop:{hashed(key)}\n")
    service.environment = {"LOOKALIKE_API_KEYS_FILE": str(tmp_path / "keys"), "LOOKALIKE_LOG_LEVEL": "debug"}
    service.start()
    with service.client() as client:
        for secret in (key, key[:-1] + "~"):
            headers = {"Authorization": f"Bearer {secret}", "Idempotency-Key": "once"}
            assert client.put("/catalogs/shoes", json={"weights": "random:1"}, headers=headers).status_code in (
                200,
                201,
                401,
            )
            assert client.post("/catalogs/shoes/products", content=b"{", headers=headers).status_code >= 400
    assert service.end() == 0
    assert "/catalogs/shoes" in service.log
    assert key[3:20] not in service.log
