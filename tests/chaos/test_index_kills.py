"""SIGKILL at any moment of `lookalike index` costs work, never the catalog."""

import io
import json
import os
import random
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness import LOOKALIKE, assert_gone, children
from PIL import Image
from waiting import until

from services import bootstrap, settings
from services.catalog.stream import AT_ONCE

STORED_SECONDS = 120.0
BATCH = 8

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory, scale: Callable[[int, int], int]) -> Path:
    folder = tmp_path_factory.mktemp("many")
    generator = np.random.default_rng(5)
    for number in range(scale(500, 240)):
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


def killed_run(pictures: Path, data: Path, wait: float, *, more: int = 1) -> bool:
    """Kills a run a moment after it has stored so many more pictures; True if it was still running."""
    before = stored(data)
    environment = os.environ | {"LOOKALIKE_BATCH_SIZE": str(BATCH)}
    with subprocess.Popen(
        command(pictures, data), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        until(lambda: stored(data) >= before + more or process.poll() is not None, STORED_SECONDS)
        time.sleep(wait)
        family = children(process.pid)
        was_running = process.poll() is None
        process.kill()
    assert_gone(family)
    return was_running


def test_kills_and_one_full_run_equal_a_run_that_was_never_interrupted(
    pictures: Path, tmp_path: Path, record_property: Any, scale: Callable[[int, int], int]
) -> None:
    seed = random.randrange(1 << 30)
    record_property("seed", seed)
    moments = random.Random(seed)
    killed, calm = tmp_path / "killed", tmp_path / "calm"
    kills, count = scale(20, 3), len([*pictures.iterdir()])
    # The pictures of batches in progress are stored, so with those of one batch more there is one that has ended.
    landed = killed_run(pictures, killed, 0, more=BATCH * AT_ONCE + 1)
    landed += sum(killed_run(pictures, killed, moments.uniform(0, 0.12)) for _ in range(kills - 1))
    assert landed == kills, "the runs were over before they were killed"
    progress = stored(killed)
    assert 0 < progress < count
    last = json.loads(subprocess.run(command(pictures, killed), check=True, capture_output=True).stdout)
    assert (last["failed"], last["applied"] + last["unchanged"]) == (0, count)
    assert last["unchanged"] > 0
    subprocess.run(command(pictures, calm), check=True, capture_output=True)
    first, second = contents(killed), contents(calm)
    assert first.keys() == second.keys()
    assert len(first) == count
    for product_id, embedding in second.items():
        assert first[product_id] == embedding  # ID, attributes and image hash
        np.testing.assert_allclose(
            first[product_id].features, embedding.features, rtol=0, atol=1e-4 * np.abs(embedding.features).max()
        )
    assert stored(killed) == stored(calm) == count
    assert list((killed / "media").glob("unfinished/*")) == []
