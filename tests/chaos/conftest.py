"""How much chaos: short figures in `make test-long`, full ones in `make chaos`. What is random comes from a seed that a
failing test shows; CHAOS_SEED repeats it. Nothing here is in memory."""

import os
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest
from harness import Service, StackService

STUB = Path(__file__).parent.parent / "support" / "stub_worker.py"


@pytest.fixture
def rng(record_property: Callable[[str, object], None]) -> random.Random:
    seed = int(os.environ.get("CHAOS_SEED") or random.SystemRandom().getrandbits(32))
    print(f"CHAOS_SEED={seed} repeats this")  # noqa: T201
    record_property("seed", seed)
    return random.Random(seed)


@pytest.fixture
def tmp_path(disk_path: Path) -> Path:
    """On a disk: what is killed here must find again what it has written."""
    return disk_path


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """`lookalike up`, not started yet; whatever happens, nothing of it stays."""
    with Service(tmp_path / "data") as service:
        yield service


@pytest.fixture
def make_stack(tmp_path: Path) -> Iterator[Callable[..., StackService]]:
    """Makes a stack, not started yet, whose workers are those of a script (`None`: real ones), which encode nothing;
    whatever happens, nothing of it stays."""
    with ExitStack() as made:
        numbers = count()

        def make(
            workers: int = 3, seconds_per_batch: float = 0.0, worker: Path | None = STUB, **environment: str
        ) -> StackService:
            service = StackService(
                tmp_path / f"stack{next(numbers)}",
                workers,
                environment={"LOOKALIKE_LEASE_SECONDS": "5"} | environment,
            )
            stack = service.stack
            if worker:
                stack.commands["worker"] = [sys.executable, str(worker), stack.redis_url, str(seconds_per_batch), "20"]
            return made.enter_context(service)

        yield make
