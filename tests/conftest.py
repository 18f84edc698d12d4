"""Fixtures that tests of every part share, and where temporary folders are."""

import gc
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

# Read when numpy is imported. Tests run in a process for each processor, and threads beside them wait for each other:
# the tests of directions took three times as long.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
from harness import Pictures, serving
from hypothesis import settings
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from services.queue.valkey import ValkeyServer

# TensorFlow must not speak into the output of the tests' own process.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

T = TypeVar("T")

MEMORY = Path("/dev/shm")
NEEDED_BYTES = 2 << 30


def pytest_configure() -> None:
    """Listens to Ctrl-C, and puts temporary folders in memory where there is room: most tests wait for `fsync` longer
    than they compute.

    A temporary folder that the caller has chosen stays, and so does their LOOKALIKE_MIN_FREE_BYTES. No example of a
    property has a deadline: on a loaded machine any may take long.
    """
    settings.register_profile("lookalike", deadline=None)
    settings.load_profile("lookalike")
    # What a shell starts in the background ignores Ctrl-C, and commands that tests interrupt would inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if "PYTEST_DEBUG_TEMPROOT" in os.environ or not _has_room(MEMORY):
        return
    os.environ["PYTEST_DEBUG_TEMPROOT"] = str(MEMORY)
    # A file system in memory may be smaller than the free space that a data folder asks for by default.
    os.environ.setdefault("LOOKALIKE_MIN_FREE_BYTES", str(64 << 20))


def _has_room(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free >= NEEDED_BYTES and os.access(folder, os.W_OK)
    except FileNotFoundError:
        return False


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """In memory where there is room, but on a disk for tests that are marked `disk`."""
    if request.node.get_closest_marker("disk"):
        return Path(request.getfixturevalue("disk_path"))
    return tmp_path


@pytest.fixture(scope="session")
def scale() -> Callable[[T, T], T]:
    """Gives the full figure, of `make chaos` and `make nightly`, or the short one."""
    return lambda full, short: full if os.environ.get("CHAOS") == "full" else short


@pytest.fixture(autouse=True)
def unfrozen() -> Iterator[None]:
    """Loading an encoder has the collector of garbage leave alone what there is then, which suits a service that loads
    one. In the tests' process these were left alone for ever, each with its network, and it grew to gigabytes."""
    yield
    gc.unfreeze()


@pytest.fixture
def disk_path() -> Iterator[Path]:
    """A temporary folder on a disk, for tests of what outlives a power cut or kill; `tmp_path` may be in memory."""
    with TemporaryDirectory(prefix="lookalike-", ignore_cleanup_errors=True) as folder:
        yield Path(folder).resolve()


@pytest.fixture
def record_property(record_property: Callable[[str, object], None]) -> Callable[[str, object], None]:
    """Keeps a figure with the report of a test, as text: xdist passes only plain types from process to process."""
    return lambda name, value: record_property(name, str(value))


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of one Valkey for all tests, started when the first of them asks for it.

    It does not wait for a disk: what outlives a power cut is tested with servers that do (tests/services/queue).
    """
    with ValkeyServer(tmp_path_factory.mktemp("valkey")) as server:
        with Redis.from_url(server.url) as client:
            client.config_set("appendfsync", "no")
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
