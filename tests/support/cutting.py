"""A proxy that cuts each connection at a point of its own, so that requests or their answers are lost."""

import socket
from collections.abc import Callable, Iterator
from itertools import chain, repeat

from proxy import Address, Proxy

ANSWER = -1
"""A point: the first byte of the answer, so that the server has all of the request and nobody learns of it."""
NEVER = 1 << 62


class CuttingProxy(Proxy):
    """Cuts connections after so many bytes, of both ways together, and counts them in `cuts`.

    Args:
        target: The server.
        points: Those of the first connections, in their order.
        other: Gives those of further ones.
    """

    def __init__(self, target: Address, points: list[int], other: Callable[[], int] = lambda: NEVER) -> None:
        super().__init__(target)
        self._points: Iterator[int] = chain(points, (each() for each in repeat(other)))
        self._left: dict[socket.socket, int] = {}

    def _forward(self, source: socket.socket, to: socket.socket, asked: bool) -> bool:
        if not (data := source.recv(1 << 14)):
            return False
        line = source if asked else to
        with self._lock:
            left = self._left[line] if line in self._left else next(self._points)
            is_cut = not asked if left == ANSWER else len(data) >= left
            self._left[line] = left if left == ANSWER else left - len(data)
            self.cuts += is_cut
        if is_cut:
            to.sendall(b"" if left == ANSWER else data[:left])
            return False
        to.sendall(data)
        return True
