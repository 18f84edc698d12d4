"""Where the time goes: what an image costs in each stage, in processor time, and what a start is made of.

    python bench/costs.py [--images 256] [--encoder inception_v3] [--precision float32] [--out FILE]

Each stage's own code runs alone over the same JPEGs, and the processor time of this process and of the decoding child
is taken. Then a whole `lookalike up` is fed the same pictures by URL, and that of all its processes is: HTTP, ledger,
queue and Celery, too. The start is that of a fresh process, phase by phase, in seconds that pass. Method and caveats
are in bench/README.md.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from ingest import LOOKALIKE, family, make_pictures, make_weights
from results import keep
from service import make_catalog, picture_server, put_feed, serving

from services import bootstrap, settings
from services.encoders import networks, recipes
from services.images.decoder import Decoder
from services.images.limits import Limits
from services.index.edge import EdgeIndex
from services.outbound.fetcher import Fetcher
from services.records import Point, Vectors
from services.storage.media import Media

BATCH = 64
TURN = 8
"""As processors are fed (services/encoders/pace.py)."""
MAX_BYTES = 25 << 20


def main() -> None:
    arguments = parsed()
    if arguments.start:
        print(json.dumps(phases(arguments.start, arguments.began, arguments.precision)))
        return
    with tempfile.TemporaryDirectory(prefix="lookalike-bench-") as folder:
        work = Path(folder)
        pictures = make_pictures(work / "pictures", arguments.images, arguments.side)
        weights = make_weights(work / "inception_v3.weights.h5")
        images = [path.read_bytes() for path in sorted(pictures.iterdir())]
        stages = alone(images, work, arguments)
        whole = through_service(images, work / "service", arguments)
        result = {
            "images": len(images),
            "encoder": arguments.encoder,
            "stages_milliseconds": stages,
            "whole_milliseconds": whole,
            "start_seconds": start(weights, arguments.precision),
        }
    show(result)
    keep(result, arguments.out)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--encoder", default="inception_v3")
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--side", type=int, default=800, help="pixels of a picture's side")
    parser.add_argument("--start", metavar="WEIGHTS", help="load the encoder and tell each phase, in this process")
    parser.add_argument("--began", type=float, help="when the process was started")
    parser.add_argument("--out", type=Path, help="write the result as JSON, too")
    return parser.parse_args()


def alone(images: Sequence[bytes], work: Path, arguments: argparse.Namespace) -> dict[str, float]:
    """Milliseconds of processor time that an image takes in each stage."""
    network = networks.network(arguments.encoder)
    limits = Limits(MAX_BYTES, 100_000_000)
    with fetching(images) as fetch:
        stages = {"fetch": per_image(fetch, len(images))}
    media = Media(work / "media")
    stages["keep the original"] = per_image(lambda: [media.put(image) for image in images], len(images))
    form = recipes.form(network, "nearest", "head")
    with Decoder(1, 60.0, 4 << 30, limits) as decoder:
        decoder.submit(images[0], form).result()

        def decode() -> list[Any]:
            return [each.result() for each in [decoder.submit(image, form) for image in images]]

        stages["decode in a child"] = per_image(decode, len(images), family(os.getpid()) - {os.getpid()})
        pixels = np.stack(decode())
    weights = "random:1" if arguments.encoder == "inception_v3" else "imagenet"
    configured = settings.load(precision=arguments.precision)
    encoder = bootstrap.load_encoder(arguments.encoder, weights, "nearest", configured)
    encoder.encode(pixels[:TURN])
    vectors: list[Vectors] = []

    def encode() -> None:
        vectors.extend(encoder.encode(pixels[at : at + TURN]) for at in range(0, len(pixels), TURN))

    stages["encode"] = per_image(encode, len(images))
    found = np.concatenate(vectors)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    index = EdgeIndex.open(work / "index", network.dim)

    def write() -> None:
        for at in range(0, len(found), BATCH):
            index.upsert([Point(str(at + n), 1, each, 1.0, {}) for n, each in enumerate(found[at : at + BATCH])])
            index.flush()

    stages["write the vector"] = per_image(write, len(images))
    index.close()
    return stages


@contextmanager
def fetching(images: Sequence[bytes]) -> Iterator[Callable[[], object]]:
    """What fetches every picture once, over a connection that is kept; the server has a process of its own."""
    context = get_context("spawn")
    urls: Any = context.Queue()
    server = context.Process(target=serve, args=(images, urls), daemon=True)
    server.start()
    fetcher = Fetcher(max_bytes=MAX_BYTES, allow="127.0.0.1")
    try:
        url = urls.get(timeout=60)
        yield lambda: [fetcher.fetch(f"{url}/{number}") for number in range(len(images))]
    finally:
        fetcher.close()
        server.kill()
        server.join()


def serve(images: Sequence[bytes], urls: Any) -> None:
    with picture_server([*images]) as url:
        urls.put(url)
        time.sleep(600)


def per_image(run: Callable[[], object], count: int, children: Set[int] = frozenset()) -> float:
    """Milliseconds of processor time of this process and of those children, which live before and after."""
    before = time.process_time() + processor_seconds(children)
    run()
    return round(1000 * (time.process_time() + processor_seconds(children) - before) / count, 3)


def processor_seconds(pids: Set[int]) -> float:
    """What processes have taken so far; what has ended counts nothing."""
    ticks = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def through_service(images: list[bytes], data: Path, arguments: argparse.Namespace) -> float:
    """Milliseconds of processor time that an image takes all processes of a service, from URL to found."""
    environment = {"LOOKALIKE_FETCH_ALLOW": "127.0.0.1", "LOOKALIKE_PRECISION": arguments.precision}
    command = [str(LOOKALIKE), "up", "--port", "0", "--data", str(data)]
    with picture_server(images) as url, serving(command, environment) as (pid, client):
        make_catalog(client, "warm", arguments.encoder)
        put_feed(client, "warm", url, min(BATCH, len(images)))
        make_catalog(client, "measured", arguments.encoder)
        processes = family(pid)
        before = processor_seconds(processes)
        put_feed(client, "measured", url, len(images))
        taken = processor_seconds(processes) - before
    return round(1000 * taken / len(images), 3)


def start(weights: Path, precision: str) -> dict[str, float]:
    """Seconds of each phase of a start; the second of two, since the first brings files into the cache."""
    found: dict[str, float] = {}
    for _ in range(2):
        command = [sys.executable, __file__, "--start", str(weights), "--precision", precision]
        answer = subprocess.run(
            [*command, "--began", str(time.time())], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        found = json.loads(answer.stdout)
    return found


def phases(weights: str, began: float, precision: str) -> dict[str, float]:
    """Loads InceptionV3 as `TensorFlowEncoder` does, and takes the time."""
    seconds = {"Python and our modules": time.time() - began}

    def timed(name: str, run: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        value = run()
        seconds[name] = time.perf_counter() - started
        return value

    timed("TensorFlow and Keras", imports)

    from services.encoders.keras import encoder as keras_encoder
    from services.encoders.keras import weights as network_weights
    from services.encoders.network import Patience

    network = networks.network("inception_v3")
    keras_encoder.start_tensorflow(precision)
    model = timed("network and weights", lambda: network_weights.load(network, weights, Patience()))
    timed("hash of the weights", lambda: network_weights.digest(model))
    compiled = timed("graph", lambda: keras_encoder.compiled(network, model, precision))
    import tensorflow as tf

    for name, count in (("first call", 1), ("first call of eight", TURN)):
        pixels = np.zeros((count, network.size, network.size, 3), np.uint8)
        timed(name, lambda pixels=pixels: compiled(tf.constant(pixels)).numpy())
    return {name: round(each, 2) for name, each in seconds.items()}


def imports() -> None:
    from services.encoders.keras.starting import starting

    with starting():
        import keras  # noqa: F401
        import tensorflow  # noqa: F401


def show(result: dict[str, Any]) -> None:
    print(f"{result['encoder']}, milliseconds of processor time an image, {result['images']} images:")
    rows = result["stages_milliseconds"] | {"a whole service": result["whole_milliseconds"]}
    for name, milliseconds in rows.items():
        print(f"  {name:24}{milliseconds:9.2f}")
    print("seconds of a start:")
    for name, seconds in result["start_seconds"].items():
        print(f"  {name:24}{seconds:9.2f}")


if __name__ == "__main__":
    main()
