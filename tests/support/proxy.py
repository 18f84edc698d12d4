"""A proxy before a server, which goes down, falls silent, is slow or resets connections when a test says so."""

import selectors
import socket
import struct
import threading
import time
from contextlib import suppress
from typing import Self

Address = tuple[str, int] | str
RESET = struct.pack("ii", 1, 0)


class Proxy:
    """Passes bytes between a TCP port of its own and a server: a (host, port), or the path of a unix socket.

    `silent`: connections are taken and nothing is answered, as where a machine has lost its power. `delay`: seconds
    that every piece waits. `cut`: bytes at whose first coming from a client its connection is reset, once. `cut_after`:
    the same, but the server still gets them, and only its answer is lost. `connections` counts those that were taken.
    """

    def __init__(self, target: Address) -> None:
        self.target = target
        self.silent = False
        self.delay = 0.0
        self.cut: bytes | None = None
        self.cut_after: bytes | None = None
        self.cuts = 0
        self.connections = 0
        self.port = 0
        self._listener: socket.socket | None = None
        self._lock = threading.Lock()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._unanswered: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.down()
        for thread in self._threads:
            thread.join(5)
            assert not thread.is_alive()

    def up(self) -> None:
        """Takes connections, always at the same port."""
        if not self._listener:
            self._listener = socket.create_server(("127.0.0.1", self.port))
            self.port = self._listener.getsockname()[1]
            self._start(self._accept, self._listener)

    def down(self) -> None:
        """Takes no connections and resets those there are."""
        if self._listener:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        self.reset()

    def reset(self) -> None:
        """Resets all connections."""
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            self._end(pair)

    def _start(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                server = socket.socket(socket.AF_UNIX if isinstance(self.target, str) else socket.AF_INET)
                server.connect(self.target)
            except OSError:
                self._end((client, server))
                continue
            with self._lock:
                self._pairs.add((client, server))
                self.connections += 1
            self._start(self._pass, client, server)

    def _pass(self, client: socket.socket, server: socket.socket) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(client, selectors.EVENT_READ, server)
            selector.register(server, selectors.EVENT_READ, client)
            try:
                while True:
                    # What a reset has closed is not seen by the selector at once.
                    for key, _ in selector.select(0.2):
                        if not self._forward(key.fileobj, key.data, key.fileobj is client):  # type: ignore[arg-type]
                            return
                    if client.fileno() < 0:
                        return
            except (OSError, ValueError):
                return
            finally:
                self._end((client, server))

    def _forward(self, source: socket.socket, to: socket.socket, asked: bool) -> bool:
        if not (data := source.recv(1 << 16)):
            return False
        with self._lock:
            if asked and self.cut and self.cut in data:
                self.cut = None
                self.cuts += 1
                return False
            if asked and self.cut_after and self.cut_after in data:
                self.cut_after = None
                self._unanswered.add(source)
            if to in self._unanswered and not asked:
                self.cuts += 1
                return False
        time.sleep(self.delay)
        if not self.silent:
            to.sendall(data)
        return True

    def _end(self, pair: tuple[socket.socket, socket.socket]) -> None:
        with self._lock:
            self._pairs.discard(pair)
        for each in pair:
            with suppress(OSError):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
