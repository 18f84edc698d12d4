"""A backup taken under load, everything wiped, the backup restored: what was accepted before it began is there."""

import json
import os
import random
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from chaos import Callers, differences, grid
from harness import CATALOG, LOOKALIKE, Pictures, Service, StackService, picture
from waiting import until

pytestmark = pytest.mark.long


def lookalike(environment: dict[str, str], *arguments: object) -> dict[str, Any]:
    """What a command answers, as an operator runs it."""
    command = [str(LOOKALIKE), *map(str, arguments), "--json"]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(json.loads(done.stdout))


def is_idle(service: StackService | Service) -> bool:
    stats = service.get("/stats")
    return bool(stats["waiting"] == stats["in_flight"] == 0)


def test_a_stack_under_load(
    make_stack: Callable[..., StackService],
    pictures: Pictures,
    rng: random.Random,
    scale: Callable[..., int],
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """Products whose callers were answered before it began: each there once, with the right vector and image, those
    deleted not, whether done or still waiting then. Others may be there, too."""
    # Many callers and little machine are no outage of Qdrant.
    first = make_stack(2, seconds_per_batch=0.5, LOOKALIKE_QDRANT_TIMEOUT="60")
    first.start()
    first.create_catalog()
    before = Callers(first, pictures, scale(2000, 240), rng, prefix="before-")
    before.start()
    before.join()
    # So many that they would not be done in ten minutes, however long the backup takes.
    meanwhile = Callers(first, pictures, 120 * scale(2000, 240), rng, prefix="meanwhile-")
    meanwhile.start(600)
    until(lambda: bool(meanwhile.log.jobs))
    told = lookalike(
        {"LOOKALIKE_SERVICE_URL": first.url, "LOOKALIKE_API_KEY": first.key}, "backup", tmp_path / "backups"
    )
    is_under_load = not meanwhile.done
    meanwhile.stop(200)
    first.end()
    second = make_stack(2)
    second.start()
    lookalike(second.stack.environment_of("api"), "restore", told["file"])
    until(lambda: is_idle(second))
    wrong = [each for each in differences(second, before.log) if not each.startswith("meanwhile-")]
    assert (before.log.unexpected, wrong) == ([], [])
    with second.client() as client:
        for name, seed in before.log.expected.items():
            shown = client.get(f"/catalogs/{CATALOG}/products/{name}/image")
            assert (shown.status_code, shown.content if seed else b"") == ((200, grid(seed)) if seed else (404, b"")), (
                name
            )
    record_property("backup", told)
    assert is_under_load and told["changes"] > 0 and told["products"] > 0


def test_the_service_of_a_data_folder(tmp_path: Path) -> None:
    """With the real encoder: neighbors and scores are those that the service gives that was not wiped."""
    service = Service(tmp_path / "data")
    service.start()
    with service.client() as client:
        body = {"encoder": "efficientnet_lite0", "weights": "random:1"}
        assert client.put("/catalogs/shoes", json=body).status_code == 201
        for seed in range(40):
            put = client.put(
                f"/catalogs/shoes/products/p{seed}", content=picture(seed), headers={"Content-Type": "image/jpeg"}
            )
            assert put.status_code == 202
    told = lookalike({}, "backup", tmp_path / "backups", "--data", tmp_path / "data")
    assert told["changes"] + told["products"] >= 40 and told["originals"] == 40
    until(lambda: is_idle(service))
    expected = neighbors(service)
    service.end(signal.SIGKILL)
    shutil.rmtree(tmp_path / "data")
    lookalike({}, "restore", told["file"], "--data", tmp_path / "data")
    service.start()
    until(lambda: is_idle(service))
    assert neighbors(service) == pytest.approx(expected, abs=1e-6) and len(expected) == 39
    assert service.end() == 0


def neighbors(service: Service) -> dict[str, float]:
    found = service.get("/catalogs/shoes/products/p0/neighbors", params={"limit": 100})
    return {each["product_id"]: each["score"] for each in found["neighbors"]}
