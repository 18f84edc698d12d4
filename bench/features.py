"""Vectors for benchmarks of search: real features of the demo catalog, enlarged by augmentation.

Random vectors are all equally far from each other, so they tell nothing of recall. These are what the encoder whose
trained weights are installed sees: demo products are drawn, each is cropped, mirrored and relit `VIEWS` times, and
every view is encoded (1,280 numbers each). A vector as long as InceptionV3's is the features of one view beside the
first 768 of another of the same product, so the views of a product give `VIEWS` squared vectors, and none is made up.
"""

import io
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from math import ceil
from multiprocessing import get_context

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance

from services import bootstrap, demo, settings
from services.demo.catalog import KINDS, DemoProduct

VIEWS = 8
DIM = 2048
SIZE = 224
OTHERS = 200


@dataclass(frozen=True)
class Features:
    """`vectors` (n, 2048), `queries` (q, 2048) and `others`, queries too, of other products, float32 of length one;
    `attributes` of the vectors' products.

    A query is of a view that no vector was made of.
    """

    vectors: npt.NDArray[np.float32]
    attributes: Sequence[dict[str, str | float]]
    queries: npt.NDArray[np.float32]
    others: npt.NDArray[np.float32]


def features(count: int, queries: int) -> Features:
    """`count` vectors, `queries` of products spread over them, and up to `OTHERS` other queries."""
    products = demo.products(per_category=ceil(count / VIEWS**2 / len(KINDS)))
    encoded = _encoded(products)
    vectors = np.empty((len(products) * VIEWS**2, DIM), np.float32)
    for row, (number, (one, other)) in enumerate(product(range(len(products)), product(range(VIEWS), repeat=2))):
        vectors[row] = _paired(encoded[number, one], encoded[number, other])
    # Products stand category by category: any first n of them would be mugs.
    order = np.random.default_rng(0).permutation(len(vectors))[:count]
    asked = np.random.default_rng(1).permutation(len(products))[: queries + OTHERS]
    unseen = _unit(np.stack([_paired(encoded[number, VIEWS], encoded[number, VIEWS]) for number in asked]))
    return Features(
        vectors=_unit(vectors[order]),
        attributes=[products[row // VIEWS**2].attributes for row in order],
        queries=unseen[:queries],
        others=unseen[queries:],
    )


def _paired(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.concatenate([one, other[: DIM - len(one)]])


def _unit(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _encoded(products: Sequence[DemoProduct]) -> npt.NDArray[np.float32]:
    """The features of each product's views, one more than `VIEWS`: (products, views, 1280)."""
    encoder = bootstrap.load_encoder("efficientnet_lite0", "imagenet", "nearest", settings.load())
    rows = [encoder.encode(pixels) for pixels in _views(products)]
    return np.concatenate(rows).reshape(len(products), VIEWS + 1, -1)


def _views(products: Sequence[DemoProduct]) -> Iterator[npt.NDArray[np.uint8]]:
    """The views of each product, drawn in processes of their own: TensorFlow must not be forked."""
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        yield from pool.map(views, products, chunksize=8)


def views(of: DemoProduct) -> npt.NDArray[np.uint8]:
    """A product's picture seen a little otherwise, again and again: (views, 224, 224, 3)."""
    rng = np.random.default_rng([*of.product_id.encode()])
    drawn = Image.open(io.BytesIO(demo.draw(of))).convert("RGB")
    return np.stack([_view(drawn, rng) for _ in range(VIEWS + 1)])


def _view(picture: Image.Image, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    side = round(min(picture.size) * rng.uniform(0.7, 1))
    left, top = (int(rng.integers(0, whole - side + 1)) for whole in picture.size)
    seen = picture.resize((SIZE, SIZE), Image.Resampling.BICUBIC, (left, top, left + side, top + side))
    if rng.random() < 0.5:
        seen = seen.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        seen = enhance(seen).enhance(rng.uniform(0.8, 1.2))
    return np.asarray(seen)
