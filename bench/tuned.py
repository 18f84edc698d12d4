"""What tuned features cost where they are made: encoding against head features, the color block, and learning.

    python bench/tuned.py [--rounds 7] [--seconds 4] [--batch 64] [--pictures 2000] [--precision auto] [--out FILE]

Both sides get the same drawn pictures, each decoded as its features take them, and encode batches with all that the
product has around its network; of tuned features that is the color block, and what was learned, too. They take turns,
and the ratio is taken round by round. The color block is measured in processor time, learning in seconds that pass.
Method and caveats are in bench/README.md.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, get_args

import numpy as np
from encode import IN_HAND, calls_per_second
from results import keep, progress

from services import bootstrap, demo, settings
from services.descriptions import Features, Form
from services.encoders import networks, recipes
from services.encoders.network import Network
from services.encoders.shared import SharedEncoder
from services.encoders.tuned.color import DIM as COLORS
from services.encoders.tuned.color import color_histograms
from services.encoders.tuned.encoder import TunedEncoder
from services.encoders.tuned.learned import digest, learned
from services.images.decoder import decode
from services.images.limits import Limits
from services.records import Pixels
from services.settings import Precision, Settings

WEIGHTS = {"efficientnet_lite0": "imagenet", "inception_v3": "random:7"}
SIDES = get_args(Features)
LIMITS = Limits(25_000_000, 50_000_000)


def main() -> None:
    arguments = parsed()
    configured = settings.load(precision=arguments.precision)
    images = drawn(arguments.batch)
    rounds = arguments.rounds
    result: dict[str, Any] = {"rounds": rounds, "batch": arguments.batch, "pictures": arguments.pictures}
    progress("color block")
    # Before TensorFlow: its threads are no part of this.
    result["color_milliseconds"] = color_milliseconds(images, rounds)
    result["networks"] = {}
    for name in WEIGHTS:
        network = networks.network(name)
        progress(f"learning, {name}")
        learning = {
            "numbers": sum(recipes.layer_dims(network)),
            "learning_milliseconds": learning_milliseconds(network, arguments.pictures, rounds),
        }
        progress(f"encoding, {name}")
        result["networks"][name] = learning | encoding(network, images, configured, rounds, arguments.seconds)
    show(result)
    keep(result, arguments.out)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each side in a round, at least one call")
    parser.add_argument("--batch", type=int, default=64, help=f"images, of which {IN_HAND} are in hand at a time")
    parser.add_argument("--pictures", type=int, default=2000, help="that features learn from")
    parser.add_argument("--precision", default="auto", choices=get_args(Precision))
    parser.add_argument("--out", type=Path, help="write the result as JSON, too")
    return parser.parse_args()


def drawn(count: int) -> list[bytes]:
    """So many pictures of the demo catalog, of all categories."""
    products = demo.products(per_category=count // len({each.category for each in demo.products()}) + 1)
    spread = sorted(products, key=lambda product: product.product_id.rpartition("-")[2])
    return [demo.draw(product) for product in spread[:count]]


def decoded(images: Sequence[bytes], form: Form) -> Pixels:
    return np.stack([decode(image, form.size, form.resample, LIMITS, form.fit) for image in images])


def color_milliseconds(images: Sequence[bytes], rounds: int) -> float:
    """Milliseconds of processor time that the color block takes an image, the median of the rounds."""
    pixels = decoded(images, Form(recipes.TUNED_SIZE, "nearest", "pad"))
    color_histograms(pixels)
    seconds = []
    for _ in range(rounds):
        began = time.process_time()
        color_histograms(pixels)
        seconds.append(time.process_time() - began)
    return round(1000 * statistics.median(seconds) / len(pixels), 3)


def learning_milliseconds(network: Network, pictures: int, rounds: int) -> float:
    """Milliseconds in which features learn from pictures that are encoded, the median of the rounds. The numbers are
    random: what they are does not change the work."""
    dims = recipes.layer_dims(network)
    random = np.random.default_rng(0)
    layers, colors = (random.random((pictures, width), np.float32) for width in (sum(dims), COLORS))
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        learned(layers, dims, colors)
        seconds.append(time.perf_counter() - began)
    return round(1000 * statistics.median(seconds), 1)


def encoding(
    network: Network, images: Sequence[bytes], configured: Settings, rounds: int, seconds: float
) -> dict[str, Any]:
    """Milliseconds that an image takes with each kind of features, and the ratios of tuned to head of the rounds."""
    sides: dict[Features, Callable[[], object]] = {}
    for features in SIDES:
        sides[features] = side(network, features, images, configured)
        # Compiled before the next side is loaded: with bfloat16, loading tuned features changes what is compiled later.
        sides[features]()
    found: dict[Features, list[float]] = {features: [] for features in SIDES}
    for number in range(rounds):
        # Whatever the machine does, it does to the first as often as to the second.
        for features in SIDES if number % 2 == 0 else SIDES[::-1]:
            rate = IN_HAND * len(images) * calls_per_second(sides[features], seconds)
            found[features].append(1000 / rate)
    ratios = [tuned / head for tuned, head in zip(found["tuned"], found["head"], strict=True)]
    return {f"{features}_milliseconds": round(statistics.median(each), 3) for features, each in found.items()} | {
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(each, 3) for each in ratios],
    }


def side(network: Network, features: Features, images: Sequence[bytes], configured: Settings) -> Callable[[], object]:
    """Encodes `IN_HAND` batches of the images at a time, through all that the product has around its network."""
    shared = SharedEncoder(
        lambda: bootstrap.load_encoder(network.name, WEIGHTS[network.name], "nearest", configured, features)
    )
    pixels = decoded(images, recipes.form(network, "nearest", features))
    encoder = tuned(network, shared, pixels) if features == "tuned" else shared
    encoder.fingerprint()
    pool = ThreadPoolExecutor(IN_HAND)
    return lambda: list(pool.map(lambda _: encoder.encode(pixels), range(IN_HAND)))


def tuned(network: Network, layers: SharedEncoder, pixels: Pixels) -> TunedEncoder:
    """Has learned from these pictures alone: of how many does not change the work of encoding."""
    file = learned(layers.encode(pixels), recipes.layer_dims(network), color_histograms(pixels)).to_bytes()
    return TunedEncoder(layers, digest(file), lambda _: file)


def show(result: dict[str, Any]) -> None:
    print(f"color block: {result['color_milliseconds']:.2f} ms of a processor an image")
    for name, row in result["networks"].items():
        print(
            f"{name}: tuned {row['tuned_milliseconds']:.1f} ms, head {row['head_milliseconds']:.1f} ms an image, "
            f"ratio {row['ratio']} of {row['ratios']}; learning from {result['pictures']} x {row['numbers']} "
            f"{row['learning_milliseconds']:,.0f} ms"
        )


if __name__ == "__main__":
    main()
