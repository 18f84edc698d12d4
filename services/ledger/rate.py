"""How fast changes ended lately, from the counters that record.lua keeps, one a second."""

from collections.abc import Sequence

WINDOW = 60
"""Seconds that "lately" goes back."""


def keys(now: float) -> list[str]:
    """The counters that matter at a time (Unix epoch seconds): of the `WINDOW` seconds before the one under way and of
    that one, oldest first."""
    return [f"la:ended:{second}" for second in range(int(now) - WINDOW, int(now) + 1)]


def rate(ended: Sequence[int], now: float) -> float:
    """Changes a second. `ended` is how many ended in each second up to the one that `now` is in, oldest first.

    All of them over the time from the beginning of the first second in which any ended until now, one second at least:
    the time before work began does not count, a standstill since then does. 0 where none ended. Just after a start it
    is too high rather than too low, for how long the first batches took is not known.
    """
    first = next((place for place, count in enumerate(ended) if count), None)
    if first is None:
        return 0.0
    return sum(ended) / max(1.0, len(ended) - 1 - first + now % 1)
