"""What the chaos tests share: callers who keep a log of what was answered 202, and a checker that believes only that
log and the index."""

import io
import json
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import numpy as np
from harness import CATALOG, ENDS, Pictures, StackService, answer
from PIL import Image
from threads import Meanwhile
from waiting import PATIENCE, until

from services import bootstrap, settings
from services.images.decoder import decode
from services.images.limits import Limits

Features = np.ndarray[tuple[int], np.dtype[Any]]

PROCESS = Path(__file__).with_name("chaos_process.py")
DIM = 1280
"""Of efficientnet_lite0, in whose place the stub encodes."""


def colors(seed: int) -> "np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]":
    """Four by four colors, none of them black."""
    return np.random.default_rng(seed).integers(1, 256, (4, 4, 3), np.uint8)


def grid(seed: int) -> bytes:
    """A picture of these colors, which no resizing changes."""
    out = io.BytesIO()
    Image.fromarray(np.kron(colors(seed), np.ones((8, 8, 1), np.uint8))).save(out, "PNG")
    return out.getvalue()


def vector(seed: int) -> Features:
    """What the stub encoder makes of `grid(seed)`, brought to length one: worked out from the colors alone."""
    features = np.zeros(DIM)
    features[:48] = colors(seed).reshape(48) / 255
    return features / np.linalg.norm(features)


def really_encoded(seeds: Iterable[int]) -> dict[int, Features]:
    """The vectors that the real encoder, its weights random:1, makes of `grid(seed)`: in this process, one by one."""
    encoder = bootstrap.load_encoder("efficientnet_lite0", "random:1", "nearest", settings.load(precision="float32"))
    limits = Limits(max_bytes=1 << 20, max_pixels=1 << 20)
    found: dict[int, Features] = {}
    for seed in seeds:
        [features] = encoder.encode(decode(grid(seed), encoder.size, "nearest", limits)[np.newaxis])
        found[seed] = features / np.linalg.norm(features)
    encoder.close()
    return found


@dataclass
class Log:
    """What callers were told: for each product the picture it was last given by a change answered 202, None where that
    was a delete; the size of each job; statuses of all answers, and what should not have been one."""

    expected: dict[str, int | None] = field(default_factory=dict)
    jobs: dict[str, int] = field(default_factory=dict)
    statuses: Counter[int] = field(default_factory=Counter)
    unexpected: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Callers:
    """Callers that send changes, each of products of its own, so that their order is known: puts one by one and in
    feeds, some again with another picture, some deletes. What got no answer, or 503, they repeat with its
    Idempotency-Key until they are told. Product IDs begin with `prefix`; several may write one log."""

    def __init__(
        self,
        service: StackService,
        pictures: Pictures,
        products: int,
        rng: random.Random,
        *,
        prefix: str = "",
        log: Log | None = None,
    ) -> None:
        self.log = log or Log()
        self._prefix = prefix
        self._service = service
        self._pictures = pictures
        self._ended = threading.Event()
        seeds = [rng.getrandbits(32) for _ in range(4)]
        self._threads = [
            threading.Thread(target=self._call, args=(n, products // 4, random.Random(seed)), daemon=True)
            for n, seed in enumerate(seeds)
        ]
        self._pace = 0.0

    def start(self, seconds: float = 0.0) -> None:
        """Begins; the changes are spread over about so many seconds."""
        self._pace = seconds
        for thread in self._threads:
            thread.start()

    @property
    def done(self) -> bool:
        return not any(thread.is_alive() for thread in self._threads)

    def stop(self, deadline: float) -> None:
        """Ends when the changes in progress have their answers."""
        self._ended.set()
        self.join(deadline)

    def join(self, deadline: float = PATIENCE) -> None:
        until = time.monotonic() + deadline
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        assert self.done, f"callers are not done: {dict(self.log.statuses)}"

    def _call(self, caller: int, products: int, rng: random.Random) -> None:
        pause = self._pace / max(1, products) * 10
        with self._service.client() as client:
            for start in range(0, products, 10):
                names = [f"{self._prefix}c{caller}-{number}" for number in range(start, min(start + 10, products))]
                began = time.monotonic()
                self._put_many(client, names[:5], rng)
                for name in names[5:]:
                    self._put(client, name, rng)
                self._put(client, rng.choice(names), rng)
                if rng.random() < 0.5:
                    self._delete(client, rng.choice(names))
                if self._ended.wait(max(0.0, pause - (time.monotonic() - began))):
                    return

    def _picture(self, rng: random.Random) -> tuple[int, str]:
        seed = rng.getrandbits(31)
        self._pictures.answers[f"/{seed}.png"] = answer(grid(seed))
        return seed, f"{self._pictures.url}/{seed}.png"

    def _put_many(self, client: httpx2.Client, names: list[str], rng: random.Random) -> None:
        drawn = {name: self._picture(rng) for name in names}
        lines = "\n".join(json.dumps({"product_id": name, "image_url": url}) for name, (_, url) in drawn.items())
        headers = {"Content-Type": "application/x-ndjson"}
        self._send(client, "POST", "/products", {name: seed for name, (seed, _) in drawn.items()}, headers, lines)

    def _put(self, client: httpx2.Client, name: str, rng: random.Random) -> None:
        seed, url = self._picture(rng)
        if rng.random() < 0.5:
            self._send(client, "PUT", f"/products/{name}", {name: seed}, {"Content-Type": "image/png"}, grid(seed))
        else:
            body, headers = json.dumps({"image_url": url}), {"Content-Type": "application/json"}
            self._send(client, "PUT", f"/products/{name}", {name: seed}, headers, body)

    def _delete(self, client: httpx2.Client, name: str) -> None:
        self._send(client, "DELETE", f"/products/{name}", {name: None}, {}, b"")

    def _send(
        self,
        client: httpx2.Client,
        method: str,
        path: str,
        gives: dict[str, int | None] | dict[str, int],
        headers: dict[str, str],
        body: str | bytes,
    ) -> None:
        headers = headers | {"Idempotency-Key": uuid4().hex}
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            try:
                told = client.request(method, f"/catalogs/{CATALOG}{path}", content=body, headers=headers)
            except httpx2.TransportError:
                time.sleep(0.05)
                continue
            with self.log.lock:
                self.log.statuses[told.status_code] += 1
                if told.status_code == 202:
                    self.log.expected |= gives
                    self.log.jobs[told.json()["id"]] = len(gives)
                    return
                # 409: the first attempt is still under way, or its process died with it.
                in_flight = told.status_code == 409 and told.json().get("retryable")
                if told.status_code not in (429, 503) and not in_flight:
                    self.log.unexpected.append(f"{told.status_code} {told.text[:300]}")
                    return
            time.sleep(0.1)
        self.log.unexpected.append(f"no 202 in {PATIENCE} s to {method} {path}")


class Supervisor(Meanwhile):
    """Starts anew whatever of a stack has ended, as `restart: unless-stopped` does."""

    def __init__(self, service: StackService) -> None:
        self.restarts: Counter[str] = Counter()
        self._stack = service.stack
        super().__init__(self._watch)

    def _watch(self) -> None:
        while not self.ended.wait(0.1):
            for name, process in list(self._stack.processes.items()):
                if process.poll() is not None:
                    self.restarts[name] += 1
                    self._stack.start(name)


def under_orders(service: StackService, orders: Path) -> None:
    """Has API and workers of a stack obey what `ordered` writes to a file."""
    stack, obedient = service.stack, [sys.executable, str(PROCESS), str(orders)]
    stack.commands |= {
        "worker": [*obedient, "stub", *stack.command("worker")[2:]],
        "api": [*obedient, *stack.command("api")[1:]],
    }


def ordered(orders: Path, *fault_points: str) -> None:
    """The first process that comes to the first point is killed there, then the first that comes to the next."""
    written = orders.with_name("written")
    written.write_text("\n".join(fault_points))
    written.rename(orders)


def points(service: StackService) -> dict[str, list[tuple[dict[str, object], list[float] | None]]]:
    """What the index holds of each product, tombstones left out: payloads and vectors, read over the wire."""
    base, key = service.stack.qdrant_url, service.stack.qdrant_key
    found: dict[str, list[tuple[dict[str, object], list[float] | None]]] = {}
    with httpx2.Client(base_url=base, timeout=60, trust_env=False, headers={"api-key": key}) as client:
        names = [each["name"] for each in client.get("/collections").json()["result"]["collections"]]
        [collection] = [name for name in names if f".{CATALOG}." in name]
        offset = None
        while True:
            body = {"limit": 500, "with_payload": True, "with_vector": True, "offset": offset}
            page = client.post(f"/collections/{collection}/points/scroll", json=body).json()["result"]
            for point in page["points"]:
                payload = point["payload"]
                if payload.get("removed_at") is None:
                    vectors = point["vector"] or {}
                    found.setdefault(payload["product_id"], []).append((payload, vectors.get("image")))
            offset = page["next_page_offset"]
            if offset is None:
                return found


def differences(service: StackService, log: Log, vector: Callable[[int], Features] = vector) -> list[str]:
    """Where the index is not what the callers were promised; nothing where it is. `vector` tells what the encoder makes
    of `grid(seed)`."""
    stored, wrong = points(service), []
    for name, seed in log.expected.items():
        there = stored.pop(name, [])
        if len(there) != (seed is not None):
            wrong.append(f"{name}: {len(there)} times in the index, expected {'never' if seed is None else 'once'}")
        elif seed is not None:
            of_index = np.array(there[0][1])
            if of_index.shape != (DIM,) or not np.allclose(of_index, vector(seed), atol=1e-5):
                wrong.append(f"{name}: another vector than that of its last picture")
    return wrong + [f"{name}: in the index, and nobody has put it" for name in stored]


def open_jobs(service: StackService, log: Log) -> list[str]:
    """Jobs that have not finished, or whose sum is not their total."""
    found = []
    for job, total in log.jobs.items():
        now = service.job(job)
        if now is None:
            found.append(f"{job}: nobody can tell")
            continue
        ended = sum(now[name] for name in ENDS)
        if not now["finished_at"] or (now["total"], ended, now["failed"]) != (total, total, 0):
            found.append(f"{job}: {now}")
    return found


def closed(service: StackService, log: Log, seconds: float = PATIENCE) -> None:
    """Waits until every job has ended well. Raises `AssertionError` after so many seconds, with those that have not."""
    until(lambda: not open_jobs(service, log), seconds, lambda: open_jobs(service, log)[:5])
