"""A service for each test."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Running, Service, StackService


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A service that is not started yet; whatever happens, nothing of it stays."""
    service = Service(tmp_path / "data")
    yield service
    if service.process and service.process.poll() is None:
        service.end(signal.SIGTERM)


@pytest.fixture(params=["embedded", "stack"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Running]:
    """A service that runs, in one process or as API, three workers, Redis and a Qdrant."""
    service = Service(tmp_path / "data") if request.param == "embedded" else StackService(tmp_path / "stack")
    service.start()
    yield service
    service.end()
