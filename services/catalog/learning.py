"""What the features of a generation learn from the pictures of a catalog, before any of them is encoded for it."""

from collections.abc import Callable
from itertools import islice

import numpy as np

from services.catalog.pictures import pictures_of
from services.descriptions import CatalogSpec
from services.encoders.networks import form_of, network
from services.encoders.recipes import layer_dims
from services.encoders.shared import SharedEncoder
from services.encoders.tuned.color import color_histograms
from services.encoders.tuned.learned import learned
from services.errors import TooFewImages
from services.images.intake import Intake, Picture
from services.index.vector_index import VectorIndex
from services.paging import paginate
from services.records import Vectors

FEWEST = 1000
"""Pictures that `tuned` features need: of fewer, what is learned is chance."""
MOST = 2000
"""Pictures that they learn from. Products come in the order of hashes of their IDs, so the first ones are a sample."""
PAGE = 64
"""Products whose pictures are in memory at a time."""

Learning = Callable[[int], object]
"""Called with how many pictures were learned from so far, a page at a time; what it raises ends the learning."""


def learn_of_nothing(count: int) -> None:
    """Watches nothing."""


def check_enough(name: str, count: int, fewest: int = FEWEST) -> None:
    """Raises `TooFewImages` where a catalog has too few products, or pictures, for `tuned` features."""
    if count < fewest:
        raise TooFewImages(
            f"Catalog {name} has {count:,} products with pictures that can be had, and tuned features learn from at "
            f"least {fewest:,}: add products, or keep head features."
        )


def learned_from(
    spec: CatalogSpec,
    index: VectorIndex,
    intake: Intake,
    encoder: SharedEncoder,
    watch: Learning = learn_of_nothing,
    fewest: int = FEWEST,
) -> bytes:
    """What `tuned` features learn from the first pictures of a catalog, as the bytes of its file.

    Args:
        spec: Describes the generation that is to have the features.
        index: That of the live generation, where products are found.
        intake: Where their pictures come from.
        encoder: Gives the numbers of the layers.
        watch: Called as it goes on.
        fewest: Pictures without which nothing is learned.

    Raises `TooFewImages`, and what `pictures_of` and `SharedEncoder.encode` do.
    """
    layers: list[Vectors] = []
    colors: list[Vectors] = []
    form = form_of(spec)
    products = paginate(lambda cursor: index.scroll(after=cursor))
    count = 0
    while count < MOST and (points := list(islice(products, PAGE))):
        pictures = pictures_of(points, intake, form).values()
        pixels = [each.forms[form] for each in pictures if isinstance(each, Picture)][: MOST - count]
        if pixels:
            layers.append(encoder.encode(np.stack(pixels)))
            colors.append(color_histograms(np.stack(pixels)))
        count += len(pixels)
        watch(count)
    check_enough(spec.name, count, fewest)
    return learned(np.concatenate(layers), layer_dims(network(spec.encoder)), np.concatenate(colors)).to_bytes()
