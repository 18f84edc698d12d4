"""Decoding: what the care for odd pictures costs the common ones.

    python bench/decode.py [--images 1000] [--rounds 3] [--side 800] [--hash] [--out FILE]

JPEGs go through one decoding child as the product decodes them, and through another that does no more than Pillow has
to (open, convert to RGB, resize). Both get blocks of the same images in turn, so what else the machine does meets both.
A round's ratio is that of their times over all images. With --hash the pair is decoding with and without the perceptual
hash, both as the product does it. Method and caveats are in bench/README.md.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from ingest import make_pictures
from PIL import Image
from results import keep

from services import settings
from services.descriptions import Form
from services.images.decoder import Decoder
from services.images.limits import Limits
from services.images.processes import Children

BLOCK = 50
SIZE = 299
FORM = Form(SIZE, "nearest")


def main() -> None:
    arguments = parsed()
    with tempfile.TemporaryDirectory(prefix="lookalike-bench-") as folder:
        pictures = make_pictures(Path(folder) / "pictures", arguments.images, arguments.side)
        images = [path.read_bytes() for path in sorted(pictures.iterdir())]
    given = settings.load()
    limits = Limits(given.max_image_bytes, given.max_image_pixels)
    memory, timeout = given.decode_memory, given.decode_timeout
    # By the name of this module, since a child has another __main__.
    plain = import_module("decode").by_pillow
    with (
        Decoder(1, timeout, memory, limits) as decoder,
        Children(1, timeout=timeout, memory=memory, modules=["decode"]) as children,
    ):
        sides: dict[str, Callable[[bytes], Future[Any]]] = {
            "product": lambda data: decoder.submit(data, FORM),
            "pillow": lambda data: children.submit(plain, data),
        }
        if arguments.hash:
            sides = {"hashed": lambda data: decoder.submit_hashed(data, FORM), "product": sides["product"]}
        for side in sides.values():
            seconds(side, images[:BLOCK])  # a child starts, and imports
        rounds = [measured(sides, images) for _ in range(arguments.rounds)]
    result = {"images": len(images), "side": arguments.side, "rounds": rounds}
    ratios = [each["ratio"] for each in rounds]
    against = "decoding without the hash" if arguments.hash else "Pillow alone"
    print(f"as fast as {against}: {statistics.median(ratios)} of {ratios}")
    keep(result, arguments.out)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", type=int, default=800, help="pixels of a picture's side")
    parser.add_argument("--hash", action="store_true", help="measure the perceptual hash instead")
    parser.add_argument("--out", type=Path, help="write the result as JSON, too")
    return parser.parse_args()


def by_pillow(data: bytes) -> "np.ndarray[Any, Any]":
    """What `keras.utils.load_img(path, target_size=...)` does."""
    return np.array(Image.open(BytesIO(data)).convert("RGB").resize((SIZE, SIZE), Image.Resampling.NEAREST))


def measured(sides: dict[str, Callable[[bytes], Future[Any]]], images: Sequence[bytes]) -> dict[str, float]:
    took = dict.fromkeys(sides, 0.0)
    for number, start in enumerate(range(0, len(images), BLOCK)):
        block = images[start : start + BLOCK]
        for name in sorted(sides, reverse=bool(number % 2)):
            took[name] += seconds(sides[name], block)
    rates = {f"{name}_per_second": round(len(images) / each, 1) for name, each in took.items()}
    ours, base = sides
    return rates | {"ratio": round(took[base] / took[ours], 3)}


def seconds(side: Callable[[bytes], Future[Any]], images: Sequence[bytes]) -> float:
    began = time.perf_counter()
    for each in [side(data) for data in images]:
        each.result()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
