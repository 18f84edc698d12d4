"""SIGKILL at any moment of `lookalike index` costs work, never the catalog."""

import io
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from services import bootstrap, settings

LOOKALIKE = Path(sys.executable).parent / "lookalike"
COUNT, KILLS = 500, 20
DEADLINE = 120

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    generator = np.random.default_rng(5)
    for number in range(COUNT):
        out = io.BytesIO()
        coarse = generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((240, 240), Image.Resampling.BICUBIC).save(out, "JPEG")
        (folder / f"p{number:03}.jpg").write_bytes(out.getvalue())
    return folder


def command(pictures: Path, data: Path) -> list[str]:
    options = ["--encoder", "efficientnet_lite0", "--precision", "float32", "--json"]
    return [str(LOOKALIKE), "index", str(pictures), "--data", str(data), *options]


def stored(data: Path) -> int:
    return sum(1 for path in (data / "media" / "originals").rglob("*") if path.is_file())


def contents(data: Path) -> dict[str, Any]:
    configured = settings.load(data=data)
    with bootstrap.catalogs(configured) as catalogs:
        return {each.product_id: each for each in catalogs.get("products").embeddings()}


def children_of(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def killed_run(pictures: Path, data: Path, wait: float) -> bool:
    """Kills a run a moment after it stores its next picture; True if it was still running."""
    before = stored(data)
    environment = os.environ | {"LOOKALIKE_BATCH_SIZE": "8"}
    with subprocess.Popen(
        command(pictures, data), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + DEADLINE
        while stored(data) <= before and process.poll() is None:
            assert time.monotonic() < deadline, "nothing is stored any more"
        moment = time.monotonic() + wait
        while time.monotonic() < moment:
            pass
        children = children_of(process.pid)
        was_running = process.poll() is None
        process.kill()
    deadline = time.monotonic() + 15
    while any(alive(pid) for pid in children):
        assert time.monotonic() < deadline, "children outlive their parent"
    return was_running


def test_twenty_kills_and_one_full_run_equal_a_run_that_was_never_interrupted(
    pictures: Path, tmp_path: Path, record_property: Any
) -> None:
    seed = random.randrange(1 << 30)
    record_property("seed", seed)
    moments = random.Random(seed)
    killed, calm = tmp_path / "killed", tmp_path / "calm"
    landed = sum(killed_run(pictures, killed, moments.uniform(0, 0.12)) for _ in range(KILLS))
    assert landed == KILLS, "the runs were over before they were killed"
    progress = stored(killed)
    assert 0 < progress < COUNT
    last = json.loads(subprocess.run(command(pictures, killed), check=True, capture_output=True).stdout)
    assert (last["failed"], last["applied"] + last["unchanged"]) == (0, COUNT)
    assert last["unchanged"] > 0
    subprocess.run(command(pictures, calm), check=True, capture_output=True)
    first, second = contents(killed), contents(calm)
    assert first.keys() == second.keys()
    assert len(first) == COUNT
    for product_id, embedding in second.items():
        assert first[product_id] == embedding  # ID, attributes and image hash
        np.testing.assert_allclose(
            first[product_id].features, embedding.features, rtol=0, atol=1e-4 * np.abs(embedding.features).max()
        )
    assert stored(killed) == stored(calm) == COUNT
    assert list((killed / "media").glob("unfinished/*")) == []
