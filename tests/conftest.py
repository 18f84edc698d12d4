"""What tests of every part share."""

import os
from collections.abc import Iterator

import pytest
from harness import Pictures, serving
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from services.queue.valkey import ValkeyServer

# TensorFlow must not speak into the output of the tests' own process.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of one Valkey for all tests, started when the first of them asks for it."""
    with ValkeyServer(tmp_path_factory.mktemp("valkey")) as server:
        yield server.url


@pytest.fixture
def redis(valkey_url: str) -> Iterator[Redis]:
    """A client of an empty Valkey, which speaks in bytes and never tries twice."""
    with Redis.from_url(valkey_url, socket_timeout=5, retry=Retry(NoBackoff(), 0)) as client:
        client.flushall()
        yield client


@pytest.fixture
def pictures() -> Iterator[Pictures]:
    """A web server that answers as the test says."""
    with serving() as served:
        yield served
