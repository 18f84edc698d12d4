"""A service for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Running, Service, StackService


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A service that is not started yet; whatever happens, nothing of it stays."""
    with Service(tmp_path / "data") as service:
        yield service


@pytest.fixture(params=["embedded", "stack"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Running]:
    """A service that runs, in one process or as API, three workers, Redis and a Qdrant."""
    with Service(tmp_path / "data") if request.param == "embedded" else StackService(tmp_path / "stack") as service:
        service.start()
        yield service
