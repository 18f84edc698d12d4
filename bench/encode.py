"""The encoder alone against the processor's own peak at multiplying matrices, in each precision that it has.

    python bench/encode.py [--encoder inception_v3] [--rounds 5] [--seconds 4] [--out FILE]

In turn, in one process for each precision: TensorFlow and (in float32) numpy multiply square matrices on all processors
for a while, then the encoder encodes batches of 64 as the product has it do. All count their multiplications and
additions; the ratio is of the encoder's rate and of the best multiplier's, round by round. Method and caveats are in
bench/README.md.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from results import keep

from services.encoders import networks

SIDES = (2048, 4096)
"""Of the matrices: which is fastest depends on the caches and on the library."""
IN_HAND = 3
"""Batches at a time, as a worker has them."""


def main() -> None:
    arguments = parsed()
    if arguments.alone:
        print(
            json.dumps(
                rounds_of(arguments.encoder, arguments.alone, arguments.batch, arguments.rounds, arguments.seconds)
            )
        )
        return
    result: dict[str, Any] = {"encoder": arguments.encoder, "rounds": arguments.rounds, "batch": arguments.batch}
    for precision in precisions():
        # Precision is a matter of the whole process.
        again = [sys.executable, __file__, "--alone", precision, "--encoder", arguments.encoder]
        again += ["--rounds", str(arguments.rounds), "--seconds", str(arguments.seconds)]
        again += ["--batch", str(arguments.batch)]
        answer = subprocess.run(again, capture_output=True, text=True)
        if answer.returncode:
            raise SystemExit(f"{' '.join(again)} ended with {answer.returncode}:\n{answer.stderr}")
        result[precision] = summary(json.loads(answer.stdout))
    show(result)
    keep(result, arguments.out)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", default="inception_v3")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each side in a round")
    parser.add_argument("--batch", type=int, default=64, help=f"images, of which {IN_HAND} are in hand at a time")
    parser.add_argument("--alone", metavar="PRECISION", help="measure this precision, in this process")
    parser.add_argument("--out", type=Path, help="write the result as JSON, too")
    return parser.parse_args()


def precisions() -> list[str]:
    from services.encoders.keras.encoder import has_bfloat16

    return ["float32", "bfloat16"] if has_bfloat16() else ["float32"]


def rounds_of(name: str, precision: str, batch: int, rounds: int, seconds: float) -> dict[str, Any]:
    """The peak (operations/s) and the encoder's rate (images/s) of each round, and the operations of an image."""
    encode, operations = encoder(name, precision, batch)
    multipliers = matrices(precision)
    for side in (*multipliers.values(), encode):
        side()
    found: dict[str, Any] = {"operations_per_image": operations, "peaks": [], "images_per_second": []}
    for _ in range(rounds):
        rates = {
            by: 2 * by[1] ** 3 * calls_per_second(each, seconds / len(multipliers)) for by, each in multipliers.items()
        }
        found["peaks"].append(max(rates.values()))
        found["images_per_second"].append(IN_HAND * batch * calls_per_second(encode, seconds))
    return found


def calls_per_second(call: Callable[[], object], seconds: float) -> float:
    started, count = time.perf_counter(), 0
    while not count or time.perf_counter() - started < seconds:
        call()
        count += 1
    return count / (time.perf_counter() - started)


def encoder(name: str, precision: str, batch: int) -> tuple[Callable[[], object], int]:
    """Encodes `IN_HAND` batches at a time, through all that the product has around its network."""
    from concurrent.futures import ThreadPoolExecutor

    from services import bootstrap, settings
    from services.encoders.shared import SharedEncoder

    network = networks.network(name)
    weights = "imagenet" if name == "efficientnet_lite0" else "random:1"
    configured = settings.load(precision=precision)
    shared = SharedEncoder(lambda: bootstrap.load_encoder(name, weights, "nearest", configured))
    shared.fingerprint()
    pixels = np.random.default_rng(0).integers(0, 256, (batch, network.size, network.size, 3), np.uint8)
    pool = ThreadPoolExecutor(IN_HAND)
    return lambda: list(pool.map(lambda _: shared.encode(pixels), range(IN_HAND))), operations(network)


def operations(network: Any) -> int:
    """Multiplications and additions of the network's convolutions for one image: two for each weight at each place."""
    import keras

    count = 0
    for layer in network.build(False).layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D):
            _, height, width, channels = layer.output.shape
            kernel = layer.kernel.shape
            of_place = kernel[0] * kernel[1] * (1 if isinstance(layer, keras.layers.DepthwiseConv2D) else kernel[2])
            count += 2 * height * width * channels * of_place
    return count


def matrices(precision: str) -> dict[tuple[str, int], Callable[[], object]]:
    """Products of square matrices on all processors, by library and side."""
    import tensorflow as tf

    multipliers: dict[tuple[str, int], Callable[[], object]] = {}
    for side in SIDES:
        one, other = (tf.cast(tf.random.normal((side, side), seed=seed), precision) for seed in (1, 2))
        multipliers["tensorflow", side] = partial(lambda one, other: tf.linalg.matmul(one, other).numpy(), one, other)
        if precision == "float32":
            out = np.empty((side, side), np.float32)
            multipliers["numpy", side] = partial(np.matmul, one.numpy(), other.numpy(), out=out)
    return multipliers


def summary(found: dict[str, Any]) -> dict[str, Any]:
    pairs = zip(found["images_per_second"], found["peaks"], strict=True)
    ratios = [images * found["operations_per_image"] / peak for images, peak in pairs]
    return {
        "peak_gigaflops": round(statistics.median(found["peaks"]) / 1e9, 1),
        "images_per_second": round(statistics.median(found["images_per_second"]), 1),
        "gigaflop_per_image": round(found["operations_per_image"] / 1e9, 2),
        "share_of_peak": round(statistics.median(ratios), 3),
        "shares_of_peak": [round(each, 3) for each in ratios],
    }


def show(result: dict[str, Any]) -> None:
    print(f"{result['encoder']}, batches of {result['batch']}, {len(os.sched_getaffinity(0))} processors")
    for precision, row in result.items():
        if isinstance(row, dict):
            print(
                f"{precision:10} {row['images_per_second']} images/s x {row['gigaflop_per_image']} GFLOP = "
                f"{row['share_of_peak']} of {row['peak_gigaflops']} GFLOP/s {row['shares_of_peak']}"
            )


if __name__ == "__main__":
    main()
