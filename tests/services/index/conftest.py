from collections.abc import Iterator
from pathlib import Path

import pytest
from indexes import SERVER, opened

from services.index.vector_index import VectorIndex


@pytest.fixture(params=["memory", "edge", "twin", SERVER])
def index(request: pytest.FixtureRequest, tmp_path: Path, twin_url: str) -> Iterator[VectorIndex]:
    """An empty index of four dimensions, of each implementation."""
    with opened(request.param, 4, tmp_path / "index", twin_url) as index:
        yield index
