"""However an address is spelled, and however one is led there, nothing that is not public is connected to.

What Python connects to is told by its audit hook, which no library can go around; and whoever knocks at a port of this
machine is noticed by a canary.
"""

import random
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from itertools import cycle
from typing import Any

import pytest
from chaos import grid
from harness import Pictures, answer, serving

from services.errors import FetchError
from services.outbound.addresses import Address
from services.outbound.connections import resolve
from services.outbound.fetcher import Fetcher

pytestmark = pytest.mark.long

SHOP = "127.9.9.9"
"""Where images may be fetched from; all else of this machine is private."""
EVERYWHERE = ("0.0.0.0", "::")
LOOPBACK = ("127.0.0.1", "127.0.0.2", "::1")

V4 = """
0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 100.100.100.200/32 127.0.0.0/8 168.63.129.16/32 169.254.169.254/32 169.254.0.0/16
172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.168.0.0/16 192.175.48.0/24
198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 255.255.255.255/32
"""
V6 = """
::/128 ::1/128 ::/96 64:ff9b:1::/48 100::/64 2001::/32 2001:2::/48 2001:10::/28 2001:20::/28 2001:db8::/32 2002::/16
2620:4f:8000::/48 3fff::/20 5f00::/16 fc00::/7 fd00:ec2::254/128 fe80::/10 fec0::/10 ff00::/8
"""

Spell = Callable[[IPv4Address], str]


def octets(address: IPv4Address, form: str) -> str:
    return ".".join(format(octet, form) for octet in address.packed)


def digits(zero: str) -> Spell:
    """Dotted, with other digits than those of ASCII."""
    return lambda address: "".join(chr(ord(zero) + int(each)) if each != "." else "." for each in str(address))


V4_SPELLINGS: list[Spell] = [
    str,
    lambda a: f"{a}.",
    lambda a: str(int(a)),
    lambda a: hex(int(a)),
    lambda a: f"0X{int(a):X}",
    lambda a: f"0{int(a):o}",
    lambda a: f"00000000{int(a):o}",
    lambda a: str(int(a) + 2**32),
    lambda a: octets(a, "#x"),
    lambda a: octets(a, "04o"),
    lambda a: f"{a.packed[0]}.{int(a) & 0xFFFFFF}",
    lambda a: f"{a.packed[0]}.{a.packed[1]}.{int(a) & 0xFFFF}",
    lambda a: f"{a.packed[0]:#x}.0{a.packed[1]:o}.{int(a) & 0xFFFF}",
    lambda a: str(a).replace(".", "。"),
    lambda a: str(a).replace(".", "．"),
    lambda a: str(a).replace(".", "｡"),
    lambda a: str(a).replace(".", "%2e"),
    lambda a: "".join(f"%{ord(each):02x}" for each in str(a)),
    digits("０"),
    digits("𝟎"),
    digits("٠"),
    lambda a: f"shop.test@{a}",
    lambda a: f"shop.test:80@{a}",
    lambda a: f"{SHOP}%2f@{a}",
    lambda a: f"{a}\\@shop.test",
    lambda a: f"shop.test\\@{a}",
    lambda a: f"{a}#@shop.test",
    lambda a: f"{a}?@shop.test",
    lambda a: f"[::{a}]",
    lambda a: f"[::ffff:{a}]",
    lambda a: f"[::FFFF:{int(a) >> 16:X}:{int(a) & 0xFFFF:X}]",
    lambda a: f"[0:0:0:0:0:ffff:{a}]",
    lambda a: f"[::ffff:0:{a}]",
    lambda a: f"[64:ff9b::{a}]",
    lambda a: f"[64:ff9b::{int(a) >> 16:x}:{int(a) & 0xFFFF:x}]",
    lambda a: f"[64:ff9b:1::{a}]",
    lambda a: f"[2002:{int(a) >> 16:x}:{int(a) & 0xFFFF:x}::1]",
    lambda a: f"[2001:0:{int(a) >> 16:x}:{int(a) & 0xFFFF:x}::1]",
    lambda a: f"[2001::{int(a) >> 16 ^ 0xFFFF:x}:{int(a) & 0xFFFF ^ 0xFFFF:x}]",
]
V6_SPELLINGS: list[Callable[[IPv6Address], str]] = [
    lambda a: f"[{a}]",
    lambda a: f"[{a.exploded}]",
    lambda a: f"[{str(a).upper()}]",
    lambda a: f"[{a}%25lo]",
    lambda a: f"[{a}%lo]",
    lambda a: f"shop.test@[{a}]",
]
REDIRECTS = (301, 302, 303, 307, 308)
NAMES = ("localhost", "LOCALHOST", "localhost.", "ｌｏｃａｌｈｏｓｔ", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ")


class Names:
    """A resolver whose names under .test give, at each look-up, what the test says next; the system knows the rest."""

    def __init__(self) -> None:
        self._rounds: dict[str, Iterator[list[Address]]] = {}

    def add(self, rounds: Sequence[Sequence[Address]]) -> str:
        """A name that gives these, over and over."""
        name = f"n{len(self._rounds)}.test"
        self._rounds[name] = cycle([list(each) for each in rounds])
        return name

    def resolve(self, host: str, port: int) -> list[Address]:
        host = host.removesuffix(".")
        if not host.endswith(".test"):
            return resolve(host, port)
        return next(self._rounds[host]) if host in self._rounds else [ip_address(SHOP)]


class Watch:
    """What this process has connected or sent to, and who looked up a name, while the watch was on."""

    def __init__(self) -> None:
        self.on = False
        self.connected: set[tuple[str, int]] = set()
        self.looked_up_by: set[str] = set()
        sys.addaudithook(self._told)  # for good; what it costs while off is a look at a bool

    def _told(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
            self.connected.add(arguments[1][:2])
        elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
            host = arguments[0].decode() if isinstance(arguments[0], bytes) else arguments[0]
            try:
                ip_address(host)
            except ValueError:
                self.looked_up_by.add(threading.current_thread().name)


@pytest.fixture(scope="module")
def made_watch() -> Watch:
    return Watch()


@pytest.fixture
def watch(made_watch: Watch) -> Iterator[Watch]:
    made_watch.connected, made_watch.looked_up_by = set(), set()
    made_watch.on = True
    yield made_watch
    made_watch.on = False


class Canary:
    """Listens at addresses of this machine. A connection waits in the queue until it is looked for."""

    def __init__(self, addresses: Sequence[str], port: int = 0) -> None:
        self.port = port
        self._sockets: list[socket.socket] = []
        for address in addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            self._sockets.append(socket.create_server((address, self.port), family=family, backlog=64))
            self.port = self._sockets[-1].getsockname()[1]

    def visits(self) -> list[str]:
        """Who has come so far."""
        found = []
        for each in self._sockets:
            each.setblocking(False)
            while True:
                try:
                    connection, _ = each.accept()
                except BlockingIOError:
                    break
                found.append(connection.getsockname()[0])
                connection.close()
        return found

    def close(self) -> None:
        for each in self._sockets:
            each.close()


def some_of(block: str, rng: random.Random) -> Address:
    """An address of a block: its first, its last, or any."""
    network = ip_network(block)
    return network[rng.choice((0, -1, rng.randrange(network.num_addresses)))]


def private(rng: random.Random) -> IPv4Address:
    """An address that is not public, every second time one of this machine, where canaries are."""
    block = "127.0.0.0/9" if rng.random() < 0.5 else rng.choice(V4.split())
    address = some_of(block, rng)
    assert isinstance(address, IPv4Address) and str(address) != SHOP
    return address


def places(count: int, rng: random.Random) -> list[str]:
    """So many spellings of private hosts, each way of spelling as often as any other."""
    found = list(NAMES)
    for number in range(count - len(NAMES)):
        if number % 5:
            found.append(V4_SPELLINGS[number % len(V4_SPELLINGS)](private(rng)))
        else:
            address = some_of(rng.choice(V6.split()), rng)
            assert isinstance(address, IPv6Address)
            found.append(V6_SPELLINGS[number // 5 % len(V6_SPELLINGS)](address))
    rng.shuffle(found)
    return found


def benign(shop: Pictures) -> dict[str, bytes]:
    """Fifty URLs of the shop that any browser follows, and what is there."""
    port = shop.url.rpartition(":")[2]
    hosts = [SHOP, "shop.test", "SHOP.Test", "shop.test.", "www.shop_1.test", "bücher.test", "xn--bcher-kva.test"]
    wanted = {}
    for number in range(50):
        path = f"/{number}%20(a)/bild;v={number}.png?w={number}&x=@127.0.0.1"
        if number % 5 == 4:
            shop.answers[path] = answer(b"", 302, Location=f"/there/{number}")
            path, asked = f"/there/{number}", path
        else:
            asked = path
        shop.answers[path] = answer(image := grid(number))
        wanted[f"http://{hosts[number % len(hosts)]}:{port}{asked}"] = image
    return wanted


def test_nothing_private_is_connected_to_however_it_is_spelled_or_led_to(
    watch: Watch, rng: random.Random, scale: Callable[..., int], record_property: Callable[[str, object], None]
) -> None:
    names, told = Names(), Counter[str]()
    with serving(SHOP) as shop, closing(Canary(EVERYWHERE)) as canary, ExitStack() as stack:
        hosts = places(scale(500, 150), rng)
        port = int(shop.url.rpartition(":")[2])
        urls = [f"http://{host}:{canary.port}/" if "@shop" not in host else f"http://{host}/" for host in hosts]
        for number, url in enumerate(list(urls)):
            shop.answers[f"/to/{number}"] = answer(b"", rng.choice(REDIRECTS), Location=url.encode().decode("latin-1"))
            urls.append(f"{shop.url}/to/{number}")
        allowed = ip_address(SHOP)
        for number in range(len(hosts)):
            one: Address = private(rng)
            if number % 3 == 0:
                one = some_of(rng.choice(V6.split()), rng)
            elif number % 3 == 1:
                one = rng.choice((ip_address(f"::ffff:{one}"), ip_address(f"64:ff9b::{one}")))
            rounds = [[[one]], [[allowed, one]], [[one, allowed]], [[allowed], [one]]][number % 4]
            # The first look-up of the last kind is answered by the shop, which wants the client to come again.
            name = names.add(rounds)
            path = f"/again/{number}"
            if number % 8 == 7:
                shop.answers[path] = answer(b"", 503, Connection="close")
            else:
                shop.answers[path] = answer(b"", 302, Location=f"http://{name}:{canary.port}/", Connection="close")
            urls.append(f"http://{name}:{port}{path}")
        fetcher = stack.enter_context(
            closing(Fetcher(max_bytes=100_000, allow=SHOP, total_seconds=3.0, attempts=2, resolve=names.resolve))
        )
        for url in urls:
            try:
                fetcher.fetch(url)
            except FetchError as error:
                told[error.code] += 1
            else:
                told[f"fetched {url}"] += 1
            assert watch.connected <= {(SHOP, port)}, url
        images = {url: fetcher.fetch(url) for url in benign(shop)}
        assert images == benign(shop)
        record_property("answers", dict(told))
        assert (watch.connected, canary.visits()) == ({(SHOP, port)}, [])
        assert watch.looked_up_by <= {"look-up"}
        # What the system's resolver finds no address for cannot be connected to, and is not called private.
        assert set(told) <= {"fetch_refused", "fetch_unreachable"}
        assert told["fetch_unreachable"] < len(urls) / 20


def test_no_name_that_changes_its_mind_is_believed(
    watch: Watch, rng: random.Random, scale: Callable[..., int], record_property: Callable[[str, object], None]
) -> None:
    """Many fetch at a time from names that give the shop or something private, at every look-up anew."""
    names, told, allowed = Names(), Counter[str](), ip_address(SHOP)
    with serving(SHOP) as shop, ExitStack() as stack:
        port = int(shop.url.rpartition(":")[2])
        canary = stack.enter_context(closing(Canary(LOOPBACK, port)))
        shop.answers["/a.png"] = answer(image := grid(1), Connection="close")
        fetcher = stack.enter_context(
            closing(Fetcher(max_bytes=100_000, allow=SHOP, total_seconds=3.0, attempts=1, resolve=names.resolve))
        )
        homes = [[allowed], [ip_address(rng.choice(LOOPBACK))]]
        hosts = [names.add(rng.choices(homes, k=20) + homes) for _ in range(5)]

        def ask(host: str) -> None:
            for _ in range(scale(200, 40)):
                try:
                    told["image" if fetcher.fetch(f"http://{host}:{port}/a.png") == image else "other"] += 1
                except FetchError as error:
                    told[error.code] += 1

        threads = [threading.Thread(target=ask, args=(host,)) for host in hosts for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        record_property("answers", dict(told))
        assert (watch.connected, canary.visits()) == ({(SHOP, port)}, [])
        assert watch.looked_up_by <= {"look-up"}
        assert sorted(told) == ["fetch_refused", "image"]
