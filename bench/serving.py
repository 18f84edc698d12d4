"""Answers while images are embedded: how much slower they get, what that costs the embedding, and how soon after its
start a service answers.

    python bench/serving.py [--products 10000] [--images 600] [--rounds 2] [--encoder inception_v3] [--out FILE]

One `lookalike up` holds a catalog of `--products` and embeds a feed of URLs into another one. Neighbors of a product
are asked for `RATE` times a second, at set times whatever the answers take: while nothing else happens, and during the
feed, which also runs once without them. A round gives a ratio of the 99th percentiles and one of the feeds' rates.
Before that the service is started `--starts` times, and the time until the first neighbors have come is taken. Method
and caveats are in bench/README.md.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
from ingest import make_pictures
from results import keep
from service import LOOKALIKE, make_catalog, picture_server, put_feed, serving

from services import bootstrap, settings
from services.catalog.opening import new_spec
from services.records import Embedding

RATE = 20.0
"""Questions a second: a shop's quiet hour, and few enough not to be the load themselves."""
CATALOG = "products"


def main() -> None:
    arguments = parsed()
    with tempfile.TemporaryDirectory(prefix="lookalike-bench-") as folder:
        work = Path(folder)
        fill(work / "data", arguments.products)
        result = {
            "products": arguments.products,
            "encoder": arguments.encoder,
            "start_to_first_neighbors_seconds": starts(work / "data", arguments.starts),
            "rounds": measured(work, arguments),
        }
    show(result)
    keep(result, arguments.out)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--products", type=int, default=10_000)
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--encoder", default="inception_v3")
    parser.add_argument("--side", type=int, default=800, help="pixels of a picture's side")
    parser.add_argument("--out", type=Path, help="write the result as JSON, too")
    return parser.parse_args()


def fill(data: Path, count: int) -> None:
    """A catalog of so many products, whose features are random: who asks for neighbors waits as long for any."""
    random = np.random.default_rng(0)
    with bootstrap.catalogs(settings.load(data=data)) as catalogs:
        catalog = catalogs.create(new_spec(CATALOG, "inception_v3", "random:1", "nearest"))
        made = (Embedding(f"p{n}", random.random(catalog.spec.dim, np.float32), {"n": n}) for n in range(count))
        for _ in catalog.put_embeddings(made):
            pass


def starts(data: Path, count: int) -> list[float]:
    """Seconds from starting the command until a first neighbors request is answered, once each."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/v1/catalogs/{CATALOG}/products/p0/neighbors"
    seconds = []
    for _ in range(count + 1):  # the first brings files into the cache
        started = time.monotonic()
        process = subprocess.Popen(
            [str(LOOKALIKE), "up", "--port", str(port), "--data", str(data)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            with httpx2.Client(trust_env=False, verify=False) as client:
                while not answered(client, url):
                    time.sleep(0.01)
            seconds.append(round(time.monotonic() - started, 2))
        finally:
            process.terminate()
            process.wait(60)
    return seconds[1:]


def answered(client: httpx2.Client, url: str) -> bool:
    try:
        return client.get(url).status_code == 200
    except httpx2.TransportError:
        return False


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def measured(work: Path, arguments: argparse.Namespace) -> list[dict[str, float]]:
    folder = make_pictures(work / "pictures", arguments.images, arguments.side)
    images = [path.read_bytes() for path in sorted(folder.iterdir())]
    command = [str(LOOKALIKE), "up", "--port", "0", "--data", str(work / "data")]
    environment = {"LOOKALIKE_FETCH_ALLOW": "127.0.0.1", "LOOKALIKE_LOG_LEVEL": "warning"}
    rounds = []
    with picture_server(images) as url, serving(command, environment) as (_, client):
        feed(client, "warm", arguments.encoder, url, min(64, len(images)))
        for number in range(arguments.rounds):
            with Asking(client, arguments.products) as idle:
                time.sleep(max(3.0, arguments.images / 40))
            alone = feed(client, f"alone-{number}", arguments.encoder, url, len(images))
            with Asking(client, arguments.products) as busy:
                together = feed(client, f"together-{number}", arguments.encoder, url, len(images))
            rounds.append(row(idle, busy, alone, together))
            print(rounds[-1], file=sys.stderr, flush=True)
    return rounds


def feed(client: httpx2.Client, name: str, encoder: str, url: str, count: int) -> float:
    """Images a second of a feed into a new catalog."""
    make_catalog(client, name, encoder)
    return count / put_feed(client, name, url, count)


def row(idle: "Asking", busy: "Asking", alone: float, together: float) -> dict[str, float]:
    return {
        **{f"idle_p{q}_ms": idle.quantile(q) for q in (50, 99)},
        **{f"busy_p{q}_ms": busy.quantile(q) for q in (50, 99)},
        "p99_ratio": round(busy.quantile(99) / idle.quantile(99), 2),
        "feed_alone_per_second": round(alone, 1),
        "feed_while_asked_per_second": round(together, 1),
        "feed_ratio": round(together / alone, 3),
    }


class Asking:
    """Asks for neighbors at set times, and takes how long each answer came after its time.

    So an answer that keeps later ones waiting counts for those, too ("coordinated omission" would leave that out).
    """

    def __init__(self, client: httpx2.Client, products: int) -> None:
        self._client = client
        self._products = products
        self._asked: list[Future[None]] = []
        self._done = threading.Event()
        self._seconds: list[float] = []
        self._pool = ThreadPoolExecutor(16)
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Asking":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self._pool.shutdown()
        for each in self._asked:
            each.result()

    def quantile(self, percent: int) -> float:
        """In milliseconds."""
        return round(1000 * float(np.quantile(self._seconds, percent / 100)), 2)

    def _run(self) -> None:
        due = time.monotonic()
        for number in self._numbers():
            due += 1 / RATE
            if self._done.wait(max(0.0, due - time.monotonic())):
                return
            self._asked.append(self._pool.submit(self._ask, number, due))

    def _numbers(self) -> Iterator[int]:
        random = np.random.default_rng(2)
        while True:
            yield int(random.integers(0, self._products))

    def _ask(self, number: int, due: float) -> None:
        self._client.get(f"/catalogs/{CATALOG}/products/p{number}/neighbors").raise_for_status()
        self._seconds.append(time.monotonic() - due)


def show(result: dict[str, Any]) -> None:
    seconds = result["start_to_first_neighbors_seconds"]
    print(
        f"start to first neighbors, {result['products']:,} products: median {statistics.median(seconds)} s of {seconds}"
    )
    for each in result["rounds"]:
        print(
            f"neighbors p99 idle {each['idle_p99_ms']} ms, during the feed {each['busy_p99_ms']} ms "
            f"({each['p99_ratio']}x); feed {each['feed_alone_per_second']} images/s, "
            f"{each['feed_while_asked_per_second']} while asked ({each['feed_ratio']})"
        )


if __name__ == "__main__":
    main()
