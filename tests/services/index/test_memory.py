"""What an embedded index takes of the memory of its process."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from services.encoders.recipes import TUNED_DIM

GROWTH = Path(__file__).parents[2] / "support" / "index_growth.py"
PRIVATE = 1000
"""Bytes a product, whatever its vector: a gigabyte for a million."""
FEW = 16_000_000
"""Bytes besides, which show where there are few products: new files and their buffers come by steps."""


@pytest.mark.parametrize(
    ("products", "besides"),
    [
        pytest.param(50_000, FEW, marks=pytest.mark.long),
        pytest.param(1_000_000, 0, marks=pytest.mark.nightly),
    ],
)
def test_a_process_keeps_no_more_than_a_kilobyte_of_each_product_with_tuned_features(
    disk_path: Path, record_property: Callable[[str, object], None], products: int, besides: int
) -> None:
    """Private memory (RssAnon), as elsewhere: the pages of mapped files go back to the system when it needs them."""
    command = [sys.executable, str(GROWTH), str(disk_path / "index"), str(products), str(TUNED_DIM)]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    grown = json.loads(ran.stdout)
    for name, count in grown.items():
        record_property(f"{name}, MB", round(count / 1e6, 1))
    assert grown["private"] <= products * PRIVATE + besides
