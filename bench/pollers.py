"""Neighbors while many callers follow a job: how much slower their slowest get.

    python bench/pollers.py [--pollers 200] [--every 1] [--products 10000] [--rounds 5] [--seconds 20] [--out FILE]

One `lookalike up` holds a catalog of `--products`, and a job that stays open, as the host of its pictures is slow.
Neighbors are asked for 20 times a second, at set times whatever the answers take: alone, and while `--pollers` callers
in another process each read the job every `--every` seconds with the ETag that they know. Which of the two comes first
changes from round to round. A round gives the ratio of the 99th percentiles. Method and caveats are in bench/README.md.
"""

import argparse
import asyncio
import multiprocessing
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx2
from results import keep
from service import LOOKALIKE, make_catalog, serving
from serving import Asking, fill

HELD_SECONDS = 5.0
"""That a picture takes, which then is none, so that encoding does not slow down what is measured."""
LATE = 5_000
"""Pictures of the open job: more than are fetched before this ends."""


def main() -> None:
    arguments = parsed()
    with tempfile.TemporaryDirectory(prefix="lookalike-bench-") as folder:
        work = Path(folder)
        fill(work / "data", arguments.products)
        result = {
            "products": arguments.products,
            "pollers": arguments.pollers,
            "every_seconds": arguments.every,
            **measured(work, arguments),
        }
    print(
        f"neighbors p99: {result['ratio']} times that without {arguments.pollers} pollers (median of "
        f"{[each['ratio'] for each in result['rounds']]})"
    )
    keep(result, arguments.out)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pollers", type=int, default=200)
    parser.add_argument("--every", type=float, default=1.0, help="seconds between two questions of a poller")
    parser.add_argument("--products", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each half of a round")
    parser.add_argument("--out", type=Path, help="write the result as JSON, too")
    return parser.parse_args()


def measured(work: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    command = [str(LOOKALIKE), "up", "--port", "0", "--data", str(work / "data")]
    environment = {"LOOKALIKE_FETCH_ALLOW": "127.0.0.1", "LOOKALIKE_LOG_LEVEL": "warning"}
    rounds, answers = [], Counter[int]()
    with late_pictures() as url, serving(command, environment) as (_, client):
        job = open_job(client, url)
        asked_for(client, arguments, 5)
        for number in range(arguments.rounds):
            p99 = {}
            for with_them in (number % 2 == 0, number % 2 == 1):
                beside = polling(f"{client.base_url}jobs/{job}", arguments) if with_them else nullcontext(answers)
                with beside as told:
                    p99[with_them] = asked_for(client, arguments, arguments.seconds)
                answers += told if with_them else Counter()
            rounds.append({"p99_ms": p99[False], "with_pollers": p99[True], "ratio": round(p99[True] / p99[False], 2)})
            print(rounds[-1], file=sys.stderr, flush=True)
        assert client.get(f"/jobs/{job}").json()["finished_at"] is None, "the job ended too soon"
    return {
        "ratio": statistics.median(each["ratio"] for each in rounds),
        "rounds": rounds,
        "answers_to_pollers": dict(answers),
    }


def asked_for(client: httpx2.Client, arguments: argparse.Namespace, seconds: float) -> float:
    """The 99th percentile of answers with neighbors, in milliseconds."""
    with Asking(client, arguments.products) as asking:
        time.sleep(seconds)
    return asking.quantile(99)


def open_job(client: httpx2.Client, url: str) -> str:
    make_catalog(client, "late", "efficientnet_lite0")
    lines = [{"product_id": f"p{number}", "image_url": f"{url}/{number}"} for number in range(LATE)]
    accepted = client.post("/catalogs/late/products", json=lines).raise_for_status()
    return str(accepted.json()["id"])


@contextmanager
def late_pictures() -> Iterator[str]:
    """A server that takes `HELD_SECONDS` to say that it has no picture."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            time.sleep(HELD_SECONDS)
            with suppress(OSError):  # the service may have ended
                self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def polling(url: str, arguments: argparse.Namespace) -> Iterator[Counter[int]]:
    """Pollers in a process of their own while the block runs; afterwards what they were answered, by status."""
    answers = Counter[int]()
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=poll, args=(url, arguments.pollers, arguments.every, there))
    process.start()
    assert here.recv() == "polling"
    yield answers
    here.send("end")
    answers.update(here.recv())
    process.join(60)


def poll(url: str, pollers: int, every: float, line: Connection) -> None:
    """Polls until it is told to end, and tells what was answered."""

    async def each(client: httpx2.AsyncClient, number: int, ended: asyncio.Event, answers: Counter[int]) -> None:
        await asyncio.sleep(every * number / pollers)
        known: dict[str, str] = {}
        while not ended.is_set():
            told = await client.get(url, headers=known)
            answers[told.status_code] += 1
            known = {"If-None-Match": told.headers["ETag"]}
            await asyncio.sleep(every)

    async def all_of_them() -> Counter[int]:
        answers, ended = Counter[int](), asyncio.Event()
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
        async with httpx2.AsyncClient(trust_env=False, verify=False, timeout=60, limits=limits) as client:
            tasks = [asyncio.create_task(each(client, number, ended, answers)) for number in range(pollers)]
            await asyncio.sleep(2 * every)
            line.send("polling")
            await asyncio.to_thread(line.recv)
            ended.set()
            await asyncio.gather(*tasks)
        return answers

    line.send(dict(asyncio.run(all_of_them())))


if __name__ == "__main__":
    main()
