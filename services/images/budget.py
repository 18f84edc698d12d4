"""How many bytes of images may be in memory at a time."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Lock

IN_HAND = 64 << 20
"""Bytes of originals in memory at a time, of all batches and searches together; one larger image is taken alone."""


@dataclass(eq=False)
class _Ticket:
    """A place in the queue; `size` is None where nobody knows it yet."""

    size: int | None
    held: int = 0
    granted: Event = field(default_factory=Event)


class ByteBudget:
    """At most `limit` bytes are held at a time; who wants more waits, unless nobody else holds any.

    First come, first served: small images never pass a large one for ever. Urgent ones (someone waits for the answer)
    have a queue of their own, and while both queues wait their heads take turns, so neither can starve the other.
    Thread-safe.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._usual = 0.0
        self._lock = Lock()
        self._urgent: deque[_Ticket] = deque()
        self._others: deque[_Ticket] = deque()
        self._urgent_is_next = True

    @contextmanager
    def hold(self, size: int | None, *, urgent: bool = False) -> Iterator[Callable[[int], None]]:
        """Waits until `size` bytes fit and holds them within the block.

        Args:
            size: The number of bytes; None where it is unknown, then as many as were usual lately.
            urgent: Whether someone waits for this image alone.

        Yields:
            A function that corrects the number of bytes held. It never waits: whoever holds bytes must be able to end.
        """
        ticket = _Ticket(size)
        self._wait(ticket, self._urgent if urgent else self._others)

        def correct(size: int) -> None:
            with self._lock:
                self._held += size - ticket.held
                ticket.held = size
                self._usual = max(size, 0.9 * self._usual)
                self._grant()

        try:
            yield correct
        finally:
            self._release(ticket)

    def _wait(self, ticket: _Ticket, queue: deque[_Ticket]) -> None:
        with self._lock:
            queue.append(ticket)
            self._grant()
        try:
            ticket.granted.wait()
        except BaseException:
            # Interrupted: neither its place nor its bytes may stay taken.
            with self._lock:
                if ticket in queue:
                    queue.remove(ticket)
            self._release(ticket)
            raise

    def _release(self, ticket: _Ticket) -> None:
        with self._lock:
            self._held -= ticket.held
            ticket.held = 0
            self._grant()

    def _grant(self) -> None:
        """Admits whoever is next while there is room; needs the lock."""
        while queue := self._next_queue():
            ticket = queue[0]
            size = int(self._usual) if ticket.size is None else ticket.size
            if self._held and self._held + size > self._limit:
                return
            queue.popleft()
            self._urgent_is_next = queue is self._others
            self._held += size
            ticket.held = size
            ticket.granted.set()

    def _next_queue(self) -> deque[_Ticket]:
        first, second = (self._urgent, self._others) if self._urgent_is_next else (self._others, self._urgent)
        return first or second
