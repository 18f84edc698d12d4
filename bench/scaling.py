"""Workers: how the rate grows from one process to two and four, with an encoder that waits as for a slow device.

    python bench/scaling.py [--workers 1 2 4] [--batches 12] [--seconds 1.0] [--rounds 2] [--server] [--out FILE]

Every worker is a process with a Celery app, a decoding child and an index of its own; they share a Valkey and the
originals. With --server they share one index instead, on the Qdrant that QDRANT_URL names or on its twin. Their encoder
sleeps so many seconds for 64 images and uses no processor. Each count of workers gets a job of `--batches` batches a
worker; the first two and the last two a worker are not counted. Method and caveats are in bench/README.md.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from results import keep

from services import bootstrap, settings
from services.catalog.catalogs import Catalogs
from services.catalog.opening import new_spec
from services.descriptions import Features, Resample
from services.encoders import networks
from services.ledger import Chores, Ledger
from services.queue.valkey import ValkeyServer
from services.records import Change, Job, Lane, Pixels, StoredImage, Vectors
from services.settings import Settings
from services.storage.media import Media
from services.telemetry import logs
from services.testing import picture

BATCH = 64
UNCOUNTED = 2
ENCODER = "efficientnet_lite0"


class SlowDevice:
    """An encoder that only takes its time."""

    name = ENCODER
    trained = True
    fingerprint = "slow device"
    lanes = 1
    turn = BATCH

    def __init__(self, size: int, dim: int, seconds_per_batch: float) -> None:
        self.size, self.dim = size, dim
        self._seconds = seconds_per_batch

    def encode(self, pixels: Pixels) -> Vectors:
        time.sleep(self._seconds * len(pixels) / BATCH)
        return np.ones((len(pixels), self.dim), np.float32)

    def close(self) -> None:
        """Nothing to let go of."""


def main() -> None:
    arguments = parsed()
    if arguments.work:
        work(arguments.work, arguments.seconds)
        return
    rounds = []
    for _ in range(arguments.rounds):
        with tempfile.TemporaryDirectory(prefix="lookalike-bench-") as folder:
            rounds.append({count: rate(Path(folder) / str(count), count, arguments) for count in arguments.workers})
    result = summary(rounds, arguments)
    show(result)
    keep(result, arguments.out)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--batches", type=int, default=12, help="batches a worker")
    parser.add_argument("--seconds", type=float, default=1.0, help="of the encoder, for 64 images")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--server", action="store_true", help="one index for all, on a Qdrant server or its twin")
    parser.add_argument("--out", type=Path, help="write the result as JSON, too")
    parser.add_argument("--work", metavar="REDIS_URL", help=argparse.SUPPRESS)
    return parser.parse_args()


def work(redis_url: str, seconds: float) -> None:
    """One worker, until SIGTERM: what `lookalike worker` does, with the slow device for its encoder."""
    from workers.app import run
    from workers.worker import Worker

    configured = settings.load()
    logs.configure("console", "warning")
    with catalogs(configured, seconds) as opened:
        ledger = bootstrap.ledger(configured, redis_url)
        claims = bootstrap.claims(configured, ledger)
        worker = Worker(claims, opened, batch_size=BATCH, slots=configured.concurrency, give_up=60.0)
        run(worker, Chores(ledger.store), opened, configured, redis_url, ready=lambda: print("ready", flush=True))


def catalogs(configured: Settings, seconds: float) -> Catalogs:
    def load(name: str, weights: str, resample: Resample, settings: Settings, features: Features) -> SlowDevice:
        network = networks.network(name)
        return SlowDevice(network.size, network.dim, seconds)

    return bootstrap.catalogs(configured, load=load)


def rate(folder: Path, count: int, arguments: argparse.Namespace) -> float:
    """Images a second of so many workers, in the middle of a job."""
    with ExitStack() as stack:
        return _rate(folder, count, arguments, qdrant(stack) if arguments.server else "")


def qdrant(stack: ExitStack) -> str:
    """The URL of a Qdrant, or of a twin of it in a process of its own."""
    if url := os.environ.get("QDRANT_URL"):
        return url
    command = [sys.executable, "-m", "services.index.twin", "--port", "0"]
    twin = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    stack.callback(twin.communicate)
    stack.callback(twin.terminate)
    assert twin.stdout is not None
    return twin.stdout.readline().strip()


def _rate(folder: Path, count: int, arguments: argparse.Namespace, qdrant_url: str) -> float:
    spec = new_spec("products", ENCODER, "random:1", "nearest")
    originals = folder / "originals"
    originals.mkdir(parents=True)
    shared = {"qdrant_url": qdrant_url, "qdrant_prefix": folder.parent.name, "media": str(originals)}
    places = [{"data": folder / f"data-{n}"} | (shared if qdrant_url else {}) for n in range(count)]
    for place in places[:1] if qdrant_url else places:
        with catalogs(settings.load(**place), 0) as opened:
            opened.create(spec)
    if not qdrant_url:
        for place in places:
            # A worker of its own keeps its own originals; here they are one folder. Only these: what is unfinished each
            # worker sweeps for itself.
            (place["data"] / "media").mkdir()
            (place["data"] / "media" / "originals").symlink_to(originals / "originals")
    images = arguments.batches * BATCH * count
    media = Media(originals)
    stored = [StoredImage(media.put(picture((n % 256, n // 256, 90), size=8))) for n in range(BATCH * 4)]
    changes = (Change(f"p{n}", image=stored[n % len(stored)], attributes={}) for n in range(images))
    with ValkeyServer(folder / "queue") as valkey, workers(places, valkey.url, arguments.seconds):
        ledger = bootstrap.ledger(settings.load(), valkey.url)
        job = ledger.accept(spec.id, spec.name, changes, lane=Lane.BULK, max_version=lambda: 0)
        uncounted = UNCOUNTED * BATCH * count
        began, least = reached(ledger, job, uncounted)
        ended, most = reached(ledger, job, images - uncounted)
        reached(ledger, job, images)
        if (applied := ledger.job(job.id).applied) != images:
            raise SystemExit(f"{applied} of {images} images were applied")
    found = (most - least) / (ended - began)
    print(f"{count} workers: {found:.1f} images/s", file=sys.stderr)
    return found


@contextmanager
def workers(places: list[dict[str, Any]], redis_url: str, seconds: float) -> Iterator[None]:
    """A process for each of these settings that works; all have said that they are ready."""
    command = [sys.executable, __file__, "--work", redis_url, "--seconds", str(seconds)]
    started: list[subprocess.Popen[str]] = []
    try:
        for place in places:
            environment = {f"LOOKALIKE_{name.upper()}": str(value) for name, value in place.items()}
            environment["LOOKALIKE_DECODE_PROCESSES"] = "1"
            started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | environment))
        for process in started:
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                raise SystemExit("a worker did not start")
        yield
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.communicate(timeout=60)


def reached(ledger: Ledger, job: Job, least: int) -> tuple[float, int]:
    """When so many changes of the job had ended, and how many there were then."""
    while (done := ledger.job(job.id).done) < least:
        time.sleep(0.01)
    return time.monotonic(), done


def summary(rounds: list[dict[int, float]], arguments: argparse.Namespace) -> dict[str, object]:
    """The medians over the rounds, and the ratios to the first count, taken round by round."""
    first = arguments.workers[0]
    result: dict[str, object] = {"seconds": arguments.seconds, "batches": arguments.batches, "rounds": len(rounds)}
    for count in arguments.workers:
        ratios = [row[count] / row[first] for row in rounds]
        result[f"{count}_workers"] = {
            "images_per_second": round(statistics.median(row[count] for row in rounds), 1),
            "ratio": round(statistics.median(ratios), 2),
            "ratios": [round(ratio, 2) for ratio in ratios],
        }
    return result


def show(result: dict[str, object]) -> None:
    print(f"\n{'':12}{'images/s':>12}{'ratio':>8}   each round")
    for side, row in result.items():
        if isinstance(row, dict):
            ratios = ", ".join(f"{ratio:.2f}" for ratio in row["ratios"])
            print(f"{side:12}{row['images_per_second']:12.1f}{row['ratio']:8.2f}   {ratios}")


if __name__ == "__main__":
    main()
