"""A limit of concurrent requests to one host."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

import httpcore2


class Hosts:
    """Counts the requests in progress to each host and admits at most `at_once` of them per host. Thread-safe."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._asked: Counter[str] = Counter()
        self._change = threading.Condition()

    @contextmanager
    def visit(self, host: str, deadline: float) -> Iterator[None]:
        """Waits until a request to the host is admitted. Raises `PoolTimeout` at the deadline."""
        with self._change:
            if not self._change.wait_for(lambda: self._asked[host] < self._at_once, deadline - monotonic()):
                raise httpcore2.PoolTimeout
            self._asked[host] += 1
        try:
            yield
        finally:
            with self._change:
                self._asked[host] -= 1
                if not self._asked[host]:
                    del self._asked[host]
                self._change.notify_all()
