"""How long the changes of a catalog wait before they are tried again."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from services.backoff import pauses
from services.errors import CatalogNotFound, FormatTooNew, LookalikeError


@dataclass(frozen=True, slots=True)
class Delay:
    """`pause`: seconds until the next try; `failing_for`: seconds since the first failure in a row."""

    pause: float
    failing_for: float


@dataclass(frozen=True, slots=True)
class _Failures:
    """Failures in a row. `first` and `last` are times of `time.monotonic`."""

    first: float
    last: float
    pauses: Iterator[float]


def goes_on(error: LookalikeError, delay: Delay, give_up: float) -> bool:
    """Whether work that met this error is tried again: where that may help, unless it has failed for `give_up` seconds.

    A catalog that is not found may come back: this worker may have another data folder than the service, which whoever
    started it can correct. One that a newer version has upgraded is for newer workers: this one never fails what they
    can do.
    """
    may_come_back = error.retryable or isinstance(error, CatalogNotFound)
    return isinstance(error, FormatTooNew) or (may_come_back and delay.failing_for < give_up)


class Backoff:
    """Exponential backoff for each catalog: every failure in a row doubles the pause. Any thread may call it.

    Args:
        first: The pause after the first failure, in seconds.
        longest: The longest pause.
        forget_after: Where no try has failed for so many seconds, the next failure is the first of its row.
    """

    def __init__(self, *, first: float = 0.5, longest: float = 30.0, forget_after: float = 300.0) -> None:
        self._first = first
        self._longest = longest
        self._forget_after = forget_after
        self._lock = threading.Lock()
        self._failures: dict[str, _Failures] = {}

    def failed(self, catalog_id: str, started: float) -> Delay:
        """Notes a failure of a try that began at `started` (of `time.monotonic`); returns how long to wait."""
        now = time.monotonic()
        with self._lock:
            before = self._failures.get(catalog_id)
            if before and started - before.last < self._forget_after:
                failures = _Failures(before.first, now, before.pauses)
            else:
                failures = _Failures(now, now, pauses(self._first, self._longest))
            self._failures[catalog_id] = failures
            return Delay(next(failures.pauses), now - failures.first)

    def succeeded(self, catalog_id: str) -> None:
        """Ends the row: the next failure is the first again."""
        with self._lock:
            self._failures.pop(catalog_id, None)
