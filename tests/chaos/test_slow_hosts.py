"""Hosts that are slow, endless or bombs cost their own images and nobody else's time."""

import gzip
import random
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from chaos import grid
from harness import Pictures, StackService, answer
from waiting import until

pytestmark = pytest.mark.long

CUT_SECONDS = 15.0
"""On a machine that does nothing else: the full chaos runs alone. What is never cut is held for ever."""
KEPT = 0.8
"""The part of its rate that other work keeps."""
ENCODING_SECONDS = 1.3
"""A batch, as a processor takes for 64 images."""
AMONG = 32
"""Good images for each that is slow: about two of these are in every batch of a worker."""

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n"
BOMB = gzip.compress(bytes(200_000_000), 9)
# What is sent at first, and what again and again, with a pause of so many seconds before each.
KINDS: dict[str, tuple[bytes, bytes, float]] = {
    "silent": (b"", b"", 1.0),
    "drips-head": (HEAD + b"X: ", b"y", 1.0),
    "drips-body": (HEAD + b"Content-Length: 100000\r\n\r\n", b"x", 1.0),
    "endless-head": (HEAD, b"X: y\r\n" * 100, 0.01),
    "endless-body": (HEAD + b"\r\n", bytes(65_536), 0.0),
    "endless-hints": (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 10, 0.01),
    "slow-and-endless": (HEAD + b"\r\n", bytes(100), 0.05),
    "bomb": (HEAD + f"Content-Encoding: gzip\r\nContent-Length: {len(BOMB)}\r\n\r\n".encode() + BOMB, b"", 1.0),
}


class Tarpits:
    """A server at every address 127.x.x.x, of which each is a host of its own. It never ends an answer by itself.

    `held` tells for each URL how many seconds each connection was open; a batch that is put back comes again.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.held: dict[str, list[float]] = {}
        self.over = threading.Event()

    def url(self, number: int, kind: str) -> str:
        return f"http://127.7.{number // 200}.{number % 200 + 1}:{self.port}/{kind}/{number}"


@contextmanager
def tarpits() -> Iterator[Tarpits]:
    made = Tarpits(0)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            began = time.monotonic()
            path = self.rfile.readline().split()[1].decode()
            start, drop, pause = KINDS[path.split("/")[1]]
            try:
                self.connection.sendall(start)
                self.connection.setblocking(False)
                while not made.over.wait(pause or 0.0001) and not self.is_left():
                    self.connection.setblocking(True)
                    self.connection.sendall(drop)
                    self.connection.setblocking(False)
            except OSError:
                pass
            made.held.setdefault(path, []).append(time.monotonic() - began)

        def is_left(self) -> bool:
            """Whether the other side has gone; what it had to say is read on the way."""
            try:
                while self.connection.recv(65_536):
                    pass
            except BlockingIOError:
                return False
            return True

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 128

    with Server(("0.0.0.0", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        made.port = server.server_address[1]
        yield made
        made.over.set()
        server.shutdown()


def seconds_until_applied(service: StackService, feed: dict[str, str], applied: int) -> tuple[float, str]:
    """How long a worker takes until so many changes of a feed are applied; and the feed's job."""
    began = time.monotonic()
    job = service.feed({"product_id": name, "image_url": url} for name, url in feed.items())
    until(lambda: (service.job(job) or {"applied": 0})["applied"] >= applied, 600, lambda: service.log[-3000:])
    return time.monotonic() - began, job


def test_slow_hosts_do_not_stall_the_work_of_others(
    make_stack: Callable[..., StackService],
    pictures: Pictures,
    rng: random.Random,
    scale: Callable[..., int],
    record_property: Callable[[str, object], None],
) -> None:
    count = scale(100, 10)
    service = make_stack(1, ENCODING_SECONDS, LOOKALIKE_FETCH_ALLOW="127.0.0.0/8")
    service.start()
    service.create_catalog()

    def good(prefix: str) -> dict[str, str]:
        feed = {}
        for number in range(AMONG * count):
            path = f"/{prefix}{number}.png"
            pictures.answers[path] = answer(grid(rng.getrandbits(31)))
            feed[f"{prefix}{number}"] = pictures.url + path
        return feed

    seconds_until_applied(service, {"first": next(iter(good("first").values()))}, 1)
    with tarpits() as slow:
        alone, _ = seconds_until_applied(service, good("alone"), AMONG * count)
        kinds = [list(KINDS)[number % len(KINDS)] for number in range(count)]
        bad = {f"bad{number}": slow.url(number, kind) for number, kind in enumerate(kinds)}
        feed = list((good("among") | bad).items())
        rng.shuffle(feed)
        among, job = seconds_until_applied(service, dict(feed), AMONG * count)
        done = service.finished(job)
        failed = service.failures(job)
    held = {path: round(max(seconds), 1) for path, seconds in slow.held.items()}
    longest = {kind: max(held[f"/{kind}/{n}"] for n, each in enumerate(kinds) if each == kind) for kind in kinds}
    codes: dict[str, set[str]] = {}
    for product_id, code in failed.items():
        codes.setdefault(kinds[int(product_id.removeprefix("bad"))], set()).add(code)
    record_property("seconds alone and among slow hosts", (round(alone, 1), round(among, 1)))
    record_property("rate kept", round(alone / among, 2))
    record_property("fetched more than once", sum(len(seconds) > 1 for seconds in slow.held.values()))
    record_property("longest seconds held, by kind", longest)
    record_property("codes", {kind: sorted(found) for kind, found in codes.items()})
    assert (done["applied"], done["failed"]) == (AMONG * count, count)
    assert len(held) == count
    assert max(held.values()) <= scale(CUT_SECONDS, 120.0)
    assert {code for found in codes.values() for code in found} == {"fetch_timeout", "fetch_too_large"}
    # Ten batches are over too soon to tell a rate on a machine that others share.
    assert alone / among >= KEPT or count < 100
