"""Waiting for a state, never for a time."""

import time
from collections.abc import Callable

PATIENCE = 600.0
"""Seconds in which whatever comes at all has come, also on a machine that does ten things at once."""


def until(holds: Callable[[], bool], seconds: float = PATIENCE, why: Callable[[], object] | None = None) -> None:
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


def until_stalled(holds: Callable[[], bool], progress: Callable[[], float], seconds: float) -> None:
    """Waits until something holds, for as long as there is progress: what is slow passes, what stands still does not.

    Args:
        holds: Asked again and again.
        progress: How much has been done so far; whenever it is more than ever before, the waiting begins anew.
        seconds: How long nothing may move at most.

    Raises:
        AssertionError: Nothing moved for so long.
    """
    most = progress()
    deadline = time.monotonic() + seconds
    while not holds():
        if (now := progress()) > most:
            most, deadline = now, time.monotonic() + seconds
        assert time.monotonic() < deadline, f"nothing moved for {seconds} s: {most}"
        time.sleep(0.02)
