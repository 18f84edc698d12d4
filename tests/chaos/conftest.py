"""How much chaos: short figures in `make test-long`, full ones by `make chaos`. What is random comes from a seed that a
failing test shows; CHAOS_SEED repeats it."""

import os
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from harness import StackService

T = TypeVar("T")
Scale = Callable[[T, T], T]
STUB = Path(__file__).parent.parent / "support" / "stub_worker.py"


@pytest.fixture
def scale() -> Callable[[T, T], T]:
    """Gives the full figure or the short one."""
    return lambda full, short: full if os.environ.get("CHAOS") == "full" else short


@pytest.fixture
def rng(record_property: Callable[[str, object], None]) -> random.Random:
    seed = int(os.environ.get("CHAOS_SEED") or random.SystemRandom().getrandbits(32))
    print(f"CHAOS_SEED={seed} repeats this")  # noqa: T201
    record_property("seed", seed)
    return random.Random(seed)


@pytest.fixture
def make_stack(tmp_path: Path) -> Iterator[Callable[..., StackService]]:
    """Makes a stack, not started yet, whose workers are those of a script (`None`: real ones), which encode nothing;
    whatever happens, nothing of it stays."""
    made: list[StackService] = []

    def make(
        workers: int = 3, seconds_per_batch: float = 0.0, worker: Path | None = STUB, **environment: str
    ) -> StackService:
        command = [sys.executable, str(worker), "", str(seconds_per_batch), "20"]
        service = StackService(
            tmp_path / f"stack{len(made)}",
            workers,
            worker=command if worker else None,
            environment={"LOOKALIKE_LEASE_SECONDS": "5"} | environment,
        )
        command[2] = service.stack.redis_url
        made.append(service)
        return service

    yield make
    for service in made:
        service.end()
