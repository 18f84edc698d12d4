"""Waiting for a state, never for a time."""

import time
from collections.abc import Callable


def until(holds: Callable[[], bool], seconds: float = 10.0, why: Callable[[], object] | None = None) -> None:
    """Waits until something holds.

    Args:
        holds: Asked again and again.
        seconds: How long it may take at most: so long that only something broken takes longer.
        why: What to show if it does not come true.

    Raises:
        AssertionError: It did not hold in time.
    """
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not after {seconds} s: {why() if why else holds}"
        time.sleep(0.02)
