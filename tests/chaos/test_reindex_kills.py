"""A reindexing that is killed again and again ends as one that was not."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from shops import FIRST, SECOND, Place, applied, assert_same, of_live, of_other, script, shop

from services.catalog.generations import Generations
from services.images.decoder import Decoder
from services.images.limits import Limits

ROOT = Path(__file__).parents[2]
PROCESS = ROOT / "tests" / "support" / "reindex_process.py"


@pytest.fixture
def decoder() -> Iterator[Decoder]:
    with Decoder(2, 10.0, 1 << 30, Limits(1_000_000, 10_000_000)) as decoder:
        yield decoder


@pytest.mark.disk
@pytest.mark.long
def test_a_reindexing_that_is_killed_at_pages_and_at_the_switch_ends_the_same(tmp_path: Path, decoder: Decoder) -> None:
    changes = script(8, 60, products=24)
    place, told = Place(tmp_path, decoder), {}
    with place.opened() as catalogs:
        catalogs.create(shop())
        applied(lambda: catalogs.get("shop"), changes)
        first = catalogs.get("shop").spec.generation
    for encoder in (FIRST, SECOND):
        with Place(tmp_path / encoder, decoder).opened() as catalogs:
            catalogs.create(shop(encoder))
            applied(lambda catalogs=catalogs: catalogs.get("shop"), changes)  # type: ignore[misc]
            told[encoder] = of_live(catalogs.get("shop"))
    for point, times in (("brought", 0), ("bring", 2), ("brought", 1), ("switch", 0), ("switched", 0)):
        assert _run(tmp_path / "data", point, times) == -signal.SIGKILL
    assert _run(tmp_path / "data", "switch", 0) == 0, "it was switched before"
    with place.opened() as catalogs:
        catalog = catalogs.get("shop")
        assert [each.state.value for each in Generations(catalogs, "shop").all()] == ["live", "previous"]
        assert_same(of_live(catalog), told[SECOND])
        assert_same(of_other(catalog, first), told[FIRST])


def _run(data: Path, point: str, times: int) -> int:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.run([sys.executable, PROCESS, data, point, str(times)], env=environment, timeout=60).returncode
