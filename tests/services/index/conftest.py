from collections.abc import Iterator
from pathlib import Path

import pytest
from graphs import DIM, filled
from indexes import SERVER, opened

from services.index.edge import EdgeIndex
from services.index.vector_index import VectorIndex


@pytest.fixture(params=["memory", "edge", "twin", SERVER])
def index(request: pytest.FixtureRequest, tmp_path: Path, twin_url: str) -> Iterator[VectorIndex]:
    """An empty index of four dimensions, of each implementation."""
    with opened(request.param, 4, tmp_path / "index", twin_url) as index:
        yield index


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "catalogs" / "shoes" / "vectors"


@pytest.fixture
def edge(path: Path) -> Iterator[EdgeIndex]:
    """An index of some products and tombstones, without a graph."""
    edge = filled(EdgeIndex.open(path, DIM))
    yield edge
    edge.close()
