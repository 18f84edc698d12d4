"""A drawn catalog as vectors: head and tuned features of demo products, and of pictures that belong to no product."""

import io
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from services import bootstrap, demo, settings
from services.demo.catalog import DemoProduct
from services.descriptions import Features, Form
from services.encoders import networks, recipes
from services.encoders.shared import SharedEncoder
from services.encoders.tuned.color import color_histograms
from services.images.decoder import decode
from services.images.limits import Limits
from services.records import Vectors

LIMITS = Limits(25_000_000, 50_000_000)
BATCH, IN_HAND = 32, 3
SIDE = 400
STRANGERS = ("noise", "one color", "gradient", "text", "texture")
"""Kinds of pictures that belong to no product."""
VARIANTS = 8


@dataclass(frozen=True)
class Drawn:
    """Products, and the same pictures' numbers with a network: rows of products first, then those of strangers.

    Attributes:
        head: The last layer, float32 (n, dim).
        layers: What tuned features take of the layers, float32 (n, m); None where only head features were asked for.
        colors: Color histograms, float32 (n, 245), or None.
    """

    products: Sequence[DemoProduct]
    strangers: Sequence[str]
    head: Vectors
    layers: Vectors | None
    colors: Vectors | None


def pictures(products: Sequence[DemoProduct], seed: int) -> list[bytes]:
    """Each product's picture, drawn in processes of their own: TensorFlow must not be forked."""
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        return list(pool.map(partial(demo.draw, seed=seed), products, chunksize=16))


def encoded(images: Sequence[bytes], network: str, weights: str, features: Features) -> tuple[Vectors, Vectors | None]:
    """What a network gives for pictures, as the product encodes them, and with `tuned` their color histograms, too."""
    configured = settings.load()
    shared = SharedEncoder(lambda: bootstrap.load_encoder(network, weights, "nearest", configured, features))
    shared.fingerprint()
    form = recipes.form(networks.network(network), "nearest", features)
    work: Callable[[int], Any] = partial(_batch, images, shared, form, features)
    with ThreadPoolExecutor(IN_HAND) as pool:
        rows, colors = zip(*pool.map(work, range(0, len(images), BATCH)), strict=True)
    return np.concatenate(rows), np.concatenate(colors) if features == "tuned" else None


def _batch(
    images: Sequence[bytes], shared: SharedEncoder, form: Form, features: Features, at: int
) -> tuple[Vectors, Vectors | None]:
    some = images[at : at + BATCH]
    pixels = np.stack([decode(each, form.size, form.resample, LIMITS, form.fit) for each in some])
    return shared.encode(pixels), color_histograms(pixels) if features == "tuned" else None


def strangers(seed: int) -> list[tuple[str, bytes]]:
    """Pictures that belong to no product, as PNG, each with its kind: `VARIANTS` of each."""
    random = np.random.default_rng(seed)
    return [(kind, _png(pixels)) for kind in STRANGERS for pixels in _variants(kind, random)]


def _variants(kind: str, random: np.random.Generator) -> Iterator[npt.NDArray[np.uint8]]:
    for _ in range(VARIANTS):
        if kind == "noise":
            yield random.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
        elif kind == "one color":
            yield np.full((SIDE, SIDE, 3), random.integers(0, 256, 3), np.uint8)
        elif kind == "gradient":
            ends = random.integers(0, 256, (2, 3))
            yield np.tile(np.linspace(*ends, SIDE)[:, None], (1, SIDE, 1)).astype(np.uint8)
        elif kind == "text":
            yield _text(random)
        else:
            yield _texture(random)


def _text(random: np.random.Generator) -> npt.NDArray[np.uint8]:
    """A page of made words."""
    page = Image.new("RGB", (SIDE, SIDE), "white")
    pen = ImageDraw.Draw(page)
    for line in range(10, SIDE - 20, 14):
        words = ("".join(chr(97 + each) for each in random.integers(0, 26, random.integers(2, 10))) for _ in range(9))
        pen.text((12, line), " ".join(words), fill="black")
    return np.asarray(page)


def _texture(random: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Grain at all scales with a spectrum of 1/f, as photographs of natural surfaces have it (Field 1987)."""
    across = np.hypot(*np.meshgrid(np.fft.fftfreq(SIDE), np.fft.fftfreq(SIDE)))
    across[0, 0] = 1
    waves = np.fft.fft2(random.standard_normal((SIDE, SIDE))) / across
    grain = np.fft.ifft2(waves).real
    grain = (grain - grain.min()) / np.ptp(grain)
    dark, light = np.sort(random.integers(0, 256, (2, 3)), axis=0)
    return np.asarray(dark + grain[..., None] * (light - dark), np.uint8)


def _png(pixels: npt.NDArray[np.uint8]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def drawn(seed: int, per_category: int, network: str, weights: str, *, only_head: bool = False) -> Drawn:
    """A drawn catalog with so many products of each category, encoded."""
    products = demo.products(seed, per_category)
    others = strangers(seed)
    images = [*pictures(products, seed), *(image for _, image in others)]
    head, _ = encoded(images, network, weights, "head")
    layers, colors = (None, None) if only_head else encoded(images, network, weights, "tuned")
    return Drawn(products, [kind for kind, _ in others], head, layers, colors)
