"""How many bytes of images may be in memory at a time."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Lock

IN_HAND = 64 << 20
"""Bytes of originals in memory at a time, of all batches and searches together; one larger image is taken alone."""

RESERVE = IN_HAND // 8
"""Bytes of these that only searches and thumbnails may hold: a batch holds its bytes while slow hosts send them."""


@dataclass(eq=False)
class _Ticket:
    """A place in the queue; `size` is None where nobody knows it yet."""

    size: int | None
    urgent: bool
    held: int = 0
    granted: Event = field(default_factory=Event)


class ByteBudget:
    """At most `limit` bytes are held at a time; who wants more waits, unless nobody else holds any.

    First come, first served: small images never pass a large one for ever. Urgent ones (someone waits for the answer)
    have a queue of their own, and while both queues wait their heads take turns, so neither can starve the other.
    Thread-safe.

    Args:
        limit: The number of bytes.
        reserve: How many of them only urgent ones may hold. Those that fit in there wait for no others, however long
            these hold theirs.
    """

    def __init__(self, limit: int, reserve: int = 0) -> None:
        self._limit = limit
        self._reserve = reserve
        self._held = 0
        self._held_urgently = 0
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
        ticket = _Ticket(size, urgent)
        self._wait(ticket, self._urgent if urgent else self._others)

        def correct(size: int) -> None:
            with self._lock:
                self._set_held(ticket, size)
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
            self._set_held(ticket, 0)
            self._grant()

    def _set_held(self, ticket: _Ticket, size: int) -> None:
        self._held += size - ticket.held
        if ticket.urgent:
            self._held_urgently += size - ticket.held
        ticket.held = size

    def _grant(self) -> None:
        """Admits whoever is next while there is room; needs the lock."""
        while (queue := self._next_queue()) and self._has_room(queue[0]):
            self._urgent_is_next = queue is self._others
            self._admit(queue)
        while self._urgent and self._held_urgently + self._size(self._urgent[0]) <= self._reserve:
            self._admit(self._urgent)

    def _admit(self, queue: deque[_Ticket]) -> None:
        ticket = queue.popleft()
        self._set_held(ticket, self._size(ticket))
        ticket.granted.set()

    def _size(self, ticket: _Ticket) -> int:
        return int(self._usual) if ticket.size is None else ticket.size

    def _has_room(self, ticket: _Ticket) -> bool:
        # What is held of the reserve takes nothing from the others, or they could wait for it for ever.
        reserve = 0 if ticket.urgent else self._reserve
        held = self._held - min(self._held_urgently, reserve)
        return not held or held + self._size(ticket) <= self._limit - reserve

    def _next_queue(self) -> deque[_Ticket]:
        first, second = (self._urgent, self._others) if self._urgent_is_next else (self._others, self._urgent)
        return first or second
