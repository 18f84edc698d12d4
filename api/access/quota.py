"""How often a key may ask."""

import math
import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from api.access.keys import Key
from api.errors import RateLimited


class Quota:
    """At most so many requests of one key in a minute, counted by this process; 0: any number."""

    def __init__(self, per_minute: int) -> None:
        self._item = RateLimitItemPerMinute(per_minute) if per_minute else None
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    def admit(self, key: Key) -> None:
        """Counts a request. Raises `RateLimited`, which tells when to come again."""
        if self._item is None or self._limiter.hit(self._item, key.name):
            return
        seconds = self._limiter.get_window_stats(self._item, key.name).reset_time - time.time()
        raise RateLimited(
            f"This key has sent the {self._item.amount:,} requests that it may send in a minute "
            "(LOOKALIKE_RATE_LIMIT); Retry-After says when the next is taken.",
            headers={"Retry-After": str(max(1, math.ceil(seconds)))},
        )
