"""Pauses between attempts that grow, so that what is in trouble is not asked ever faster."""

import random
from collections.abc import Iterator


def pauses(first: float, longest: float, *, jitter: float = 0.0) -> Iterator[float]:
    """Seconds to wait before each further attempt: `first`, then twice as long each time, up to `longest`.

    Args:
        first: The first pause.
        longest: The longest pause, before jitter.
        jitter: The share by which each pause is randomly longer or shorter, so that many callers do not come back at
            the same moment; 0 for none, at most 1.
    """
    pause = first
    while True:
        yield pause * random.uniform(1 - jitter, 1 + jitter)
        pause = min(2 * pause, longest)
