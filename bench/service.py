"""The service: how fast it accepts a feed, and what putting one image at a time costs against a feed of the same.

    python bench/service.py [--lines 100000] [--images 1200] [--clients 32] [--rounds 2] [--out FILE]

Accepting: one API process (waitress, no worker) and a Valkey beside it take a feed of NDJSON lines; lines a second, and
by how much the process's private memory (RssAnon) grew at most. Clients: a whole `lookalike up` embeds the same
pictures twice, from a feed of URLs and from clients that put one image each and wait for its outcome; the ratio of the
two rates, taken in one run, and the mean batch. Method and caveats are in bench/README.md.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
from ingest import make_pictures, private_bytes
from results import keep

LOOKALIKE = Path(sys.executable).parent / "lookalike"
ONE_API_PROCESS = """
import sys
from pathlib import Path
import waitress
from prometheus_client import CollectorRegistry
from api.app import create_app
from services import bootstrap, settings
configured = settings.load(data=sys.argv[1])
catalogs = bootstrap.catalogs(configured)
intake = catalogs.intake
app = create_app(settings=configured, catalogs=catalogs, ledger=bootstrap.ledger(configured, sys.argv[2]),
                 media=intake.media, fetch=intake.fetch, wake=lambda changes: None, keyring=None,
                 metrics=CollectorRegistry())
server = waitress.create_server(app, host="127.0.0.1", port=0, max_request_body_size=1 << 32)
print(f"ready: http://127.0.0.1:{server.effective_port}", flush=True)
server.run()
"""


def main() -> None:
    arguments = parsed()
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="lookalike-bench-") as folder:
        work = Path(folder)
        result["accept"] = accept(work / "accept", arguments.lines, 0)
        result["accept_with_1_kb_of_attributes"] = accept(work / "accept-1k", arguments.lines // 4, 1000)
        result["clients"] = clients(work / "clients", arguments)
    show(result)
    keep(result, arguments.out)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--images", type=int, default=1200)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--side", type=int, default=800, help="pixels of a picture's side")
    parser.add_argument("--encoder", default="inception_v3")
    parser.add_argument("--out", type=Path, help="write the result as JSON, too")
    return parser.parse_args()


@contextmanager
def serving(command: list[str], environment: dict[str, str]) -> Iterator[tuple[int, httpx2.Client]]:
    """A server process, once it says that it is ready: its ID, and a client of its API."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=os.environ | environment
    )
    try:
        assert process.stdout is not None
        ready = next(filter(None, (re.search(r"ready: (http://\S+)", line) for line in process.stdout)))
        limits = httpx2.Limits(max_connections=64)
        with httpx2.Client(base_url=ready[1] + "/v1", timeout=300, trust_env=False, limits=limits) as client:
            yield process.pid, client
    finally:
        process.terminate()
        process.communicate(timeout=60)


def accept(work: Path, lines: int, attribute_bytes: int) -> dict[str, float]:
    """Lines a second that one API process accepts, and by how much its private memory grew at most."""
    from services.queue.valkey import ValkeyServer

    work.mkdir()
    feed = work / "feed.ndjson"
    attributes = {"text": "x" * attribute_bytes} if attribute_bytes else {"color": "red", "price": 10}
    with feed.open("w") as stream:
        for n in range(lines):
            image_url = f"https://images.example.com/products/{n}.jpg"
            stream.write(
                json.dumps({"product_id": f"SKU-{n}", "image_url": image_url, "attributes": attributes}) + "\n"
            )
    command = [sys.executable, "-c", ONE_API_PROCESS, str(work / "data")]
    with ValkeyServer(work / "queue") as valkey, serving([*command, valkey.url], {}) as (pid, client):
        client.put("/catalogs/products", json={"encoder": "efficientnet_lite0"}).raise_for_status()
        before = private_bytes(pid)
        peak = Peak(pid)
        started = time.monotonic()
        headers = {"Content-Type": "application/x-ndjson"}
        with feed.open("rb") as stream:
            client.post("/catalogs/products/products", content=stream, headers=headers).raise_for_status()
        seconds = time.monotonic() - started
        grown = peak.stop() - before
    return {
        "lines": lines,
        "feed_megabytes": round(feed.stat().st_size / 1e6, 1),
        "lines_per_second": round(lines / seconds),
        "memory_grew_megabytes": round(grown / 1e6, 1),
    }


class Peak:
    """The largest private memory of a process."""

    def __init__(self, pid: int) -> None:
        self._pid, self._peak = pid, 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def stop(self) -> int:
        self._done.set()
        self._thread.join()
        return self._peak

    def _look(self) -> None:
        while not self._done.wait(0.02):
            self._peak = max(self._peak, private_bytes(self._pid))


def clients(work: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """A feed against clients that put one image at a time, on the same pictures, in turn."""
    work.mkdir()
    folder = make_pictures(work / "pictures", arguments.images, arguments.side)
    images = [path.read_bytes() for path in sorted(folder.iterdir())]
    command = [str(LOOKALIKE), "up", "--port", "0", "--data", str(work / "data")]
    environment = {"LOOKALIKE_FETCH_ALLOW": "127.0.0.1", "LOOKALIKE_LOG_LEVEL": "warning"}
    rounds = []
    with picture_server(images) as url, serving(command, environment) as (_, client):
        make_catalog(client, "warm", arguments.encoder)
        put_one_by_one(client, "warm", images[:64], arguments.clients)
        for number in range(arguments.rounds):
            row: dict[str, float] = {}
            for side in ("feed", "one_by_one"):
                name = f"{side}-{number}"
                make_catalog(client, name, arguments.encoder)
                before = batches(client)
                if side == "feed":
                    seconds = put_feed(client, name, url, len(images))
                else:
                    seconds = put_one_by_one(client, name, images, arguments.clients)
                changes, count = (now - then for now, then in zip(batches(client), before, strict=True))
                row[f"{side}_per_second"] = round(len(images) / seconds, 1)
                row[f"{side}_mean_batch"] = round(changes / count, 1)
            row["ratio"] = round(row["one_by_one_per_second"] / row["feed_per_second"], 3)
            rounds.append(row)
    return {
        "images": len(images),
        "clients": arguments.clients,
        "encoder": arguments.encoder,
        "rounds": rounds,
        "ratio": statistics.median(row["ratio"] for row in rounds),
    }


@contextmanager
def picture_server(images: list[bytes]) -> Iterator[str]:
    """Serves the pictures by number."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            data = images[int(self.path[1:])]
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def make_catalog(client: httpx2.Client, name: str, encoder: str) -> None:
    weights = "random:1" if encoder == "inception_v3" else "imagenet"
    client.put(f"/catalogs/{name}", json={"encoder": encoder, "weights": weights}).raise_for_status()


def put_feed(client: httpx2.Client, catalog: str, url: str, count: int) -> float:
    lines = "\n".join(json.dumps({"product_id": f"p{n}", "image_url": f"{url}/{n}"}) for n in range(count))
    started = time.monotonic()
    headers = {"Content-Type": "application/x-ndjson"}
    job = client.post(f"/catalogs/{catalog}/products", content=lines, headers=headers).raise_for_status().json()
    while not job["finished_at"]:
        time.sleep(0.1)
        job = client.get(f"/jobs/{job['id']}").raise_for_status().json()
    if job["applied"] != count:
        raise SystemExit(f"the feed did not go through: {job}")
    return time.monotonic() - started


def put_one_by_one(client: httpx2.Client, catalog: str, images: list[bytes], clients: int) -> float:
    def put(n: int) -> None:
        answer = client.put(
            f"/catalogs/{catalog}/products/p{n}?wait=60", content=images[n], headers={"Content-Type": "image/jpeg"}
        )
        if answer.status_code != 200:
            raise SystemExit(f"an image did not go through: {answer.text}")

    started = time.monotonic()
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(put, range(len(images))))
    return time.monotonic() - started


def batches(client: httpx2.Client) -> tuple[float, float]:
    """Changes and batches so far."""
    text = client.get(str(client.base_url).replace("/v1/", "/metrics")).raise_for_status().text
    found = dict(re.findall(r"^lookalike_batch_changes_(sum|count) (\S+)$", text, re.MULTILINE))
    return float(found["sum"]), float(found["count"])


def show(result: dict[str, Any]) -> None:
    for name in ("accept", "accept_with_1_kb_of_attributes"):
        row = result[name]
        print(
            f"{name}: {row['lines_per_second']:,} lines/s of {row['lines']:,} ({row['feed_megabytes']} MB), "
            f"memory +{row['memory_grew_megabytes']} MB"
        )
    for row in result["clients"]["rounds"]:
        print(row)
    print(f"{result['clients']['clients']} clients, one image at a time, against a feed: {result['clients']['ratio']}")


if __name__ == "__main__":
    main()
