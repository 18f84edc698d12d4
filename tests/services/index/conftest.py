from collections.abc import Iterator
from pathlib import Path

import pytest

from services.index.edge import EdgeIndex
from services.index.vector_index import VectorIndex
from services.testing import MemoryIndex


@pytest.fixture(params=["memory", "edge"])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[VectorIndex]:
    """An empty index of four dimensions, of each implementation."""
    opened = MemoryIndex(4) if request.param == "memory" else EdgeIndex.open(tmp_path / "index", 4)
    yield opened
    opened.close()
