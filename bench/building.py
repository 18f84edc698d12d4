"""Answers while a search graph is built during a feed, against the same feed without a build.

    python bench/building.py [--products 50000] [--images 400] [--rounds 3] [--encoder inception_v3] [--out FILE]

Two `lookalike up`, one after the other, each on a copy of one data folder: a feed of URLs is embedded into another
catalog, and neighbors of a product are asked for 20 times a second, at set times whatever the answers take. In the
second one the graph of the catalog that is asked is built from the beginning of the feed on. The feed should be the
shorter of both, so that all answers come during both. A round gives a ratio of the 99th percentiles and one of the
feeds' rates. Method and caveats are in bench/README.md.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import httpx2
from ingest import make_pictures
from results import keep
from service import LOOKALIKE, picture_server, serving
from serving import CATALOG, Asking, feed, fill

QUIET = {"LOOKALIKE_FETCH_ALLOW": "127.0.0.1", "LOOKALIKE_LOG_LEVEL": "warning", "LOOKALIKE_GRAPH_AFTER_MS": "0"}


def main() -> None:
    arguments = parsed()
    with tempfile.TemporaryDirectory(prefix="lookalike-bench-") as folder:
        work = Path(folder)
        fill(work / "data", arguments.products)
        pictures = make_pictures(work / "pictures", arguments.images, arguments.side)
        images = [path.read_bytes() for path in sorted(pictures.iterdir())]
        rounds = []
        with picture_server(images) as url:
            for _ in range(arguments.rounds):
                rounds.append(row(*(seen(work, url, arguments, builds=builds) for builds in (False, True))))
                print(rounds[-1], file=sys.stderr, flush=True)
    result = {"products": arguments.products, "encoder": arguments.encoder, "rounds": rounds}
    show(result)
    keep(result, arguments.out)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--products", type=int, default=50_000)
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--encoder", default="inception_v3")
    parser.add_argument("--side", type=int, default=800, help="pixels of a picture's side")
    parser.add_argument("--out", type=Path, help="write the result as JSON, too")
    return parser.parse_args()


def seen(work: Path, url: str, arguments: argparse.Namespace, *, builds: bool) -> dict[str, float]:
    """The quantiles of answers during a feed, its rate, and how long the build took."""
    data = Path(shutil.copytree(work / "data", work / f"round-{builds}"))
    try:
        with serving([str(LOOKALIKE), "up", "--port", "0", "--data", str(data)], QUIET) as (_, client):
            feed(client, "warm", arguments.encoder, url, min(64, arguments.images))
            with Build(client, builds) as build, Asking(client, arguments.products) as asking:
                rate = feed(client, "fed", arguments.encoder, url, arguments.images)
            return {
                "p50_ms": asking.quantile(50),
                "p99_ms": asking.quantile(99),
                "feed_per_second": round(rate, 1),
                "build_seconds": build.seconds,
            }
    finally:
        shutil.rmtree(data)


class Build:
    """A build that goes on within the block, and is waited for at its end; `seconds` that it took."""

    def __init__(self, client: httpx2.Client, builds: bool) -> None:
        self.seconds = 0.0
        self._client = client
        self._thread = threading.Thread(target=self._run if builds else lambda: None)

    def __enter__(self) -> "Build":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()

    def _run(self) -> None:
        started = time.monotonic()
        job = self._client.post(f"/catalogs/{CATALOG}/optimize").raise_for_status().json()
        while not job["finished_at"]:
            time.sleep(0.5)
            job = self._client.get(f"/jobs/{job['id']}").raise_for_status().json()
        if job["task"]["result"] != {"built": True}:
            raise SystemExit(f"the graph was not built: {job}")
        self.seconds = round(time.monotonic() - started, 1)


def row(without: dict[str, float], during: dict[str, float]) -> dict[str, float]:
    return {
        **{f"feed_{name}": value for name, value in without.items() if name.startswith("p")},
        **{f"build_{name}": value for name, value in during.items() if name.startswith("p")},
        "p99_ratio": round(during["p99_ms"] / without["p99_ms"], 2),
        "build_seconds": during["build_seconds"],
        "feed_per_second": without["feed_per_second"],
        "feed_while_built_per_second": during["feed_per_second"],
        "feed_ratio": round(during["feed_per_second"] / without["feed_per_second"], 3),
    }


def show(result: dict[str, Any]) -> None:
    for each in result["rounds"]:
        print(
            f"neighbors p99 during a feed {each['feed_p99_ms']} ms, and a build {each['build_p99_ms']} ms "
            f"({each['p99_ratio']}x); feed {each['feed_per_second']} images/s, "
            f"{each['feed_while_built_per_second']} during the build ({each['feed_ratio']}), "
            f"which took {each['build_seconds']} s"
        )
    print(f"median of the ratios: {statistics.median(each['p99_ratio'] for each in result['rounds'])}")


if __name__ == "__main__":
    main()
